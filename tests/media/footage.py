"""Small synthetic clips whose frame numbers can be read from their pixels."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS, CELL = 10, 8


def counter_rgb(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    """(H, W, 3) uint8: a moving texture, and the number in black and white cells along the top."""
    y, x = np.mgrid[:height, :width]
    waves = [128 + 60 * np.sin((x + 2 * number) / 9 + i) + 40 * np.cos((y - number) / 7 + 2 * i) for i in range(3)]
    rgb = np.stack(waves, axis=-1).clip(0, 255).astype(np.uint8)
    for bit in range(BITS):
        rgb[:CELL, bit * CELL : (bit + 1) * CELL] = 255 if number >> bit & 1 else 0
    return rgb


def counter_of(rgb: np.ndarray) -> int:
    """The number that `counter_rgb` wrote, from RGB of any depth."""
    white = np.iinfo(rgb.dtype).max if rgb.dtype.kind == "u" else 1.0
    cells = rgb[:CELL, : BITS * CELL].reshape(CELL, BITS, CELL, 3).astype(np.float64).mean(axis=(0, 2, 3)) > white / 2
    return int(sum(1 << bit for bit, on in enumerate(cells) if on))


def encode(
    path: Path,
    count: int = 30,
    *,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: Fraction | int = 25,
    options: dict[str, str] | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    stamp: Callable[[int], int] = lambda k: k,
    sound: str | None = None,
    picture: Callable[[int, int, int], np.ndarray] = counter_rgb,
    tags: dict[str, int] | None = None,
    pixel_aspect: Fraction | None = None,
    setup: Callable[[av.VideoStream], None] | None = None,
) -> Path:
    """Writes a counter clip. `sound` is an audio codec: a tone of 440 Hz whose loudness rises with time."""
    with av.open(str(path), "w", format=container, options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = 1 / Fraction(rate)
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if setup:
            setup(stream)
        tone = out.add_stream(sound, rate=48000) if sound else None
        for k in range(count):
            frame = av.VideoFrame.from_ndarray(picture(k, *size), "rgb24")
            for name, value in (tags or {}).items():
                setattr(frame, name, value)
            if pixel_format not in ("rgb24", "gbrp"):
                frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = stamp(k), 1 / Fraction(rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if tone is not None:
            for packet in _tone(tone, count / Fraction(rate)):
                out.mux(packet)
    return path


def _tone(stream: av.AudioStream, seconds: Fraction) -> Iterable[av.Packet]:
    samples = int(seconds * 48000)
    time = np.arange(samples) / 48000
    wave = (np.sin(2 * np.pi * 440 * time) * time / max(float(seconds), 1e-9)).astype(np.float32)
    resampler = av.AudioResampler(format=stream.codec_context.format.name, layout=stream.codec_context.layout.name, rate=48000)
    for start in range(0, samples, 4800):
        frame = av.AudioFrame.from_ndarray(np.repeat(wave[start : start + 4800], 2)[None], "flt", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        for resampled in resampler.resample(frame):
            yield from stream.encode(resampled)
    yield from stream.encode(None)


def decoded(path: Path, **conversion: object) -> list[np.ndarray]:
    """Every frame as RGB, in order, decoded plainly from the start."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24", **conversion) for frame in container.decode(video=0)]


def decoded_planes(path: Path) -> list[list[np.ndarray]]:
    """Every frame's planes, in order."""
    with av.open(str(path)) as container:
        return [[_plane(plane, frame) for plane in frame.planes] for frame in container.decode(video=0)]


def _plane(plane: av.video.plane.VideoPlane, frame: av.VideoFrame) -> np.ndarray:
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    bits = frame.format.components[0].bits
    packed = 4 if frame.format.name in ("bgr0", "bgra") else 1
    return rows[:, : plane.width * packed * (2 if bits > 8 else 1)].copy()
