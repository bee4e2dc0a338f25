"""The add-on's words in other languages: whether they are still the add-on's words. Whether Blender shows them is seen in a real one,
since its Python modules are built without languages (real_blender.sh, `in_the_background`)."""
from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest
from addon_fixtures import addon_zip  # noqa: F401

REPOSITORY = Path(__file__).resolve().parents[2]
LANGUAGES = sorted((REPOSITORY / "blender_addon" / "translations").glob("*.toml"))


def test_there_are_languages():
    assert [path.stem for path in LANGUAGES] == ["de"]


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_what_is_translated_is_what_the_addon_says(path):
    said = "".join(file.read_text("utf-8") for file in (REPOSITORY / "blender_addon").rglob("*.py"))
    said += (REPOSITORY / "engine/flow_inpaint/effect.toml").read_text("utf-8")
    words = tomllib.loads(path.read_text("utf-8"))
    assert [word for word in words if f'"{word}"' not in said] == []
    assert all(isinstance(meant, str) and meant.strip() for meant in words.values())


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_every_parameter_has_a_name_in_it(path):
    words = tomllib.loads(path.read_text("utf-8"))
    about = tomllib.loads((REPOSITORY / "engine/flow_inpaint/effect.toml").read_text("utf-8"))
    assert [one["label"] for one in (*about["groups"], *about["parameters"]) if one["label"] not in words] == []


def test_the_languages_are_in_the_zip(addon_zip):  # noqa: F811
    names = zipfile.ZipFile(addon_zip).namelist()
    assert [f"translations/{path.name}" in names for path in LANGUAGES] == [True] * len(LANGUAGES)
