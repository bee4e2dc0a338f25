"""Everything that can go wrong, as exceptions whose names are the effect's status codes.

The text of an exception is one sentence for the person at the screen: it names the file, strip or
value and says what to do. Hosts show it as it is.
"""
from __future__ import annotations

import errno

from .device_errors import is_device_failure, is_out_of_memory


class FlowInpaintError(Exception):
    """Base of every error that this engine raises on purpose.

    `status` is the word that travels in the protocol; `exit_code` is what the command line ends with.
    """

    status = "Failed"
    exit_code = 1

    def __str__(self) -> str:
        return on_one_line(super().__str__())


#: Characters that do something to a terminal instead of being shown.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def on_one_line(text: str) -> str:
    """For people: file names and what libraries say may hold line breaks, and what moves a terminal's cursor or colours it."""
    return " ".join(text.splitlines()).translate(_CONTROLS)


class Failed(FlowInpaintError):
    """The job could not be finished for a reason outside the input (disk full, encoder refused)."""


class Forgotten(Exception):
    """What is remembered of an earlier run does not hold, so that frames have to be read from the first one again. Not for users.

    everything  nothing of it holds; else what does not has been forgotten
    """

    def __init__(self, *, everything: bool):
        super().__init__()
        self.everything = everything


class Unforeseen(Failed):
    """What nobody thought of: a fault of this program, or of the machine."""


class BadClip(FlowInpaintError):
    """A source, matte or output that cannot be used as it is."""

    status = "BadClip"
    exit_code = 2


class BadFrame(BadClip):
    """A single frame of a clip that cannot be used while the rest can. `frame`: the clip frame, from 0."""

    def __init__(self, text: str, frame: int):
        super().__init__(text)
        self.frame = frame


class BadParameter(FlowInpaintError):
    """A parameter, or a field of the job document, with a value that makes no sense."""

    status = "BadParameter"
    exit_code = 2


class OutOfMemory(FlowInpaintError):
    """The job needs more memory than there is, even in its smallest steps."""

    status = "OutOfMemory"


class MissingWeights(FlowInpaintError):
    """A network was asked for by name and its weights are not installed."""

    status = "MissingWeights"


class BadWeights(FlowInpaintError):
    """A file of weights, or a catalogue of them, that cannot be used as it is."""

    status = "BadWeights"
    exit_code = 2


class Aborted(FlowInpaintError):
    """The host asked to stop."""

    status = "Aborted"
    exit_code = 130


TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
TOO_MANY = "Too many files are open: close other programs, or raise the limit (ulimit -n)."
#: What a system says of a library of a program that it has no memory for.
_NOT_LOADED = ("failed to map segment", "annot allocate memory")
_NO_MEMORY = "There is not enough memory for this job: close other programs, or do fewer frames at a time."


def explained(error: BaseException) -> FlowInpaintError:
    """`error` itself when it is ours, else the status and the sentence for what nobody foresaw."""
    if isinstance(error, FlowInpaintError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Aborted("Stopped.")
    if is_out_of_memory(error) or _is_opencv_out_of_memory(error):
        return OutOfMemory(_NO_MEMORY)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed("The disk is full: free some space, or choose another place for the output.")
    if isinstance(error, OSError) and error.errno in TOO_MANY_FILES:
        return Failed(TOO_MANY)
    if isinstance(error, ImportError) and any(why in str(error) for why in _NOT_LOADED):
        return OutOfMemory(_NO_MEMORY)
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return OutOfMemory(_NO_MEMORY)
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return Failed("No more threads can be started: close other programs, or raise the limit (ulimit -u).")
    if is_device_failure(error):
        return Failed("The graphics card has failed or is gone: run the job again, or with the device cpu.")
    what = f"{type(error).__name__}: {error}".rstrip(".: \n")
    return Unforeseen(f"Something went wrong inside Flow Inpaint ({what}): please report it.")


def _is_opencv_out_of_memory(error: BaseException) -> bool:
    # By name, because importing OpenCV takes longer than everything else here; -4 is its StsNoMem.
    return type(error).__module__.startswith("cv2") and getattr(error, "code", None) == -4
