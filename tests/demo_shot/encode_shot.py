# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the rendered sequences into source.mp4, truth.mp4 and matte.mkv.

    python encode_shot.py RENDER_DIR          (after make_shot.py RENDER_DIR)

What a camera adds is added here, the same to both clips: a slow exposure
drift, sensor grain, H.264. The grain of a frame is drawn once from a fixed
seed, so outside the matte source and truth are equal but for compression.
Needs numpy, OpenCV and PyAV; takes about half a minute.
"""

import argparse
import pathlib
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

WIDTH, HEIGHT = 640, 360
FPS, FRAMES = 25, 60
SOUND_RATE = 48000
SEED = 20
VISIBLE_CHANGE = 8.0    # of 255: a shadow fainter than this drowns in the grain
NOISE_REACH = 2.5       # pixels: blur that averages the noise of the renders away
SMALLEST_PATCH = 250    # pixels; less is render noise, unless the car is in it
GROW = 4                # pixels around car and shadow
JOIN = 4                # pixels inside the matte over which source turns into truth
GRAIN = 1.0            # of 255, at mid grey
BT709 = 1               # the code of primaries, transfer and matrix alike in H.264


def read_rgba(path):
    """A 16-bit PNG as float RGB in 0..255 and the alpha as a mask."""
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise SystemExit(f"missing render: {path}")
    return stored[..., 2::-1].astype(np.float32) / 257.0, stored[..., 3] > 0


def disc(radius):
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def shadow_of(source, truth, car):
    """Where the ground changed; the car is left out of the blur, which would widen it.

    Only below the middle of the car: its faint mirror image in the window
    panes is too small to ask anyone to mask, and goes out of the source too.
    """
    street = (car <= 4).astype(np.float32)[..., None]
    weight = np.maximum(cv2.GaussianBlur(street, (0, 0), NOISE_REACH), 0.2)[..., None]
    change = np.abs(cv2.GaussianBlur((source - truth) * street, (0, 0), NOISE_REACH)) / weight
    shadow = change.max(axis=2) > VISIBLE_CHANGE
    shadow[:int(np.nonzero(car > 4)[0].mean())] = False
    return shadow


def solid_posts(tracks, frame):
    """Pixels that a post in front of the car covers for as long as the shutter is open."""
    solid = np.ones((HEIGHT, WIDTH), dtype=np.uint8)
    for moment in range(2):
        standing = np.zeros_like(solid)
        for rings in (track[frame - 1, moment] for track in tracks.values()):
            for lower, upper in zip(rings, rings[1:]):
                hull = cv2.convexHull(np.rint(np.concatenate([lower, upper])).astype(np.int32))
                cv2.fillConvexPoly(standing, hull, 1)
        solid &= standing
    return cv2.erode(solid, disc(1)) > 0


def matte_of(source, truth, rendered, car):
    """0/255: the car with its motion blur, and every visible trace of its shadow."""
    seed = (shadow_of(source, truth, car) & rendered | (car > 4)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(seed)
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < SMALLEST_PATCH and not car[labels == label].any():
            seed[labels == label] = 0
    closed = cv2.morphologyEx(cv2.copyMakeBorder(seed, 16, 16, 16, 16, cv2.BORDER_REPLICATE),
                              cv2.MORPH_CLOSE, disc(5))[16:-16, 16:-16]
    return cv2.dilate(closed, disc(GROW)) * 255


def without_outside_changes(source, truth, matte, front):
    """Source inside the matte, truth outside it, joined softly inside the rim.

    The two renders differ everywhere by a trace of bounced light and noise;
    what lies outside the matte has to be the same picture. A post has a sharp
    rim, where the car behind it must not fade.
    """
    padded = cv2.copyMakeBorder(matte | front * np.uint8(255), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    share = (np.clip(depth / JOIN, 0.0, 1.0) * (matte > 0))[..., None]
    return truth + (source - truth) * share


def exposure(frame):
    """Gain per channel: the automatic exposure breathes, the white balance follows a little."""
    share = frame / (FRAMES - 1)
    gain = 0.975 + 0.05 * share + 0.012 * np.sin(2 * np.pi * share * 1.3)
    return gain * np.array([1.0 + 0.006 * (share - 0.5), 1.0, 1.0 - 0.008 * (share - 0.5)], dtype=np.float32)


def grain_of(frame, shape):
    """Slightly soft noise, mostly of brightness, a little of colour."""
    rng = np.random.default_rng((SEED, frame))
    brightness = cv2.GaussianBlur(rng.normal(size=shape[:2]).astype(np.float32), (0, 0), 0.55)
    colour = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), 0.9)
    return GRAIN * (brightness[..., None] / brightness.std() + 0.35 * colour / colour.std())


def as_footage(picture, frame):
    """Exposure, then grain: strongest in the mid tones, weak in deep black and white."""
    exposed = picture * exposure(frame)
    level = np.clip(exposed / 255.0, 0.0, 1.0)
    strength = 0.35 + 2.6 * level * (1.0 - level)
    return np.clip(exposed + grain_of(frame, picture.shape) * strength, 0, 255)


def load_shot(folder):
    """Lists of source, truth (float, before camera effects) and matte, and a note on how equal they were."""
    sources, truths, mattes, traces = [], [], [], []
    tracks = dict(np.load(folder / "front.npz"))
    for frame in range(1, FRAMES + 1):
        name = f"{frame:03d}.png"
        truth, _ = read_rgba(folder / "truth" / name)
        source, rendered = read_rgba(folder / "source" / name)
        car = read_rgba(folder / "car" / name)[0].max(axis=2)
        source = np.where(rendered[..., None], source, truth)
        matte = matte_of(source, truth, rendered, car)
        front = solid_posts(tracks, frame) & (car <= 8)
        matte[front] = 0
        traces.append(np.abs(source - truth).max(axis=2)[matte == 0])
        sources.append(without_outside_changes(source, truth, matte, front))
        truths.append(truth)
        mattes.append(matte)
    return sources, truths, mattes, np.concatenate(traces)


def room_tone():
    """Quiet wind in stereo and the car's hum passing from left to right."""
    rng = np.random.default_rng(SEED)
    count = SOUND_RATE * FRAMES // FPS
    seconds = np.arange(count) / SOUND_RATE
    pitch = np.fft.rfftfreq(count, 1 / SOUND_RATE)
    tone = 1.0 / (1.0 + (pitch / 220.0) ** 1.5) * (pitch > 30)
    wind = np.stack([np.fft.irfft(np.fft.rfft(rng.normal(size=count)) * tone, count) for _ in range(2)])
    wind *= (0.8 + 0.2 * np.sin(2 * np.pi * 0.6 * seconds)) / wind.std()
    hum = sum(np.sin(2 * np.pi * 62.0 * k * seconds) / k for k in (1, 2, 3, 5))
    share = seconds / seconds[-1]
    hum = hum * np.exp(-((share - 0.5) / 0.35) ** 2) * np.stack([np.sqrt(1 - share), np.sqrt(share)])
    return (0.016 * wind + 0.014 * hum).astype(np.float32)


def add_sound(container):
    stream = container.add_stream("aac", rate=SOUND_RATE, layout="stereo")
    stream.bit_rate = 96000
    return stream


def write_sound(container, stream, samples):
    for start in range(0, samples.shape[1], 1024):
        piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start:start + 1024]), "fltp", "stereo")
        piece.sample_rate, piece.pts, piece.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def write_clip(path, pictures, crf, sound=None):
    """H.264 as a camera makes it: 4:2:0, short GOP, two B-frames, BT.709 tags."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.options = {"crf": str(crf), "preset": "slow", "g": "25", "bf": "2", "profile": "high"}
        context = video.codec_context
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = ColorRange.MPEG
        audio = add_sound(container) if sound is not None else None
        for number, picture in enumerate(pictures):
            rgb = av.VideoFrame.from_ndarray(np.rint(picture).astype(np.uint8), "rgb24")
            frame = rgb.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709,
                                 dst_color_range=ColorRange.MPEG)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            write_sound(container, audio, sound)


def write_matte(path, mattes):
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=FPS)
        video.height, video.width = mattes[0].shape
        video.pix_fmt = "gray"
        for number, matte in enumerate(mattes):
            frame = av.VideoFrame.from_ndarray(matte, "gray")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))


def report(sources, truths, mattes, traces, folder):
    cover = np.array([(matte > 0).mean() for matte in mattes])
    outside = [np.abs(s - t).max(axis=2)[m == 0].max() for s, t, m in zip(sources, truths, mattes)]
    print(f"matte covers {cover.mean():.1%} of the frame on average, {cover.max():.1%} at most")
    print(f"renders outside the matte, before they are made equal: mean {traces.mean():.3f}, "
          f"99.9% below {np.quantile(traces, 0.999):.2f}, max {traces.max():.2f} of 255")
    print(f"source and truth outside the matte, before compression: max {max(outside):.4f} of 255")
    for path in sorted(folder.glob("*.m[pk][4v]")):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="the folder make_shot.py rendered to")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent)
    wanted = parser.parse_args()
    sources, truths, mattes, traces = load_shot(wanted.folder)
    sources, truths = ([as_footage(picture, number) for number, picture in enumerate(pictures)]
                       for pictures in (sources, truths))
    write_clip(wanted.out / "source.mp4", sources, 21, room_tone())
    write_clip(wanted.out / "truth.mp4", truths, 17)
    write_matte(wanted.out / "matte.mkv", mattes)
    report(sources, truths, mattes, traces, wanted.out)


if __name__ == "__main__":
    main()
