"""Timecode: the label of a file's first frame (SMPTE 12M), and that of a later one."""
from __future__ import annotations

import re
from fractions import Fraction

import av

_LABEL = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d\d+)")


def timecode_of(container: av.container.InputContainer) -> str | None:
    """What the file says about its first frame, or None."""
    for part in (*container.streams.video, container, *container.streams.data):
        for name, value in part.metadata.items():
            if name.lower() == "timecode" and _LABEL.fullmatch(value.strip()):
                return value.strip()
    return None


def later(label: str, frames: int, rate: Fraction) -> str | None:
    """The label `frames` after `label`; None where that one is no label at this rate.

    Where labels are dropped to keep up with the clock (a `;`), the first ones of every minute but the tenth are left out.
    """
    found = _LABEL.fullmatch(label)
    second = round(rate)
    if found is None or second < 1 or int(found[5]) >= second:
        return None
    hours, minutes, seconds, frame = (int(found[k]) for k in (1, 2, 3, 5))
    dropped = second // 15 if found[4] != ":" and second % 30 == 0 else 0
    minute = hours * 60 + minutes
    count = (minute * 60 + seconds) * second + frame - dropped * (minute - minute // 10) + frames
    long = 600 * second - 9 * dropped  # frames in ten minutes
    count %= 144 * long
    tens, rest = divmod(count, long)
    if rest >= 60 * second:
        count += dropped * (9 * tens + 1 + (rest - 60 * second) // (60 * second - dropped))
    else:
        count += dropped * 9 * tens
    whole, frame = divmod(count, second)
    width = len(str(second - 1))
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{found[4]}{frame:0{max(width, 2)}d}"
