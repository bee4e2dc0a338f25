"""The new strip: where it lies, how it looks, and that Blender renders it like the source outside the matte.

The engine's part is played by its own reading and writing: every picture gets a red disc and is otherwise untouched.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flow_inpaint import media
from flow_inpaint.job import Job

pytestmark = pytest.mark.blender

DIRECT = {
    "movie": "ffv1", "movie, other rate": "png", "movie, one frame": "ffv1", "movie turned and cropped": "ffv1",
    "movie reversed": "ffv1", "movie, 10 bit": "ffv1", "images": "png", "images, other colour space": "png",
    "one deep image": "png", "one frame of one image": "png", "faded": "ffv1",
}  # fmt: skip
PIXELS = {"movie retimed": "ffv1", "modifier": "ffv1", "modifier and fade": "png"}
FRAME = {"masked modifier": "png", "panned": "ffv1", "meta": "png", "text": "png"}
EVERY = {**DIRECT, **PIXELS, **FRAME}


@pytest.fixture(scope="session")
def answers(ask: Callable[..., dict[str, Any]], clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("edits")
    jobs = ask("scripts_edits.py", clips, folder / "edit.blend")
    jobs.pop("save")
    errors = {name: job["error"] for name, job in jobs.items() if "error" in job}
    assert not errors, "\n".join(errors.values())
    assert {name: job["how"] for name, job in jobs.items()} == {
        **dict.fromkeys(DIRECT, "direct"), **dict.fromkeys(PIXELS, "pixels"), **dict.fromkeys(FRAME, "frame")
    }  # fmt: skip
    results = {name: _result(job, EVERY[name], folder / f"result {number}") for number, (name, job) in enumerate(jobs.items())}
    (folder / "results.json").write_text(json.dumps(results))
    return ask("scripts_placing.py", clips, folder / "edit.blend", folder / "results.json")


def _result(job: dict[str, Any], form: str, path: Path) -> dict[str, Any]:
    """Reads the source of a job and writes it with a red disc in the middle of it."""
    target = path.with_suffix(".mkv") if form == "ffv1" else path
    document = Job.from_document({**job["document"], "output": {"path": str(target), "format": form}})
    with media.open_source(document.source) as source:
        last = source.info.count - 1
        y, x = np.mgrid[0 : source.info.height, 0 : source.info.width]
        disc = np.hypot(x - source.info.width * 0.55, y - source.info.height * 0.6) < source.info.height * 0.2
        red = np.zeros((*disc.shape, 3), source.info.dtype)
        red[..., 0] = source.info.white
        with media.open_output(document.output, source, 0, last) as output:
            for picture in source.read(0, last):
                output.write(picture.composite(red, disc))
            files = output.commit()
    assert last + 1 == job["length"]
    return {"path": str(target), "files": files.files if form == "png" else None, "start": job["start"], "length": job["length"]}


def test_every_edit_is_looked_at(answers: dict[str, Any]) -> None:
    assert set(answers) == set(EVERY)


@pytest.mark.parametrize("edit", EVERY)
def test_the_strip_lies_over_the_source_in_the_first_free_channel(answers: dict[str, Any], edit: str) -> None:
    found = _found(answers, edit)
    kind = "MOVIE" if EVERY[edit] == "ffv1" else "IMAGE"
    assert found["strip"] == {"name": "source clean", "type": kind, "channel": 3, "start": 11}
    assert found["length"] == (1 if "one frame" in edit else 6)
    assert found["untouched"]
    assert found["file"].startswith("//")


@pytest.mark.parametrize("edit", EVERY)
def test_the_strip_looks_like_the_source(answers: dict[str, Any], edit: str) -> None:
    found = _found(answers, edit)
    made, source = found["look"], found["source look"]
    same = {"blend_type"} if "fade" in edit else {"blend_type", "blend_alpha"}
    if edit not in FRAME:
        same |= {"offset_x", "offset_y", "scale_x", "scale_y", "rotation", "origin", "filter", "min_x", "max_x", "min_y", "max_y"}
        same |= {"use_flip_x", "use_flip_y"}
    if edit in DIRECT:
        same |= {"color_saturation", "color_multiply", "alpha_mode", "colour space"}
    assert {name: made[name] for name in same} == {name: source[name] for name in same}
    if edit in FRAME:
        assert (made["offset_x"], made["scale_x"], made["rotation"], made["min_x"], made["use_flip_x"]) == (0, 1, 0, 0, False)
    if edit not in DIRECT:
        assert (made["color_saturation"], made["color_multiply"]) == (1, 1)
    assert found["fade"] == found["source fade"]


@pytest.mark.parametrize("edit", EVERY)
def test_blender_renders_it_like_the_source_outside_the_matte(answers: dict[str, Any], edit: str) -> None:
    for frame in _found(answers, edit)["frames"]:
        assert frame["red"] > 200 and frame["shown"] > 1000, frame
        if edit in DIRECT and edit != "movie, other rate":
            assert frame["outside"] == 0, frame
        elif edit == "modifier":
            # Up to 4.5 Blender applies modifiers after turning the picture: its hard edges are interpolated before they are clipped.
            assert frame["nearly all outside"] <= 3, frame
        else:
            assert frame["outside"] <= 3, frame


def test_a_fade_is_carried_over(answers: dict[str, Any]) -> None:
    for edit in ("faded", "modifier and fade"):
        assert len(set(answers[edit]["fade"])) > 3


def _found(answers: dict[str, Any], edit: str) -> dict[str, Any]:
    found = answers[edit]
    assert "error" not in found, found["error"]
    return found
