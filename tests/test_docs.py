"""The documentation: generated parts are up to date, pictures and links are there, and what it names exists."""
from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.glob("*.md")) + [REPOSITORY / "README.md"]


def test_every_setting_is_described_as_the_descriptor_says():
    done = subprocess.run([sys.executable, str(DOCS / "make_settings.py"), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        place = page.parent / file if file else page
        assert place.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", place.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_every_picture_of_the_manual_is_shown():
    text = (DOCS / "manual.md").read_text("utf-8")
    for picture in (DOCS / "manual").glob("*.png"):
        assert f"manual/{picture.name}" in text, picture


def test_every_picture_of_a_setting_is_shown_and_small():
    text = (DOCS / "settings.md").read_text("utf-8")
    pictures = list((DOCS / "settings").glob("*.png"))
    assert len(pictures) == text.count("](settings/") == len(tomllib.loads((DOCS / "settings" / "pictures.toml").read_text("utf-8")))
    assert all(picture.stat().st_size < 60_000 for picture in pictures)


def test_every_setting_has_a_picture_but_those_of_networks_and_of_the_machine():
    about = tomllib.loads((REPOSITORY / "engine/flow_inpaint/effect.toml").read_text("utf-8"))
    shown = tomllib.loads((DOCS / "settings" / "pictures.toml").read_text("utf-8"))
    assert {one["name"] for one in about["parameters"]} - set(shown) == {"flow", "device", "device_failure"}


def test_the_manual_speaks_of_buttons_that_exist():
    """What it prints in italics is a label, a name of Blender's, or both joined by a colon or an arrow."""
    source = "".join(path.read_text("utf-8") for path in (REPOSITORY / "blender_addon").rglob("*.py"))
    source += (REPOSITORY / "engine/flow_inpaint/effect.toml").read_text("utf-8")
    blender = {"Video Editing", "Start Frame", "Footage Settings", "Tracking", "Mask", "muted", "Matte of ...", "Automatic"}
    for words in re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)", (DOCS / "manual.md").read_text("utf-8")):
        for word in re.split(r": | > ", words):
            assert word in blender or f'"{word}"' in source, word
