"""Flow Inpaint in Blender's video sequencer: removes what a mask channel covers from a strip."""
from . import (
    channels,
    command_line,
    engine_operators,
    matte_overlay,
    operators,
    operators_mattes,
    operators_passes,
    panels,
    preferences,
    properties,
    reference_export,
    translating,
)

_ROOMS = (
    translating,
    properties,
    preferences,
    operators,
    operators_mattes,
    operators_passes,
    engine_operators,
    channels,
    reference_export,
    panels,
    matte_overlay,
    command_line,
)


def register() -> None:
    for room in _ROOMS:
        room.register()


def unregister() -> None:
    for room in reversed(_ROOMS):
        room.unregister()
