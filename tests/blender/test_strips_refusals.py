"""Every way to ask for what cannot be done gets one sentence that names the strip or channel and says what to do."""
from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.blender

SAID = {
    "no such strip": r"no strip named 'film' in the scene 'Edit.*': choose",
    "empty scene": r"no strip named 'movie'",
    "no mask": r"no mask strip in channel 2: put .* over 'movie'",
    "sound only": r"no mask strip in channel 2: put",
    "mask muted": r"no mask strip in channel 2, because 'mask' there is muted: unmute it",
    "channel muted": r"no mask strip in channel 2, because the channel is muted: unmute it",
    "no overlap": r"channel 2 \(frames 61 to 99\) does not overlap strip 'movie' \(frames 1 to 60\): move it",
    "own channel": r"Channel 1 is the one that strip 'movie' is on: put the mask on another",
    "channel 0": r"no channel 0: the mask channel is a number from 1 to 128",
    "channel 129": r"no channel 129",
    "missing movie": r"Strip 'movie': .*gone\.mp4 is missing: put it back",
    "missing images": r"Strip 'movie': .*gone\.png and 1 more of its files are missing",
    "missing mask": r"Strip 'mask': .*gone\.png is missing",
    "missing in meta": r"Strip 'inner': .*gone\.mp4 is missing",
    "inside meta": r"'movie' lies inside the meta strip 'meta': choose 'meta'",
    "scene strip": r"Strip 'movie' is a scene strip: render that scene",
    "scene mask": r"Strip 'mask' is a scene strip",
    "scene in meta": r"Strip 'inner', on which 'movie' is built, is a scene strip",
    "not a picture": r"Strip 'movie': .*broken\.png (is not|cannot be read)",
    "adjustment layer": r"'movie' is an adjustment layer: make a meta strip",
    "multicam": r"'movie' is a multicam selector: make a meta strip",
    "sound": r"'movie' is a sound strip: choose",
    "speed effect over it": r"'movie' is seen through the effect strip 'speed', .*: choose 'speed' as the source",
    "nothing left": r"'movie' has no frames",
    "no room": r"No channel above 1 is free from frame 14 to 23",
    "source gone": r"'film' is gone",
    "result gone": r"gone\.mkv is missing",
    "one picture gone": r"gone\.png is missing",
    "result too short": r"c24\.mp4 has 60 frames instead of 61",
    "result is no video": r"text\.mp4 .*no strip was made",
}
NOTED = {
    "cross over it": r"'cross' works on 'movie' and not on the new strip",
    "half transparent": r"'movie' is blended with what is below it: mute it",
    "fading": r"'movie' is blended with what is below it: mute it",
}


@pytest.fixture
def answers(ask: Callable[..., dict[str, Any]], clips: Path) -> dict[str, Any]:
    return ask("scripts_refusals.py", clips)


def test_every_case_is_looked_at(answers: dict[str, Any]) -> None:
    assert set(answers) == {*SAID, *NOTED, "hidden channels", "result too long"}


@pytest.mark.parametrize("case", SAID)
def test_it_is_said_in_one_sentence(answers: dict[str, Any], case: str) -> None:
    found = answers[case]
    if "skip" in found:
        pytest.skip(found["skip"])
    assert "error" not in found, found["error"]
    assert re.search(SAID[case], found["said"]), found
    assert found["said"].endswith(".") and "\n" not in found["said"] and ": " in found["said"]
    assert not found.get("leftover")


@pytest.mark.parametrize("case", NOTED)
def test_it_is_noted(answers: dict[str, Any], case: str) -> None:
    found = answers[case]
    assert "error" not in found, found["error"]
    assert any(re.search(NOTED[case], note) for note in found["notes"]), found


def test_channels_that_are_muted_or_locked_get_no_result(answers: dict[str, Any]) -> None:
    assert answers["hidden channels"] == {"channel": 5}


def test_a_movie_with_longer_sound_is_cut_to_its_pictures(answers: dict[str, Any]) -> None:
    assert answers["result too long"] == {"said": "", "length": 50}
