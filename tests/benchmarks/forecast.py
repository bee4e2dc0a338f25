"""What a check says that a job takes, against what it takes: seconds, memory and disk, each in a process of its own.

    python tests/benchmarks/forecast.py --frames DAVIS/camel/frames --mask DAVIS/camel/masks
    python tests/benchmarks/forecast.py --frames DAVIS/camel/frames --made 854x480 1920x1080 --lengths 30 120 --holes 0.141 0.5 \\
        --presets draft standard [--deep] [--kinds]

`--made` encodes clips (H.264; `--deep`: HEVC, 10 bit) of FRAMES enlarged, forwards and backwards in turn, with a centre rectangle of a
share of its width and height to be removed (0.141: 2% of the picture, 0.5: 25%). Without it FRAMES are taken as they are, and without
`--mask` with the same rectangle. Memory is the process's peak; what is mapped of the work folder counts, and beside it stands what the
process has of its own. `--kinds` says what is in the work folder when it is largest. The run's seconds are those of its processors,
divided by what they are worth side by side: on an idle machine, the clock's.
"""
from __future__ import annotations

import argparse
import itertools
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from measuring import job_of, measured

from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source
from flow_inpaint.side_by_side import workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--mask", type=Path)
    parser.add_argument("--made", metavar="WxH", nargs="*", default=[""])
    parser.add_argument("--lengths", type=int, nargs="*", default=[60])
    parser.add_argument("--holes", type=float, nargs="*", default=[0.25])
    parser.add_argument("--presets", nargs="*", default=["standard"])
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--kinds", action="store_true")
    known = parser.parse_args()
    print(f"{'':36} {'seconds':^15} {'memory MiB':^15} {'disk MiB':^15}")
    print(f"{'size':10} {'hole':>5} {'frames':>6} {'preset':9}    {'check   run':>15} {'check   run':>15} {'check   run':>15} {'own MiB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for size, length in itertools.product(known.made, known.lengths):
            source, width, height, count = _source(known, size, length, Path(folder))
            for hole, preset in itertools.product(known.holes, known.presets):
                job = job_of({"path": source}, width, height, hole, {"preset": preset}, f"{folder}/result.mkv")
                if known.mask:
                    job["mask"] = {"path": str(known.mask.resolve())}
                check, run = (measured(what, job, f"{folder}/cache") for what in ("check", "run"))
                # What the clock says depends on what else the machine does; processor time hardly does.
                run["idle"] = run["cpu"] / max(workers() * 0.87, 1)
                pairs = (("seconds", "idle", 1), ("memory_mib", "memory_mib", 0), ("disk_mib", "disk_mib", 0))
                columns = " ".join(f"{check[said]:5.{digits}f} {run[found]:5.{digits}f} {_ratio(check[said], run[found])}" for said, found, digits in pairs)
                print(f"{f'{width}x{height}':10} {hole:5.3f} {count:6} {preset:9}    {columns} {run['own_mib']:8.0f}", flush=True)
                if known.kinds:
                    print("    " + ", ".join(f"{kind} {size:.1f}" for kind, size in sorted(run["kinds"].items(), key=lambda one: -one[1])))


def _ratio(said: float, found: float) -> str:
    return f"{said / max(found, 1e-9):4.2f}"


def _source(known: argparse.Namespace, size: str, length: int, folder: Path) -> tuple[str, int, int, int]:
    """The footage, its width and height, and how many frames it has."""
    frames = known.frames.resolve()
    if size:
        width, height = map(int, size.split("x"))
        return made(frames, width, height, length, folder / f"{size}-{length}.mp4", deep=known.deep), width, height, length
    with open_source(ClipSpec(frames)) as opened:
        return str(frames), opened.info.width, opened.info.height, opened.info.count


def made(frames: Path, width: int, height: int, length: int, path: Path, *, deep: bool = False) -> str:
    """A clip of so many frames. A whole turn there and back is encoded once, however often it is shown."""
    names = sorted(frames.iterdir())
    turn = [*names, *names[-2:0:-1]]
    codec, options = ("libx265", {"preset": "ultrafast", "x265-params": "log-level=error"}) if deep else ("libx264", {"preset": "veryfast"})
    settings = {"width": width, "height": height, "pix_fmt": "yuv420p10le" if deep else "yuv420p", "options": {"crf": "18"} | options}
    with av.open(str(path), "w") as container:
        stream = _with(container.add_stream(codec, rate=25), settings)
        whole: list[av.Packet] = []
        for begin in range(0, length, len(turn)):
            some = turn[: length - begin]
            if whole and len(some) == len(turn):
                packets = whole
            else:
                encoder = _with(av.CodecContext.create(codec, "w"), settings | {"time_base": Fraction(1, 25), "framerate": 25})
                packets = _encoded(encoder, some, deep=deep)
                whole = whole or packets
            for packet in packets:
                container.mux(_later(packet, begin, stream))
    return str(path)


def _with(encoder: Any, settings: dict[str, Any]) -> Any:
    for name, value in settings.items():
        setattr(encoder, name, value)
    return encoder


def _encoded(encoder: av.VideoCodecContext, names: list[Path], *, deep: bool) -> list[av.Packet]:
    packets = []
    for name in names:
        picture = cv2.imread(str(name))[..., ::-1]
        if deep:
            picture = picture.astype(np.float32) * 257
        picture = cv2.resize(picture, (encoder.width, encoder.height), interpolation=cv2.INTER_CUBIC)
        if deep:
            picture = np.clip(np.rint(picture), 0, 65535).astype(np.uint16)
        packets += encoder.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb48le" if deep else "rgb24"))
    return packets + encoder.encode(None)


def _later(packet: av.Packet, frames: int, stream: av.VideoStream) -> av.Packet:
    """A copy of a packet, so many frames later, for a stream."""
    again = av.Packet(bytes(packet))
    again.pts, again.dts, again.time_base = packet.pts + frames, packet.dts + frames, packet.time_base
    again.is_keyframe, again.duration, again.stream = packet.is_keyframe, packet.duration, stream
    return again


if __name__ == "__main__":
    main()
