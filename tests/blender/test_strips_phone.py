"""Footage as phones store it: the engine reads the very pictures that Blender shows of it, upright or not as Blender does."""
from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import counter
import cv2
import numpy as np
import pytest
from flow_inpaint.job import ClipSpec, OutputSpec
from flow_inpaint.media import open_output, open_source
from phone_footage import MATRICES, darkening, jittery, recording, trimmed, write

pytestmark = [
    pytest.mark.blender,
    pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_matrix"), reason="this PyAV cannot write such files"),
]

COUNT = 40
TIMES = {"jittery": jittery(COUNT), "darkening": darkening(COUNT), "recording": recording(COUNT)}
TURNED = {f"turned {turns}.mp4": turns for turns in MATRICES}
VARIABLE = [f"{name}.{ending}" for name in TIMES for ending in ("mp4", "mkv", "mov")]
TRIMMED = {"head.mp4": (0.3, None), "group.mp4": (1.1, None), "both.mp4": (0.5, 1.2)}
ROUNDED = {"ntsc.mkv": Fraction(30000, 1001), "film.ts": Fraction(24000, 1001)}
MOVED = ["recording.mp4 from its middle, held", "darkening.mp4 reversed", "darkening.mp4 trimmed for good"]


@pytest.fixture(scope="session")
def phone_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, beside = tmp_path_factory.mktemp("phone"), tmp_path_factory.mktemp("whole")
    size, options = (counter.WIDTH, counter.HEIGHT), {"crf": "12", "bf": "2", "g": "12"}
    steady = [25 * k for k in range(COUNT)]
    for name, turns in TURNED.items():
        write(folder / name, steady[:8], counter.picture, size, options=options, matrix=MATRICES[turns])
    for name in VARIABLE:
        # Matroska's rate would be guessed as its unit, and the strip would have a thousand frames a second.
        times = TIMES[name.partition(".")[0]]
        kept = [time for k, time in enumerate(times) if not name.endswith("mkv") or k == 0 or time - times[k - 1] >= 10]
        write(folder / name, kept, counter.picture, size, options=options)
    whole = write(beside / "whole.mp4", steady, counter.picture, size, options=options)
    for name, (head, tail) in TRIMMED.items():
        trimmed(folder / name, whole, head, tail)
    for name, rate in ROUNDED.items():
        write(folder / name, list(range(COUNT)), counter.picture, size, unit=1 / rate, options=options)
    return folder


@pytest.fixture
def answers(ask: Callable[..., dict[str, Any]], phone_clips: Path) -> dict[str, Any]:
    return ask("scripts_phone.py", phone_clips)


def spec(document: dict[str, Any]) -> ClipSpec:
    fields = dict(document)
    fields["path"] = Path(fields["path"])
    if "indices" in fields:
        fields["indices"] = tuple(fields["indices"])
    return ClipSpec(**fields)


@pytest.mark.parametrize("case", [*VARIABLE, *TRIMMED, *ROUNDED, *MOVED])
def test_the_engine_reads_the_pictures_that_blender_shows(answers: dict[str, Any], case: str) -> None:
    found = answers[case]
    assert "error" not in found, found["error"]
    assert found["how"] == "direct"
    with open_source(spec(found["source"])) as source:
        assert source.info.time_base is None, "a result is as long as the strip"
        read = [counter.read(picture.rgb) for picture in source.read(0, source.info.count - 1)]
    wrong = [(k, shown, mine) for k, (shown, mine) in enumerate(zip(found["shown"], read, strict=True)) if shown != mine]
    assert not wrong, f"(place in the strip, Blender shows, engine reads): {wrong[:12]}"


@pytest.mark.parametrize("case", TURNED)
def test_the_engine_sees_footage_the_way_up_that_blender_does(answers: dict[str, Any], case: str) -> None:
    found = answers[case]
    assert "error" not in found, found["error"]
    shown = cv2.imread(found["picture"])[..., ::-1].astype(np.float64)
    with open_source(spec(found["source"])) as source:
        assert [source.info.width, source.info.height] == found["size"]
        read = next(source.read(2, 2)).rgb
    assert np.abs(shown - read).mean() < 3
    upright = found["source"].get("upright", True)
    assert counter.read(np.rot90(read, -TURNED[case]) if upright else read) == 2


def test_a_result_shows_what_its_source_does(
    ask: Callable[..., dict[str, Any]], answers: dict[str, Any], phone_clips: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A result in which nothing was replaced, placed over footage that is turned, trimmed or of a variable rate."""
    folder = tmp_path_factory.mktemp("results")
    results = {}
    for case in ("turned 1.mp4", "turned 2.mp4", "recording.mp4", "darkening.mov", "head.mp4"):
        results[case] = str(folder / f"{Path(case).stem}.mkv")
        with open_source(spec(answers[case]["source"])) as source:
            last = source.info.count - 1
            with open_output(OutputSpec(Path(results[case]), "ffv1"), source, 0, last) as output:
                for picture in source.read(0, last):
                    output.write(picture)
                output.commit()
    (folder / "results.json").write_text(json.dumps(results))
    found = ask("scripts_phone.py", phone_clips, folder / "results.json")
    for case in results:
        assert "error" not in found[case], found[case]["error"]
        assert found[case]["length"] == found[case]["expected"]
        assert max(found[case]["apart"]) < 0.01, f"{case}: {found[case]['apart']}"
