"""How often a host hears of progress."""

from __future__ import annotations

import pytest
from fake_pipeline import Progress

from flow_inpaint.progress_bar import Pace


def progress(fraction, eta=None):
    return Progress("flow", 0, 1, fraction, eta)


def test_pace():
    now, sent = [0.0], []
    pace = Pace(sent.append, 0.1, lambda: now[0])
    for at, fraction in ((0.0, 0.2), (0.05, 0.4), (0.11, 0.3), (0.15, 0.9), (0.16, 1.0), (0.17, 1.0), (0.5, 0.1)):
        now[0] = at
        pace(progress(fraction))
    assert [p.fraction for p in sent] == [0.2, 0.4, 1.0, 1.0]


@pytest.mark.parametrize("fraction", [float("nan"), -1.0, float("-inf")])
def test_pace_takes_any_number(fraction):
    sent = []
    Pace(sent.append)(progress(fraction, float("inf")))
    assert sent == [progress(0.0, None)]
    Pace(sent.append)(progress(7.0, float("nan")))
    assert sent[1] == progress(1.0, None)
