"""What keeps the queue going in a window: a timer of Blender's, which saving, undo and other scenes do not stop."""
from __future__ import annotations

import time
import traceback
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import jobs, looking, previews, warm_engine

TICK = 0.1
_PATIENCE = 30.0
_GRABS = ("TRANSFORM_OT_", "SEQUENCER_OT_", "VIEW2D_OT_", "ANIM_OT_", "MASK_OT_")

longest_ms = 0.0
"""The longest that a beat has kept Blender busy since `jobs` had nothing to do, the moment of placing a strip left out; measured in the
thread's own time, since a machine that is busy with something else says nothing of this."""
longest_in = ""
"""What was being done then."""
longest_clock_ms = 0.0
"""The same on the clock, which counts waiting too: for the disk, for a lock, for a turn on the processor."""
longest_end_ms = 0.0
"""On the clock too, for beats in which a job ended, which includes making its strip, and for those that make an undo step of it."""

_to_keep: jobs.Job | None = None
_kept = 0
_refused_since = 0.0
_shown = ""


def start() -> None:
    """Sees that the queue moves. Call it after adding to it."""
    global longest_ms, longest_clock_ms, longest_end_ms
    if bpy.app.background:
        return
    for job in jobs.waiting():
        job.task.may_edit = may_edit
    if not bpy.app.timers.is_registered(_beat):
        longest_ms = longest_clock_ms = longest_end_ms = 0.0
        bpy.app.timers.register(_beat, first_interval=0.0, persistent=True)
    redraw()


def may_edit() -> bool:
    """Whether strips can be added: not while Blender renders or the user moves some. A tool is not waited for longer than half a minute."""
    global _refused_since
    if bpy.app.is_job_running("RENDER"):
        return False
    held = any(op.bl_idname.startswith(_GRABS) for window in bpy.context.window_manager.windows for op in window.modal_operators)
    if not held:
        _refused_since = 0.0
        return True
    _refused_since = _refused_since or time.monotonic()
    return time.monotonic() - _refused_since > _PATIENCE


def _beat() -> float | None:
    global longest_ms, longest_in, longest_clock_ms, longest_end_ms, _shown, _to_keep
    begun, begun_own = time.perf_counter(), time.thread_time()
    keeping, ended = _to_keep, None
    try:
        if keeping is not None:
            _to_keep = None
            _keep(keeping)
        else:
            ended = jobs.step()
            _to_keep = _changed(ended or jobs.running())
        if ended is not None:
            _ended(ended)
        elif (job := jobs.running()) is not None and job.task.so_far is not None:
            previews.grow(job.task.so_far)
    except Exception:
        # Blender would take the timer away, and with it the jobs that wait.
        traceback.print_exc()
    finally:
        took, own = 1000 * (time.perf_counter() - begun), 1000 * (time.thread_time() - begun_own)
        running = jobs.running()
        if keeping is not None or running is None or running.task.ending:
            longest_end_ms = max(longest_end_ms, took)
        else:
            longest_clock_ms = max(longest_clock_ms, took)
            if own > longest_ms:
                longest_ms, longest_in = own, running.task.stage
    now = " ".join(job.status() for job in jobs.listed)
    if now != _shown:
        _shown = now
        redraw()
    if _to_keep is not None:
        return 0.0
    return TICK if jobs.busy() else None


def _changed(job: jobs.Job | None) -> jobs.Job | None:
    """The job, when it has just changed strips: what it leaves behind may take a while to go."""
    return job if job is not None and job.task.succeeded and job.task.changes_strips and _kept != job.number else None


def _keep(job: jobs.Job) -> None:
    """Makes one undo step of what the job has changed. In a beat of its own: Blender writes down the whole file for it."""
    global _kept
    _kept = job.number
    _remember(f"Flow Inpaint {job.verb}")


def _ended(job: jobs.Job) -> None:
    previews.show(job.task)
    if job.task.so_far is not None:
        previews.close_so_far()
    for note in job.task.notes:
        print(f"Flow Inpaint: {note}", flush=True)


def _remember(name: str) -> None:
    """An undo step of its own for what the job has made."""
    window = next(iter(bpy.context.window_manager.windows), None)
    if window is not None:
        with bpy.context.temp_override(window=window):
            bpy.ops.ed.undo_push(message=name)


def redraw() -> None:
    """The sidebars only: drawing a preview can take as long as rendering a frame."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions if area.type == "SEQUENCE_EDITOR" else ():
                if region.type == "UI":
                    region.tag_redraw()


@persistent
def _stop_everything(*_: Any) -> None:
    """Another file takes this one's place, or the add-on or Blender leaves. The engine stays warm for the other file."""
    global _to_keep
    _to_keep = None  # there is another file by the next beat
    jobs.stop_all()
    previews.close_so_far()
    looking.last_check.clear()


@persistent
def _forget(*_: Any) -> None:
    """A file that was saved while a job went on may name pictures that went with the job."""
    previews.close_so_far()


def register() -> None:
    bpy.app.handlers.load_pre.append(_stop_everything)
    bpy.app.handlers.load_post.append(_forget)


def unregister() -> None:
    _stop_everything()
    bpy.app.handlers.load_pre.remove(_stop_everything)
    bpy.app.handlers.load_post.remove(_forget)
    if bpy.app.timers.is_registered(_beat):
        bpy.app.timers.unregister(_beat)
    warm_engine.end(wait=1.0)
