"""Which frames the engine reads of a strip: the ones that Blender shows, for every strip type and timing."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bpy_process import interpreters, run_script

pytestmark = pytest.mark.blender

DIRECT = [
    "movie 12 fps", "movie 24 fps", "movie 25 fps", "movie 30 fps", "movie 60 fps", "movie 2997 fps",
    "trimmed", "trimmed for good", "held", "reversed", "reversed and held", "reversed and trimmed for good",
    "strobe 2", "strobe 2.5", "strobe 3 reversed", "sub-frame offset", "sub-frame start", "before frame 0",
    "images", "images trimmed", "images held", "images reversed strobe 2.5", "images in another order", "one image",
]  # fmt: skip
RENDERED = {
    "an image only Blender reads": "pixels",
    "meta": "frame",
    "movie clip": "frame",
    "speed effect": "frame",
    "modifier": "pixels",
    "retimed, slower": "pixels",
    "retimed, faster": "pixels",
    "retimed, reversed": "pixels",
    "animated transform": "frame",
}
STRETCHED = [
    "stretched 12 in 24", "stretched 25 in 30", "stretched 30 in 24", "stretched 60 in 25", "stretched 29.97 in 30",
    "stretched 24 in 23.976", "stretched trimmed", "stretched held", "stretched reversed", "stretched slow reversed",
    "stretched strobe", "stretched trimmed for good",
]  # fmt: skip


@pytest.fixture(scope="session")
def stretched(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Strips with adjusted playback rates, from the oldest Blender here; None when only newer ones than 4.5 are."""
    able = sorted(path for path in interpreters() if "bpy-4" in str(path))
    if not able:
        return None
    folder = tmp_path_factory.mktemp("stretched")
    made = run_script(able[0], "scripts_stretched.py", (clips, folder / "stretched.blend"), folder / "answer.json")
    lengths = made["write"]["lengths"] if isinstance(made, dict) else made
    assert isinstance(lengths, dict) and (lengths["12"], lengths["30"], lengths["60"]) == (120, 48, 24), lengths
    return folder / "stretched.blend"


@pytest.fixture
def answers(ask: Callable[..., dict[str, Any]], clips: Path, stretched: Path | None) -> dict[str, Any]:
    return ask("scripts_timing.py", clips, *([stretched] if stretched else []))


def test_every_case_is_looked_at(answers: dict[str, Any], stretched: Path | None) -> None:
    assert set(answers) == {*DIRECT, *RENDERED, *(STRETCHED if stretched else [])}


@pytest.mark.parametrize("case", [*DIRECT, *RENDERED, *STRETCHED])
def test_the_engine_reads_what_blender_shows(answers: dict[str, Any], case: str) -> None:
    if case in STRETCHED and case not in answers:
        pytest.skip("only Blender 4.2 and 4.5 make such strips in background")
    found = answers[case]
    assert "error" not in found, found["error"]
    assert found["how"] == RENDERED.get(case, "direct")
    assert None not in found["shown"]
    wrong = [(f, s, r) for f, s, r in zip(found["frames"], found["shown"], found["read"]) if s != r]
    assert not wrong, f"(timeline frame, Blender shows, engine reads): {wrong[:12]}"
