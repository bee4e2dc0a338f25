"""Which engine runs: the one that the environment variable or the preferences name, else the add-on's own, and how that one is."""
from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import bpy

from . import descriptor, engine_client
from .engine_setup import installation, place
from .engine_setup.errors import SetupError
from .engine_setup.installation import Request
from .engine_setup.place import Place, State, Wheel

_FRESH_S = 2.0  # panels are drawn often; files are looked at this seldom
_WITHOUT_WINDOW = "blender -b --online-mode --command flow_inpaint --install-engine"


@dataclass(frozen=True)
class Choice:
    """`named`: what the user names instead of the add-on's own engine, empty otherwise. `advice`: what is wrong with the own one."""

    named: str
    place: Place
    carried: Wheel | None
    state: State
    advice: str

    @property
    def usable(self) -> bool:
        """Whether the own engine can run jobs: it is there, and near enough to the add-on's version."""
        stamp = self.place.stamp()
        if self.state == "outdated" and stamp is not None:
            return installation.fits(stamp.version, descriptor.version())
        return self.state == "whole"


def current(context: bpy.types.Context) -> Choice:
    """How things stand, at most two seconds old."""
    return _looked_at(_named(context), root(context), int(time.monotonic() / _FRESH_S))


def forget() -> None:
    """Something has changed: the next look is a fresh one."""
    _looked_at.cache_clear()


def python(context: bpy.types.Context) -> str:
    """The interpreter that runs the engine. Raises `engine_client.EngineError` that says what to do."""
    forget()
    return python_now(context)


def python_now(context: bpy.types.Context) -> str:
    """The same, as things stood at most two seconds ago."""
    choice = current(context)
    if choice.named:
        return engine_client.find_python(choice.named)
    if not choice.usable:
        without = f" (without a window: {_WITHOUT_WINDOW})" if bpy.app.background else ""
        raise engine_client.EngineError(choice.advice.removesuffix(".") + without + ".")
    return str(choice.place.python())


def root(context: bpy.types.Context) -> Path:
    """Where the add-on's own engine is, or is to be."""
    own = _preferences(context)
    given = own.engine_folder.strip() if own else ""
    if given:
        return Path(os.path.abspath(os.path.expanduser(bpy.path.abspath(given))))
    try:
        user = Path(bpy.utils.extension_path_user(__package__))
    except ValueError:
        # Run from a folder of scripts rather than installed as an extension.
        user = Path(bpy.utils.user_resource("DATAFILES")) / "flow_inpaint"
    return place.default_root(user, ".".join(map(str, bpy.app.version[:2])))


def request(context: bpy.types.Context, python: str, torch: str, wheels: str, torch_index: str = "") -> Request:
    """What to install. Empty texts: what the preferences say. Raises `SetupError` in an add-on that carries no engine."""
    carried = _carried()
    if carried is None:
        raise SetupError(
            "This add-on carries no engine: install its zip (build_addon.py makes it), or set 'Engine Python' in its preferences."
        )
    wheels = os.path.abspath(os.path.expanduser(bpy.path.abspath(wheels))) if wheels.strip() else ""
    return Request(
        root(context), carried, bpy.app.online_access, bpy.path.abspath(python.strip()), torch, wheels, torch_index, own_python()
    )


def own_python() -> str:
    """The Python that Blender brings; empty where it is no program of its own."""
    return "" if "blender" in Path(sys.executable).stem.lower() else sys.executable


def _named(context: bpy.types.Context) -> str:
    own = _preferences(context)
    preference = bpy.path.abspath(own.engine_python.strip()) if own and own.engine_python.strip() else ""
    return os.environ.get(engine_client.VARIABLE, "").strip() or preference


def _preferences(context: bpy.types.Context) -> bpy.types.AddonPreferences | None:
    addon = context.preferences.addons.get(__package__)
    return addon.preferences if addon else None


def _carried() -> Wheel | None:
    path = descriptor.bundled_wheel()
    return place.wheel(path) if path else None


@lru_cache(maxsize=4)
def _looked_at(named: str, folder: Path, _moment: int) -> Choice:
    own = Place(folder)
    try:
        carried = _carried()
    except SetupError as error:
        return Choice(named, own, None, "broken", str(error))
    state = own.state(carried)
    return Choice(named, own, carried, state, installation.advice(state, own, carried))
