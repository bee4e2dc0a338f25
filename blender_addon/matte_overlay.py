"""Show Matte in the sequencer's preview: what will really be removed, grown and feathered, tinted over the picture.

The strips of the matte shine through as light, which Blender draws; the tint is laid over what the engine would replace.
"""
from __future__ import annotations

import time
import traceback
from typing import Any

import bpy
import gpu
from bpy.app.handlers import persistent
from gpu_extras.batch import batch_for_shader

from . import matte_watch, properties

TINT = (1.0, 0.08, 0.05, 0.55)
_TICK, _SLOW_TICK = 0.03, 1.0

longest_ms = 0.0
"""The longest that a step has kept Blender's main thread at work since it was last set to 0, in the thread's own time; measured."""

_watch = matte_watch.Watch()
_handler: Any = None
_shader: Any = None
_drawn: tuple[matte_watch.Found, Any] | None = None
_looked_for: matte_watch.Wanted | None = None
_said: tuple[matte_watch.Found | None, str] = (None, "")
_fast = False


def trouble() -> str:
    """Why the matte is not shown, in a sentence; empty when it is."""
    return _watch.trouble


def engine_pid() -> int | None:
    """The process that says what is shown; not the one that does jobs."""
    return _watch.pid


def looked_for() -> matte_watch.Wanted | None:
    """What was wanted at the last redraw."""
    return _looked_for


def showing() -> matte_watch.Found | None:
    """What was drawn last, where it is what is wanted."""
    return _drawn[0] if _drawn is not None and _drawn[0].wanted == _looked_for else None


def _draw() -> None:
    """Called by Blender at every redraw of a preview."""
    global longest_ms
    begun = time.thread_time()
    try:
        _draw_over(bpy.context)
    except Exception:
        # Blender would go on calling, and go on failing.
        traceback.print_exc()
        _stop_drawing()
    longest_ms = max(longest_ms, 1000 * (time.thread_time() - begun))


def _draw_over(context: bpy.types.Context) -> None:
    global _looked_for
    scene, space = properties.scene_of(context), context.space_data
    if scene is None or not space.show_overlays or space.display_mode != "IMAGE" or context.screen.is_animation_playing:
        return
    now = matte_watch.wanted(scene)
    if now is None:
        return
    _looked_for = now
    _watch.look(now)
    if not _watch.idle:
        _hurry()
    found = _watch.found
    # While a slider is moved the last answer stays until the next is there.
    if found is not None and found.corners and found.wanted.place == now.place and found.wanted.frame == now.frame:
        _paint(scene, found)


def _hurry() -> None:
    """Sees that the next beat comes soon, also where it beats slowly."""
    global _fast
    if bpy.app.timers.is_registered(_beat):
        if _fast:
            return
        bpy.app.timers.unregister(_beat)
    _fast = True
    bpy.app.timers.register(_beat, first_interval=0.0, persistent=True)


def _paint(scene: bpy.types.Scene, found: matte_watch.Found) -> None:
    global _drawn
    if _drawn is None or _drawn[0] is not found:
        _drawn = found, _texture(found)
    render = scene.render
    aspect = render.pixel_aspect_x / render.pixel_aspect_y
    places = [((x - render.resolution_x / 2) * aspect, render.resolution_y / 2 - y) for x, y in found.corners]
    shader = _the_shader()
    # The first row is the top one.
    batch = batch_for_shader(shader, "TRI_FAN", {"position": places, "place": ((0, 0), (1, 0), (1, 1), (0, 1))})
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_float("to_screen", gpu.matrix.get_projection_matrix() @ gpu.matrix.get_model_view_matrix())
    shader.uniform_float("tint", TINT)
    shader.uniform_sampler("shares", _drawn[1])
    batch.draw(shader)
    gpu.state.blend_set("NONE")


def _texture(found: matte_watch.Found) -> Any:
    width, height = found.size
    numbers = _numbers(width * height, memoryview(found.shares).cast("f"))
    return gpu.types.GPUTexture((width, height), format="R16F", data=numbers)


def _numbers(count: int, values: memoryview) -> Any:
    return gpu.types.Buffer("FLOAT", count, values)


def _the_shader() -> Any:
    global _shader
    if _shader is None:
        between = gpu.types.GPUStageInterfaceInfo("flow_inpaint_place")
        between.smooth("VEC2", "at")
        info = gpu.types.GPUShaderCreateInfo()
        info.push_constant("MAT4", "to_screen")
        info.push_constant("VEC4", "tint")
        info.sampler(0, "FLOAT_2D", "shares")
        info.vertex_in(0, "VEC2", "position")
        info.vertex_in(1, "VEC2", "place")
        info.vertex_out(between)
        info.fragment_out(0, "VEC4", "colour")
        info.vertex_source("void main() { at = place; gl_Position = to_screen * vec4(position, 0.0, 1.0); }")
        info.fragment_source("void main() { colour = vec4(tint.rgb, tint.a * texture(shares, at).r); }")
        _shader = gpu.shader.create_from_info(info)
    return _shader


def _beat() -> float | None:
    """Finds out what is wanted, and has it drawn."""
    global longest_ms, _said, _fast
    begun = time.thread_time()
    try:
        context = bpy.context
        python = matte_watch.engine_python(context)
        scene = next((one for one in bpy.data.scenes if _looked_for is not None and one.session_uid == _looked_for.scene), None)
        if not python or scene is None or _watch.forgotten:
            _watch.end()
            return None
        if not _watch.idle:
            _watch.advance(scene, python)
    except Exception:
        # Blender would take the timer away, and say no more than this.
        traceback.print_exc()
        _watch.end()
        return None
    finally:
        longest_ms = max(longest_ms, 1000 * (time.thread_time() - begun))
    now = _watch.found, _watch.trouble
    if now[0] is not _said[0] or now[1] != _said[1]:
        _said = now
        redraw()
    _fast = not _watch.idle
    return _TICK if _fast else _SLOW_TICK


def redraw() -> None:
    """The previews, and the sidebars that say what is wrong."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions if area.type == "SEQUENCE_EDITOR" else ():
                if region.type in ("PREVIEW", "UI"):
                    region.tag_redraw()


@persistent
def _stop(*_: Any) -> None:
    global _drawn, _looked_for
    _drawn = _looked_for = None
    _watch.end()


def _stop_drawing() -> None:
    global _handler
    if _handler is not None:
        bpy.types.SpaceSequenceEditor.draw_handler_remove(_handler, "PREVIEW")
        _handler = None


def register() -> None:
    global _handler
    if bpy.app.background:
        return
    bpy.app.handlers.load_pre.append(_stop)
    _handler = bpy.types.SpaceSequenceEditor.draw_handler_add(_draw, (), "PREVIEW", "POST_VIEW")


def unregister() -> None:
    global _shader
    _stop_drawing()
    if _stop in bpy.app.handlers.load_pre:
        bpy.app.handlers.load_pre.remove(_stop)
    if bpy.app.timers.is_registered(_beat):
        bpy.app.timers.unregister(_beat)
    _watch.end(wait=1.0)
    _stop()
    _shader = None
