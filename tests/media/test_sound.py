"""Sound in results: the source's packets, all of them, of every track, where they belong in time."""
from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import counter_rgb
from rendering import ENDINGS, render

RATE = 48000


def clip(path: Path, sounds: Sequence[str], seconds: int = 3, apart: float = 0.0) -> Path:
    """A video of 25 frames a second with several tracks of rising tones. `apart`: the file has so many seconds of one
    stream, then as many of the next, as some recorders and fragmented files have them."""
    with av.open(str(path), "w", container_options={"max_interleave_delta": "1"} if apart else {}) as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        tracks = [out.add_stream(sound, rate=RATE, layout="stereo") for sound in sounds]
        packets: list[tuple[int, av.Packet]] = []
        for k in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(counter_rgb(k), "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            packets += [(0, packet) for packet in video.encode(frame)]
        packets += [(0, packet) for packet in video.encode(None)]
        for number, track in enumerate(tracks, 1):
            packets += [(number, packet) for packet in encoded_sweep(track, seconds, number)]

        def place(item: tuple[int, av.Packet]) -> tuple[float, int]:
            time = float(item[1].dts * item[1].time_base)
            return (time // apart, item[0]) if apart else (time, item[0])

        for _, packet in sorted(packets, key=place):
            out.mux_one(packet)
    return path


def encoded_sweep(track: av.audio.AudioStream, seconds: int, number: int) -> list[av.Packet]:
    time = np.arange(seconds * RATE) / RATE
    wave = (0.5 * np.sin(2 * np.pi * (200 + 100 * number + 300 * time) * time)).astype(np.float32)
    resampler = av.AudioResampler(format=track.codec_context.format.name, layout="stereo", rate=RATE)
    found: list[av.Packet] = []
    for start in range(0, len(wave), 4800):
        frame = av.AudioFrame.from_ndarray(np.repeat(wave[start : start + 4800], 2)[None], "flt", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        for resampled in resampler.resample(frame):
            found += track.encode(resampled)
    return found + track.encode(None)


def packets_of(path: Path, track: int) -> dict[bytes, float]:
    """What each packet of a track holds, with its time."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        return {bytes(packet): float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.size}


def heard(path: Path, track: int, seconds: float) -> np.ndarray:
    """The samples of a track from time 0 on, as a player plays them."""
    samples = np.zeros(round(seconds * RATE))
    with av.open(str(path)) as container:
        to_float = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        at = None
        for frame in container.decode(container.streams.audio[track]):
            at = round(float(frame.pts * frame.time_base) * RATE) if at is None else at
            values = np.concatenate([part.to_ndarray()[0] for part in to_float.resample(frame)])
            shown = values[max(-at, 0) :][: max(len(samples) - max(at, 0), 0)]
            samples[max(at, 0) : max(at, 0) + len(shown)] = shown
            at += len(values)
    return samples


@pytest.mark.parametrize("format", ["ffv1", "prores", "h264"])
def test_tracks_that_lie_far_apart_in_the_file(tmp_path: Path, format: str) -> None:
    footage = clip(tmp_path / "a.mkv", ["ac3", "aac"], apart=1)
    result, notes = render(footage, tmp_path / ENDINGS[format], format, frames=(10, 40))
    assert notes == []
    for track in (0, 1):
        kept = packets_of(result.path, track)
        inside = {packet: time - 0.4 for packet, time in packets_of(footage, track).items() if 0.4 <= time < 1.64}
        assert len(inside) > 30 and not inside.keys() - kept.keys()
        assert max(abs(kept[packet] - time) for packet, time in inside.items()) < 0.002


@pytest.mark.parametrize(("name", "sound", "format"), [
    ("a.mp4", "aac", "prores"), ("a.mp4", "aac", "h264"), ("a.mkv", "libopus", "ffv1"), ("a.mkv", "ac3", "ffv1"), ("a.mkv", "aac", "ffv1"),
    ("a.mkv", "ac3", "prores"), ("a.mov", "pcm_s24le", "prores"),
])  # fmt: skip
def test_sound_is_whole_from_its_first_sample_on(tmp_path: Path, name: str, sound: str, format: str) -> None:
    footage = clip(tmp_path / name, [sound], seconds=1)
    result, notes = render(footage, tmp_path / ENDINGS[format], format)
    assert notes == [] and b"".join(packets_of(footage, 0)) == b"".join(packets_of(result.path, 0))  # MOV cuts PCM anew
    # The header of MP4 counts what is before the beginning in thousandths of a second.
    before = heard(footage, 0, 1)
    moved = [float(np.abs(np.roll(heard(result.path, 0, 1), shift) - before)[200:2000].max()) for shift in range(-48, 49)]
    assert min(moved) < 1e-4
    with av.open(str(result.path)) as container:
        assert next(packet.pts for packet in container.demux(video=0)) == 0


@pytest.mark.parametrize("sound", ["aac", "pcm_s16le"])
@pytest.mark.parametrize("format", ["prores", "h264"])
def test_sound_begins_where_the_frames_do(tmp_path: Path, sound: str, format: str) -> None:
    footage = clip(tmp_path / "a.mov", [sound])
    result, notes = render(footage, tmp_path / ENDINGS[format], format, frames=(31, 60))
    assert notes == []
    expected = heard(footage, 0, 3)[round(31 * RATE / 25) :]
    np.testing.assert_allclose(heard(result.path, 0, 1)[:40000], expected[:40000], atol=1e-4)


def test_the_tracks_that_the_container_cannot_hold_are_left_out(tmp_path: Path) -> None:
    footage = clip(tmp_path / "a.mkv", ["flac", "ac3", "libopus"], seconds=1)
    result, notes = render(footage, tmp_path / "out.mov", "prores")
    assert notes == ["out.mov does not have all of the sound: its format cannot hold flac, opus."]
    assert packets_of(result.path, 0).keys() == packets_of(footage, 1).keys()
    with av.open(str(result.path)) as container:
        assert len(container.streams.audio) == 1


def test_a_container_that_says_only_at_its_end_that_it_cannot_hold_it(tmp_path: Path) -> None:
    footage = clip(tmp_path / "a.mkv", ["pcm_s16le"], seconds=1)  # does not say which channels they are, and MP4 has to
    result, notes = render(footage, tmp_path / "out.mp4", "h264")
    assert result.path.exists()
    assert notes in ([], ["out.mp4 has no sound: its format cannot hold pcm_s16le."])
