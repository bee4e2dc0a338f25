"""Blender's properties, built from the descriptor: the scene's settings and the operator's.

One rule for every value: what the caller gives, else what the scene's panel says, else the preset, else the default. A
parameter counts as given only when somebody changed it, so that it never hides what the preset says.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, IntVectorProperty, PointerProperty, StringProperty

from . import descriptor, frame_range

DEFAULT_OUTPUT = "//flow_inpaint/"
DEFAULT_MASK_CHANNEL = 2
LAST_CHANNEL = 128
MASK_CHANNEL_HINT = "The channel whose strips are white, or opaque, over what is to be removed"
REFERENCE_CHANNEL_HINT = "The channel with clean pictures of single frames, each an image strip whose left edge is on its frame"
FRAMES, PATCH = "frames", "patch"
"""What the new strip shows: whole pictures, or only what was replaced, over the source that stays to be seen."""

# Since 4.5 a path has to say that it may begin with //; 5.x shows it in red otherwise.
_BLEND_RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if "is_path_supports_blend_relative" in bpy.types.Property.bl_rna.properties else set()


@dataclass(frozen=True)
class Request:
    """What to do, as the user said it.

    `source` empty: the active strip. `params` as the engine takes them, preset included. `frames`: the first and the last
    timeline frame wanted; None: the whole strip. `mute_source`: hide the source once the result is there. `result`: FRAMES or
    PATCH. `passes`: the names of those to write too, in the descriptor's order.
    """

    source: str
    mask_channel: int
    output: str
    format: str
    params: dict[str, Any]
    frames: tuple[int, int] | None = None
    mute_source: bool = False
    reference_channel: int = 0
    result: str = FRAMES
    passes: tuple[str, ...] = ()


def scene_of(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene that the sequencer edits: since 5.0 the workspace can name another one than the window's."""
    return getattr(context, "sequencer_scene", None) or context.scene


def request(scene: bpy.types.Scene, given: Mapping[str, Any]) -> Request:
    """The caller's values completed from the scene's settings. A preset in `given` puts aside the panel's changes to parameters."""
    settings = scene.flow_inpaint
    fixed = {name: given.get(name, getattr(settings, name)) for name in _fixed()}
    changed = {} if "preset" in given else settings.changed()
    changed |= {name: value for name, value in given.items() if name in descriptor.parameters()}
    return Request(
        given.get("source", ""),
        fixed["mask_channel"],
        fixed["output"],
        fixed["format"],
        {"preset": fixed["preset"], **changed},
        given.get("frames") or frame_range.of(scene, fixed["range"]),
        fixed["mute_source"],
        fixed["reference_channel"],
        fixed["result"],
        in_order(fixed["passes"]),
    )


def in_order(passes: Iterable[str]) -> tuple[str, ...]:
    """The names in the descriptor's order, without those that this version does not know."""
    wanted = set(passes)
    return tuple(name for name in descriptor.passes() if name in wanted)


def operator_annotations() -> dict[str, Any]:
    """The operator's properties. None of them remembers the last run: what is not given is read from the scene."""
    quiet = {"options": {"SKIP_SAVE"}}
    source = StringProperty(name="Source", description="Name of the strip to repair; empty for the active strip", **quiet)
    frames = IntVectorProperty(
        name="Frames", description="The first and the last timeline frame to repair, instead of a named range", size=2, **quiet
    )
    parameters = {name: _property(declared, **quiet) for name, declared in descriptor.parameters().items()}
    return {"source": source, "frames": frames} | _fixed(**quiet) | parameters


def given_to(operator: bpy.types.Operator) -> dict[str, Any]:
    """The properties that the operator's caller has set."""
    names = ["source", "frames", *_fixed(), *descriptor.parameters()]
    return {name: plain(getattr(operator, name)) for name in names if operator.properties.is_property_set(name)}


def plain(value: Any) -> Any:
    """Blender's floats have 24 bits: without this 0.1 would arrive as 0.10000000149."""
    if isinstance(value, bpy.types.bpy_prop_array):
        return tuple(value)
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _fixed(**more: Any) -> dict[str, Any]:
    """The settings that are not parameters of the effect."""
    return {
        "mask_channel": IntProperty(
            name="Mask Channel",
            description=MASK_CHANNEL_HINT,
            default=DEFAULT_MASK_CHANNEL,
            min=1,
            max=LAST_CHANNEL,
            **more,
        ),
        "reference_channel": IntProperty(
            name="Reference Channel",
            description=f"{REFERENCE_CHANNEL_HINT}; 0 for none",
            default=0,
            min=0,
            max=LAST_CHANNEL,
            **more,
        ),
        "output": StringProperty(
            name="Output",
            description="The folder for the repaired footage; // stands for the folder of the .blend file",
            default=DEFAULT_OUTPUT,
            subtype="DIR_PATH",
            **more | {"options": more.get("options", set()) | _BLEND_RELATIVE},
        ),
        "preset": EnumProperty(
            name="Preset",
            description="Where the parameters that you have not changed come from",
            items=[(name, p["label"], p["hint"]) for name, p in descriptor.presets().items()],
            default=descriptor.default_preset(),
            **more,
        ),
        "format": EnumProperty(
            name="Format",
            description="How the repaired footage is stored",
            items=[(name, f["label"], f["hint"]) for name, f in descriptor.formats().items()],
            **more,
        ),
        "range": EnumProperty(name="Frames", description="Which frames of the strip are repaired", items=frame_range.ITEMS, **more),
        "result": EnumProperty(
            name="Result",
            description="What the new strip shows",
            items=[
                (FRAMES, "Whole Frames", "The repaired footage, in the format below"),
                (PATCH, "Alpha Patch", "Only what was replaced, as PNG or EXR with alpha, over the source, which stays as it is and is never muted"),
            ],
            **more,
        ),
        "passes": EnumProperty(
            name="Passes",
            description="Pictures about the result that are written beside it (Shift-click for several). Reveal Passes adds them as strips",
            items=[(name, p["label"], p["hint"], 1 << number) for number, (name, p) in enumerate(descriptor.passes().items())],
            **more | {"options": more.get("options", set()) | {"ENUM_FLAG"}},
        ),
        "mute_source": BoolProperty(
            name="Mute Source", description="Mute the source strip once the repaired footage is there", default=False, **more
        ),
    }


def _property(declared: Mapping[str, Any], **more: Any) -> Any:
    """A parameter as Blender's property of the same type."""
    words = {"name": declared["label"], "description": declared["hint"]} | more
    kind = declared["type"]
    if kind == "Choice":
        items = [(c["name"], c["label"], c.get("hint", "")) for c in declared["choices"]]
        return EnumProperty(items=items, default=declared["default"], **words)
    words["default"] = declared["default"]
    if kind == "Boolean":
        return BoolProperty(**words)
    if kind == "String":
        return StringProperty(**words)
    unit = declared.get("unit")
    if unit == "px":
        words["subtype"] = "PIXEL"
    elif unit:
        words["description"] += f" (in {unit})"
    limits = {"min": declared["min"], "max": declared["max"]}
    return IntProperty(**limits, **words) if kind == "Int" else FloatProperty(precision=3, **limits, **words)


def _accessors(declared: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """A parameter of the panel shows the preset's value until it is changed, and again when it is changed back."""
    name = declared["name"]
    words = [c["name"] for c in declared.get("choices", ())]

    def get(settings: FlowInpaintSettings) -> Any:
        value = settings.changed().get(name, descriptor.preset_value(settings.preset, name))
        return words.index(value) if words else value

    def put(settings: FlowInpaintSettings, value: Any) -> None:
        settings.change(name, words[value] if words else plain(value))

    return {"get": get, "set": put}


def _settings_annotations() -> dict[str, Any]:
    parameters = {name: _property(declared, **_accessors(declared)) for name, declared in descriptor.parameters().items()}
    return {"changes": StringProperty(options={"HIDDEN"})} | _fixed() | parameters


class FlowInpaintSettings(bpy.types.PropertyGroup):
    """The panel's settings, saved with the scene. `changes` is a JSON table of the parameters that the user has changed."""

    __annotations__ = _settings_annotations()

    def changed(self) -> dict[str, Any]:
        """The parameters that the user has changed. Ones that this version does not know are left out."""
        stored = json.loads(self.changes) if self.changes else {}
        return {name: value for name, value in stored.items() if _possible(name, value)}

    def change(self, name: str, value: Any) -> None:
        stored = self.changed()
        stored.pop(name, None)
        if value != descriptor.preset_value(self.preset, name):
            stored[name] = value
        self.changes = json.dumps(stored) if stored else ""


def _possible(name: str, value: Any) -> bool:
    """Whether a stored value still means something: files outlive versions."""
    declared = descriptor.parameters().get(name)
    return bool(declared) and ("choices" not in declared or any(c["name"] == value for c in declared["choices"]))


def register() -> None:
    bpy.utils.register_class(FlowInpaintSettings)
    bpy.types.Scene.flow_inpaint = PointerProperty(type=FlowInpaintSettings)


def unregister() -> None:
    del bpy.types.Scene.flow_inpaint
    bpy.utils.unregister_class(FlowInpaintSettings)
