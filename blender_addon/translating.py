"""The add-on's words in other languages, for an interface that is translated.

`translations/LANGUAGE.toml` says for words of the add-on what they are in a language; what it leaves out stays English. Where Blender
itself translates the same words, its own translation is shown.
"""
from __future__ import annotations

import tomllib
from pathlib import Path

import bpy

_FOLDER = Path(__file__).resolve().parent / "translations"
# Blender looks for the names of operators apart from all other words.
_CONTEXTS = ("*", "Operator")


def register() -> None:
    languages = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(_FOLDER.glob("*.toml"))}
    bpy.app.translations.register(
        __package__,
        {
            language: {(context, said): meant for said, meant in words.items() for context in _CONTEXTS}
            for language, words in languages.items()
        },
    )


def unregister() -> None:
    bpy.app.translations.unregister(__package__)
