"""What the operators have in common that need a sequencer with strips."""
from __future__ import annotations

import bpy

from . import properties


class WithStrips:
    """An operator of a scene that has a sequencer."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if properties.scene_of(context).sequence_editor is None:
            cls.poll_message_set("The scene has no strips")
            return False
        return True
