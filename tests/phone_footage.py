"""Footage as phones and screen recorders store it: turned, trimmed by an edit list, of a variable frame rate."""
from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

Draw = Callable[[int, int, int], np.ndarray]

#: Display matrices (16.16 fixed point, ISO 14496-12) by how many quarter turns to the left make the stored picture upright.
MATRICES = {1: (0, -1, 1, 0), 2: (-1, 0, 0, -1), 3: (0, 1, -1, 0)}
MIRRORED = (-1, 0, 0, 1)


def write(
    path: Path,
    stamps: Sequence[int],
    draw: Draw,
    size: tuple[int, int],
    *,
    unit: Fraction = Fraction(1, 600),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    matrix: tuple[int, int, int, int] | None = None,
    sound: bool = False,
    site: str | None = None,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Frame k of `draw(k, width, height)` is shown at `stamps[k]` units; `matrix` is what is to be done to it for viewing."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=30, options=(options or {}) | ({"chroma_sample_location": site} if site else {}))
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        stream.codec_context.time_base = unit
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if matrix:
            a, b, c, d = (value << 16 for value in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        tone = out.add_stream("aac", rate=48000, layout="mono") if sound else None
        for k, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(draw(k, *size), "rgb24")
            if pixel_format != "rgb24":
                frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = stamp, unit
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if tone is not None:
            _clicks(out, tone, [stamp * unit for stamp in stamps])
    return path


def _clicks(out: av.container.OutputContainer, tone: av.AudioStream, times: Sequence[Fraction]) -> None:
    """Half a second of sound after the last picture; a click where every tenth picture appears."""
    wave = np.zeros(int((times[-1] + Fraction(1, 2)) * 48000), np.float32)
    for time in times[10::10]:
        start = round(time * 48000)
        wave[start : start + 480] = 0.9 * np.sin(np.arange(480) * 0.4)
    for start in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        out.mux(tone.encode(frame))
    out.mux(tone.encode(None))


def clicks(path: Path) -> list[float]:
    """When the clicks begin, in seconds."""
    heard: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray().reshape(-1, frame.samples if frame.format.is_planar else 1)).max(axis=0)
            for place in np.flatnonzero(samples > 0.3):
                time = float(frame.pts * frame.time_base) + place / frame.sample_rate
                if not heard or time - heard[-1] > 0.03:
                    heard.append(time)
                else:
                    heard[-1] = max(heard[-1], time)  # the end of the same click
    return [time - 480 / 48000 for time in heard]


def jittery(count: int, seed: int = 5) -> list[int]:
    """Times in 1/600 s of frames at 30 a second that are up to 0.4 of a frame late or early, as a busy phone's are."""
    chance = random.Random(seed)
    times = [20 * k + chance.randint(-8, 8) for k in range(count)]
    return [time - times[0] for time in times]


def darkening(count: int) -> list[int]:
    """Times in 1/600 s of 30 frames a second, and of 24 a second from the middle on, as a phone has it in the dark."""
    times = [0]
    for k in range(1, count):
        times.append(times[-1] + (20 if k < count // 2 else 25))
    return times


def recording(count: int, seed: int = 5) -> list[int]:
    """Times in 1/600 s of pictures that came when something had changed on a screen."""
    chance = random.Random(seed)
    times = [0]
    for _ in range(1, count):
        times.append(times[-1] + 10 * chance.choice([1, 1, 1, 2, 5, 9]))
    return times


def trimmed(path: Path, whole: Path, head: float, tail: float | None = None) -> Path:
    """`whole` without its first `head` seconds and what comes after `tail` seconds, not encoded again: an edit list hides the rest.

    As FFmpeg does it for the head; the end is hidden by shortening the edit in the file itself.
    """
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"movie_timescale": "600"}) as out:
        streams = [*source.streams.video, *source.streams.audio]
        targets = {stream.index: out.add_stream_from_template(stream) for stream in streams}
        for packet in source.demux(*streams):
            if packet.dts is None:
                continue
            offset = round(Fraction(head) / packet.time_base)
            packet.pts -= offset
            packet.dts -= offset
            packet.stream = targets[packet.stream_index]
            out.mux(packet)
    if tail is not None:
        _shorten(path, round((tail - head) * 600))
    return path


def _shorten(path: Path, duration: int) -> None:
    """Makes the (one) edit of the first track that long, in 1/600 s."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4
    assert data[at] == 0 and int.from_bytes(data[at + 4 : at + 8], "big") == 1
    data[at + 8 : at + 12] = duration.to_bytes(4, "big")
    path.write_bytes(data)
