"""A child process that reads what it is told to, one request a line: {"do": "read" | "job", ...}. Answers with one line each.

What a file makes of it shall not matter to the process that asks: memory is limited, and it may be killed.
"""
from __future__ import annotations

import json
import resource
import sys
import traceback
from pathlib import Path

import numpy as np
from flow_inpaint.errors import FlowInpaintError
from flow_inpaint.job import ClipSpec, Job
from flow_inpaint.media import open_source
from flow_inpaint.pipeline import run

MEMORY = 3 << 30
MOST = 64


def read(path: Path, **_: object) -> dict[str, object]:
    """All pictures of a clip, each of the shape and type that was announced."""
    with open_source(ClipSpec(path)) as source:
        info, seen = source.info, 0
        for picture in source.read(0, min(info.count, MOST) - 1):
            rgb, alpha = picture.rgb, picture.alpha
            assert rgb.shape == (info.height, info.width, 3) and rgb.dtype == info.dtype, (rgb.shape, rgb.dtype, info)
            assert (alpha is not None) == info.has_alpha and (alpha is None or alpha.shape == rgb.shape[:2])
            assert np.isfinite(rgb).all() and (alpha is None or np.isfinite(alpha).all()), "numbers that are none"
            seen += 1
        assert seen == min(info.count, MOST), "frames are lacking"
        return {"frames": info.count, "clip": info.clip_count}


def job(document: dict, **_: object) -> dict[str, object]:
    """A whole run: the output is complete, or not there."""
    output = Path(document["output"]["path"])
    try:
        result = run(Job.from_document(document))
    except BaseException:
        left = [path.name for path in output.parent.iterdir()] if output.parent.exists() else []
        assert not left, f"left behind: {left}"
        raise
    with open_source(ClipSpec(output)) as source:
        assert source.info.count == result.frames
        assert sum(1 for _ in source.read(0, result.frames - 1)) == result.frames
    return {"frames": result.frames}


def answer(request: dict) -> dict[str, object]:
    try:
        return {"read": read, "job": job}[request.pop("do")](**{k: Path(v) if k == "path" else v for k, v in request.items()})
    except FlowInpaintError as error:
        text = str(error)
        good = text and "\n" not in text and text.endswith(".") and "went wrong inside" not in text
        return {"refused": text} if good else {"wrong": f"no sentence: {text!r}"}
    except MemoryError:
        return {"wrong": "MemoryError:\n" + traceback.format_exc()}
    except BaseException:
        return {"wrong": traceback.format_exc()}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
