"""Flow Inpaint in Blender's video sequencer: removes what a mask channel covers from a strip."""
<<<<<<< HEAD
from . import command_line, engine_operators, operators, panels, preferences, properties

_ROOMS = (properties, preferences, operators, engine_operators, panels, command_line)
=======
from . import command_line, operators, panels, preferences, properties, reference_export

_ROOMS = (properties, preferences, operators, reference_export, panels, command_line)
>>>>>>> main


def register() -> None:
    for room in _ROOMS:
        room.register()


def unregister() -> None:
    for room in reversed(_ROOMS):
        room.unregister()
