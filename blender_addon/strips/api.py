"""Names that differ between Blender 4.2 and 5.2, found by looking rather than by comparing versions."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

Strip = Any  # bpy.types.Strip; bpy.types.Sequence before Blender 4.4


def editor(scene: bpy.types.Scene) -> Any:
    """The scene's sequence editor, made if there is none."""
    return scene.sequence_editor or scene.sequence_editor_create()


def collection(owner: Any) -> Any:
    """The strips that lie directly in a sequence editor or a meta strip: `strips`, `sequences` before 4.4."""
    found = getattr(owner, "strips", None)
    return owner.sequences if found is None else found


def everything(scene: bpy.types.Scene) -> list[Strip]:
    """All strips, with those inside meta strips."""
    owner = scene.sequence_editor
    found = getattr(owner, "strips_all", None)
    return list(owner.sequences_all if found is None else found)


def top_strips(scene: bpy.types.Scene) -> list[Strip]:
    return list(collection(scene.sequence_editor)) if scene.sequence_editor else []


def pictures(scene: bpy.types.Scene, channel: int) -> list[Strip]:
    """The strips of the channel that can be seen, muted or not."""
    return [strip for strip in top_strips(scene) if strip.channel == channel and strip.type != "SOUND"]


def remove(strip: Strip) -> None:
    """Takes a strip that lies directly on the timeline away."""
    collection(strip.id_data.sequence_editor).remove(strip)


def find(scene: bpy.types.Scene, name: str) -> Strip | None:
    """The strip of that name that lies directly on the timeline, not inside a meta strip."""
    return next((strip for strip in top_strips(scene) if strip.name == name), None)


def active(scene: bpy.types.Scene) -> Strip | None:
    """The active strip."""
    return scene.sequence_editor.active_strip if scene.sequence_editor else None


def _first(strip: Strip, *names: str) -> Any:
    for name in names:
        if hasattr(strip, name):
            return getattr(strip, name)
    raise AttributeError(f"{strip.name}: none of {', '.join(names)}")


def left(strip: Strip) -> int:
    """The first timeline frame that shows the strip."""
    return int(_first(strip, "left_handle", "frame_final_start"))


def right(strip: Strip) -> int:
    """The timeline frame after the last one that shows the strip."""
    return int(_first(strip, "right_handle", "frame_final_end"))


def length(strip: Strip) -> int:
    return right(strip) - left(strip)


def overlap(one: Strip, other: Strip) -> bool:
    """Whether they have timeline frames in common."""
    return left(one) < right(other) and right(one) > left(other)


def set_right(strip: Strip, frame: int) -> None:
    setattr(strip, "right_handle" if hasattr(strip, "right_handle") else "frame_final_end", frame)


def content_start(strip: Strip) -> float:
    """The timeline frame on which the strip's content begins, trimmed or not."""
    return float(_first(strip, "content_start", "frame_start"))


def first_content(strip: Strip) -> int:
    """Which frame of the strip's content its left edge shows, where time runs as it does on the timeline."""
    return left(strip) - round(content_start(strip))


def content_end(strip: Strip) -> float:
    """The timeline frame after the strip's content."""
    return right(strip) + float(_first(strip, "right_handle_offset", "frame_offset_end"))


def content_duration(strip: Strip) -> int:
    """In timeline frames, or in media frames on Blender 4.2 with an adjusted playback rate."""
    return int(_first(strip, "content_duration", "frame_duration"))


def media_trim(strip: Strip) -> tuple[int, int]:
    """Media frames cut off for good at the beginning and the end of the content."""
    names = (("content_trim_start", "animation_offset_start"), ("content_trim_end", "animation_offset_end"))
    return tuple(int(_first(strip, *pair)) for pair in names)


def inputs(strip: Strip) -> list[Strip]:
    """The strips that an effect strip works on."""
    found = (getattr(strip, name, None) for name in ("input_1", "input_2"))
    return [one for one in found if one is not None]


def children(strip: Strip) -> list[Strip]:
    """The strips inside a meta strip that count."""
    return [child for child in collection(strip) if not child.mute] if strip.type == "META" else []


def outermost(strip: Strip) -> Strip:
    """The strip on the timeline that this one lies in: itself, if it is in no meta strip."""
    while (parent := strip.parent_meta()) is not None:
        strip = parent
    return strip


def family(strip: Strip) -> Iterator[Strip]:
    """The strip, what it is made of, and what that is made of."""
    yield strip
    for part in inputs(strip) + children(strip):
        yield from family(part)


def channel_muted(scene: bpy.types.Scene, number: int) -> bool:
    channels = scene.sequence_editor.channels
    return number < len(channels) and channels[number].mute


def last_channel() -> int:
    kind = getattr(bpy.types, "Strip", None) or bpy.types.Sequence
    return kind.bl_rna.properties["channel"].hard_max


def rate(scene: bpy.types.Scene) -> float:
    return scene.render.fps / scene.render.fps_base


def whole_frame_cache(strip: Strip) -> bool:
    """Whether Blender shows what it has cached for any place within the same media frame.

    Since 5.0 its cache of source pictures knows only whole frames: a strip slower than the scene shows, on all
    timeline frames that fall into one media frame, what the first of them has been rounded to.
    """
    return bpy.app.version >= (5, 0) and strip.id_data.sequence_editor.use_cache_raw


def turns_movies() -> bool:
    """Whether footage that is stored lying on its side is shown upright. Measured: not in 4.2 and 4.3, in 4.4 and later."""
    return bpy.app.version >= (4, 4)
