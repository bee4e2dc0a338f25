"""Everything that can go wrong, as exceptions whose names are the effect's status codes.

The text of an exception is one sentence for the person at the screen: it names the file, strip or
value and says what to do. Hosts show it as it is.
"""


class FlowInpaintError(Exception):
    """Base of every error that this engine raises on purpose.

    `status` is the word that travels in the protocol; `exit_code` is what the command line ends with.
    """

    status = "Failed"
    exit_code = 1


class Failed(FlowInpaintError):
    """The job could not be finished for a reason outside the input (disk full, encoder refused)."""


class BadClip(FlowInpaintError):
    """A source, matte or output that cannot be used as it is."""

    status = "BadClip"
    exit_code = 2


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


class Aborted(FlowInpaintError):
    """The host asked to stop."""

    status = "Aborted"
    exit_code = 130
