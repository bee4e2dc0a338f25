"""The soak test, for as long as a test may take. `make soak` runs it for an hour."""
from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import soak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the system as Linux does")


def test_nothing_is_lost_in_a_short_soak(tmp_path: Path) -> None:
    soaking = soak.Soak(tmp_path, random.Random(5))
    try:
        soaking.run(12)
    finally:
        soaking.close()
        print(soaking.told())


def test_the_soak_sees_what_is_wrong(tmp_path: Path) -> None:
    soaking = soak.Soak(tmp_path, random.Random(5))
    try:
        with pytest.raises(soak.Wrong, match="ended with 2"):
            soaking._jobs["draft"]["mask"] = {"path": "nowhere"}
            soaking._expect(soaking._started("draft"), {0})
        (tmp_path / "out" / ".draft.mp4.part").write_text("")
        with pytest.raises(soak.Wrong, match="beside the outputs there are {'.draft.mp4.part'}"):
            soaking._check_rest()
        (tmp_path / "out" / ".draft.mp4.part").unlink()
        (tmp_path / "cache" / "work" / "left").mkdir(parents=True)
        with pytest.raises(soak.Wrong, match="is not empty"):
            soaking._check_rest()
        (tmp_path / "cache" / "work" / "left").rmdir()
        lost = soak.Server(soaking._environment, tmp_path)
        with pytest.raises(soak.Wrong, match="processes are left"):
            soaking._check_rest()
        lost.close(soak.LONG)
        soaking._memory = [100.0] * 30 + [150.0] * 10
        with pytest.raises(soak.Wrong, match="memory has grown"):
            soaking._check_memory()
    finally:
        soaking.close()
