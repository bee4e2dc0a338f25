"""How far a job is when its stages take turns."""
from __future__ import annotations

import pytest

from flow_inpaint import clock
from flow_inpaint.clock import STAGES, Beats, Clock, Progress
from flow_inpaint.errors import Aborted


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be changed."""
    time = [100.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: time[0])
    return time


def test_stages_that_take_turns_add_up(now: list[float]) -> None:
    told: list[Progress] = []
    ticking = Clock(told.append, lambda: False)
    ticking.tick("matte", 10, 10)
    for k in range(2):
        for stage in ("flow", "trace", "fill", "write"):
            now[0] += 5
            ticking.tick(stage, 5 + 5 * k, 10)
    fractions = [p.fraction for p in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert fractions[4] == pytest.approx(STAGES["matte"] + (1 - STAGES["matte"]) / 2)
    assert told[4].eta_s == pytest.approx(20 * (1 / fractions[4] - 1)) and told[-1].eta_s == 0


def test_what_an_earlier_run_did_says_nothing_about_the_time_left(now: list[float]) -> None:
    told: list[Progress] = []
    ticking = Clock(told.append, lambda: False)
    now[0] += 2
    for stage in STAGES:
        ticking.tick(stage, 60, 100)
    ticking.begin_anew()
    now[0] += 30
    for stage in STAGES:
        ticking.tick(stage, 80, 100)
    # The fifth that was new took 30 s, and another fifth is left.
    assert told[-1].fraction == pytest.approx(0.8) and told[-1].eta_s == pytest.approx(30)


def test_stages_that_are_not_needed_are_done() -> None:
    told: list[Progress] = []
    ticking = Clock(told.append, lambda: False)
    ticking.tick("matte", 1, 1)
    ticking.finish("flow", "completion", "trace", "fill")
    ticking.tick("write", 1, 1)
    assert told[-1].fraction == 1.0


def test_beats_stay_within_their_window(now: list[float]) -> None:
    told: list[Progress] = []
    beats = Beats(Clock(told.append, lambda: False), "fill", 20, 3)
    for frames in (8, 20):
        with beats.until(frames) as pulse:
            for _ in range(40):
                pulse()
    done = [p.done for p in told]
    assert done == sorted(done) and done[40] == 24 and max(done[:40]) == 23 and done[-1] == 60 and {p.total for p in told} == {60}


def test_a_wish_to_stop_is_heeded_at_any_tick() -> None:
    with pytest.raises(Aborted):
        Clock(lambda progress: None, lambda: True).tick("write", 1, 2)
