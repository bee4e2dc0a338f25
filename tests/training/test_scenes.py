from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from flow_inpaint.training import scene_motion, scene_shapes, scene_textures, scenes
from flow_inpaint.training.chance import Draws
from flow_inpaint.training.noise import as_unit, fractal, scramble
from flow_inpaint.training.scenes import Clips, SceneSettings, TextureBank, generate
from torch import Tensor

SIZE = (96, 160)
PLAIN = SceneSettings(size=SIZE, frames=6, photometry=False)
FILMED = replace(PLAIN, photometry=True)
#: Nothing but a background that stands still.
BARE = SceneSettings(
    size=SIZE, frames=6, layers=(1, 1), static=1, shake=0, zoom=0, perspective=0, ground=0, moving=0, deformation=0, thin=0, motion_blur=0,
    grain=0, exposure=0, colour_drift=0, softness=0, compression=0, vignette=0, shadow=0,
)  # fmt: skip


def warped(picture: Tensor, flow: Tensor) -> Tensor:
    h, w = flow.shape[2:]
    x, y = torch.arange(w) + flow[:, 0], torch.arange(h)[:, None] + flow[:, 1]
    return F.grid_sample(picture, torch.stack([x * 2 / (w - 1) - 1, y * 2 / (h - 1) - 1], -1), padding_mode="border", align_corners=True)


def both_ways(clips: Clips) -> list[tuple[Tensor, ...]]:
    """Of each direction: pictures here and there, flow there and back, what is occluded."""
    first, last = clips.frames[:, :-1].flatten(0, 1), clips.frames[:, 1:].flatten(0, 1)
    forward, backward = clips.forward.flatten(0, 1), clips.backward.flatten(0, 1)
    gone, new = clips.occluded_forward.flatten(0, 1), clips.occluded_backward.flatten(0, 1)
    return [(first, last, forward, backward, gone), (last, first, backward, forward, new)]


def near_steps(flow: Tensor, step: float = 0.3, around: int = 2) -> Tensor:
    """(N, H, W): where the flow changes abruptly, and beside it."""
    dy, dx = F.pad(flow.diff(dim=2), (0, 0, 0, 1)), F.pad(flow.diff(dim=3), (0, 1))
    steep = (dy.abs() + dx.abs()).sum(1, keepdim=True) > step
    return F.max_pool2d(steep.float(), 2 * around + 1, 1, around)[:, 0] > 0


@pytest.fixture(scope="module")
def plain() -> Clips:
    return generate(5, 16, PLAIN)


def equal(a: Clips, b: Clips) -> bool:
    return all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Clips))


# ---- what comes out


def test_clips_have_the_promised_shapes_and_ranges() -> None:
    clips = generate(0, 3, FILMED)
    assert clips.frames.shape == (3, 6, 3, *SIZE) and clips.frames.dtype == torch.float32
    assert clips.frames.min() >= 0 and clips.frames.max() <= 255
    for flow in (clips.forward, clips.backward):
        assert flow.shape == (3, 5, 2, *SIZE) and flow.dtype == torch.float32 and flow.isfinite().all()
    for hidden in (clips.occluded_forward, clips.occluded_backward):
        assert hidden.shape == (3, 5, *SIZE) and hidden.dtype == torch.bool


def test_highlights_keep_their_detail(plain: Clips) -> None:
    """Even under the brightest light, and with nothing to cut it off afterwards."""
    bright = generate(101, 16, replace(PLAIN, frames=2)).frames
    for frames in (plain.frames, bright):
        assert frames.min() >= 0 and frames.max() <= 255
    assert (bright >= 253).float().mean((1, 2, 3, 4)).max() < 0.1
    assert (bright > 200).any()


def test_frames_are_pictures_and_not_grey_cards(plain: Clips) -> None:
    deviation = plain.frames.std((1, 2, 3, 4))
    assert plain.frames.mean() > 50 and plain.frames.mean() < 170
    assert (deviation > 4).all() and deviation.median() > 25


def test_speeds_are_those_of_footage() -> None:
    speed = generate(3, 48, replace(PLAIN, frames=4)).forward.square().sum(2).sqrt().flatten() * 480 / SIZE[0]
    half, most, fastest = torch.quantile(speed[::29], torch.tensor([0.5, 0.95, 1.0]))
    assert 1 < half < 10
    assert 10 < most < 40
    assert 20 < fastest < 110


# ---- exactness


@pytest.fixture
def smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textures without the detail that is lost between pixels."""
    paint = scene_textures.paint

    def blurred(*given) -> Tensor:
        picture = paint(*given)
        for _ in range(3):
            picture = F.avg_pool2d(F.pad(picture, (2, 2, 2, 2), mode="reflect"), 5, 1)
        return picture

    monkeypatch.setattr(scene_textures, "paint", blurred)


def test_flow_takes_every_visible_pixel_to_its_like(smooth: None) -> None:
    for here, there, flow, _, hidden in both_ways(generate(5, 16, PLAIN)):
        error = (warped(there, flow) - here).abs().mean(1)[~hidden]
        # What is left are the anti-aliased outlines, whose pixels mix two layers' colours.
        assert error.median() < 0.1 and torch.quantile(error[::3], 0.9) < 1 and error.mean() < 1


def test_without_outlines_not_one_pixel_is_astray(smooth: None) -> None:
    settings = replace(PLAIN, layers=(1, 1), static=0, zoom=1, shake=1, perspective=1, deformation=1)
    for here, there, flow, _, hidden in both_ways(generate(5, 12, settings)):
        error = (warped(there, flow) - here).abs().mean(1)[~hidden]
        assert error.mean() < 0.15 and error.max() < 4


def test_pixel_sharp_footage_is_lost_to_sampling_only(plain: Clips) -> None:
    for here, there, flow, _, hidden in both_ways(plain):
        right, beside = ((warped(there, f) - here).abs().mean(1)[~hidden] for f in (flow, flow + 0.5))
        assert right.median() < 1.5 and torch.quantile(right[::5], 0.9) < 10
        assert right.mean() < 0.6 * beside.mean()


def test_flow_there_and_back_ends_where_it_began(plain: Clips) -> None:
    for _, _, flow, back, hidden in both_ways(plain):
        astray = (flow + warped(back, flow)).square().sum(1).sqrt()
        seen = ~hidden
        assert (astray[seen] < 0.05).float().mean() > 0.95
        # Between two layers' pixels the way back is a mixture of theirs.
        clear = seen & ~(warped(near_steps(back, 0.1)[:, None].float(), flow)[:, 0] > 0)
        assert (astray[clear] < 0.05).float().mean() > 0.999
        assert torch.quantile(astray[clear][::3], 0.99) < 0.005


def test_occlusion_is_where_the_way_back_goes_elsewhere(plain: Clips) -> None:
    h, w = SIZE
    found = checked = 0
    for _, _, flow, back, hidden in both_ways(plain):
        x, y = torch.arange(w) + flow[:, 0], torch.arange(h)[:, None] + flow[:, 1]
        within = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
        assert hidden[~within].all()
        astray = (flow + warped(back, flow)).square().sum(1).sqrt()
        edge = near_steps(flow, 0.1, 1) | (warped(near_steps(back, 0.1, 1)[:, None].float(), flow)[:, 0] > 0)
        # Away from outlines, where half a pixel decides, both ways of asking agree.
        assert (hidden & within & ~edge & (astray < 0.01)).sum() < 0.001 * hidden.numel()
        assert not (~hidden & ~edge & (astray > 0.5)).any()
        checked += int((hidden & within & ~edge).sum())
        found += int((hidden & within & (astray > 0.5)).sum())
    assert checked > 100 and found > 1000


def test_a_camera_that_moves_before_a_wall_moves_all_of_it_smoothly() -> None:
    clips = generate(2, 6, replace(BARE, static=0, camera_speed=(5, 10), photometry=False))
    assert not near_steps(clips.forward.flatten(0, 1), 0.1).any()
    assert (clips.forward.square().sum(2).sqrt().mean((1, 2, 3)) > 0.3).all()


def test_nothing_moves_where_nothing_is_to_move() -> None:
    clips = generate(0, 2, BARE)
    assert clips.forward.abs().max() < 1e-3 and not clips.occluded_forward.any()
    assert torch.equal(clips.frames[:, 0], clips.frames[:, -1])


def test_near_layers_go_by_faster_than_far_ones() -> None:
    settings = replace(PLAIN, layers=(5, 5), moving=0, deformation=0, perspective=0, static=0, shake=0, zoom=0, ground=0)
    motion = scenes._draw(1, 0, 64, settings).motion
    middle = motion.maps[..., :2, 2] / motion.maps[..., 2:, 2]
    speed = middle.diff(dim=2).norm(dim=-1).mean(2)
    assert (speed[:, -1] > 1.2 * speed[:, 0]).float().mean() > 0.5


def test_bending_can_be_undone_exactly() -> None:
    waves = torch.from_numpy(np.random.default_rng(0).uniform(-0.2, 0.2, (4, 4, 1))).double()
    waves[:, 3] = 4
    x, y = torch.rand(2, 500, dtype=torch.float64) * 200
    there = scene_motion.bent(x, y, waves)
    assert (there[0] - x).abs().max() > 2
    torch.testing.assert_close(scene_motion.bent(*there, waves, back=True), (x, y), rtol=0, atol=1e-9)


def test_no_layer_comes_behind_the_camera() -> None:
    scene = scenes._draw(4, 0, 400, SceneSettings())
    h, w = SceneSettings().size
    x, y = torch.tensor([-1.0, 1, -1, 1]) * (w - 1) / 2, torch.tensor([-1.0, -1, 1, 1]) * (h - 1) / 2
    back = torch.linalg.inv(scene.motion.maps[:, 0])
    depth = back[..., 2, 0, None] * x + back[..., 2, 1, None] * y + back[..., 2, 2, None]
    assert depth.min() > 0.2, "the background has a horizon in the picture"
    assert scene.motion.maps[..., 2, 2].min() > 0.2


# ---- the same again


def test_the_same_seed_makes_the_same_clips() -> None:
    assert equal(generate(9, 2, FILMED), generate(9, 2, FILMED))
    assert not torch.equal(generate(9, 1, FILMED).frames, generate(10, 1, FILMED).frames)


def test_motion_alone_is_that_of_the_pictures() -> None:
    settings = SceneSettings(size=SIZE, frames=6, motion_blur=0.5, deformation=0.5)
    whole, motion = generate(3, 8, settings), generate(3, 8, settings, pictures=False)
    assert motion.frames.shape == (8, 0, 3, *SIZE)
    for name in ("forward", "backward", "occluded_forward", "occluded_backward"):
        assert torch.equal(getattr(motion, name), getattr(whole, name))


def test_samples_differ_from_each_other() -> None:
    frames = generate(9, 4, FILMED).frames
    assert len({round(float(mean), 3) for mean in frames.mean((1, 2, 3, 4))}) == 4


@pytest.mark.parametrize("at_once", [{"cpu": 1}, {"cpu": 3}, {}])
def test_a_sample_does_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch, at_once: dict[str, int]) -> None:
    alone = [generate(6, 1, FILMED, first=k) for k in range(4)]
    monkeypatch.setattr(scenes, "_AT_ONCE", at_once)
    together = generate(6, 4, FILMED)
    for field in fields(Clips):
        apart = torch.cat([getattr(clips, field.name) for clips in alone]).float()
        wrong = (getattr(together, field.name).float() - apart).abs()
        # A rounded level, or a pixel on an outline, may tip over on the last bit.
        assert (wrong > 2e-3).float().mean() < 2e-4, field.name


def test_the_caller_s_random_numbers_are_left_alone() -> None:
    torch.manual_seed(1)
    generate(1, 1, FILMED)
    found = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(found, torch.rand(3))


def test_a_device_is_never_waited_for() -> None:
    """On the device that holds no data, nothing can be read back, and nothing can be mixed with the CPU's."""
    bank = TextureBank(torch.zeros(3, 3, 100, 100, dtype=torch.uint8))
    for textures in (None, bank, bank.to("meta")):
        clips = generate(1, 12, replace(FILMED, grain=0, bank=textures), "meta")
        assert clips.frames.device.type == clips.occluded_backward.device.type == "meta"


# ---- what can be switched

ONE = replace(BARE, photometry=True, layers=(3, 3), static=0, camera_speed=(8, 8), frames=4)
SEEN_ONLY = ("motion_blur", "grain", "exposure", "colour_drift", "softness", "compression", "vignette", "shadow")
MOVED = ("static", "shake", "zoom", "perspective", "ground", "moving", "deformation", "thin")


@pytest.mark.parametrize("name", SEEN_ONLY)
def test_what_a_film_looks_like_changes_the_frames_and_nothing_else(name: str) -> None:
    without, with_it = generate(1, 4, ONE), generate(1, 4, replace(ONE, **{name: 1.0}))
    assert ((without.frames - with_it.frames).abs().mean((1, 2, 3, 4)) > 0.02).all()
    assert all(torch.equal(getattr(without, f.name), getattr(with_it, f.name)) for f in fields(Clips)[1:])
    hidden = generate(1, 4, replace(ONE, photometry=False)), generate(1, 4, replace(ONE, photometry=False, **{name: 1.0}))
    assert equal(*hidden)


@pytest.mark.parametrize("name", MOVED)
def test_what_is_shown_changes_the_motion(name: str) -> None:
    base = replace(ONE, photometry=False)
    without, with_it = generate(1, 6, base), generate(1, 6, replace(base, **{name: 1.0}))
    assert ((without.forward - with_it.forward).abs().mean((1, 2, 3, 4)) > 1e-3).float().mean() > 0.6


def test_blur_follows_the_motion() -> None:
    fast = replace(BARE, static=0, camera_speed=(25, 25), frames=4)
    sharp, smeared = generate(4, 6, fast), generate(4, 6, replace(fast, motion_blur=1.0))
    detail = [[clips.frames.diff(dim=d).abs().mean((1, 2, 3, 4)) for d in (3, 4)] for clips in (smeared, sharp)]
    down, right = (left / had for left, had in zip(*detail))
    rightwards, downwards = sharp.forward.abs().mean((1, 3, 4)).unbind(1)
    assert (right < down)[rightwards > 2 * downwards].all() and (down < right)[downwards > 2 * rightwards].all()
    assert torch.minimum(right, down).min() < 0.8


def test_grain_is_new_in_every_frame_and_the_channels_share_it() -> None:
    noise = generate(3, 4, replace(BARE, grain=1)).frames - generate(3, 4, BARE).frames
    deviation = noise.std((1, 2, 3, 4))
    assert (deviation > 0.2).all() and (deviation < 10).all()
    sample = noise[deviation.argmax()].flatten(2)
    assert abs(np.corrcoef(sample[0, 0], sample[1, 0])[0, 1]) < 0.05
    assert np.corrcoef(sample[0, 0], sample[0, 1])[0, 1] > 0.1


def test_thin_things_are_thin_and_move_apart_from_what_is_behind() -> None:
    settings = replace(ONE, photometry=False, thin=1.0, moving=1.0, object_speed=(10, 20), layers=(2, 2))
    flow = generate(2, 8, settings).forward.flatten(0, 1)
    steps = near_steps(flow, 0.5, 0)
    # A closing of four pixels' radius covers most of what lies between their edges.
    wide = -F.max_pool2d(-F.max_pool2d(steps[:, None].float(), 9, 1, 4), 9, 1, 4)
    assert steps.any((1, 2)).float().mean() > 0.5
    assert wide.mean() < 0.5


@pytest.mark.parametrize("kind", range(scene_shapes.FENCE + 1))
def test_every_outline_covers_something_and_keeps_within_its_reach(kind: int) -> None:
    outlines = outlines_of_kind(Draws.of_samples(3, 0, 12, 2 * scene_shapes.DRAWS)[0].per(2), kind)
    inside = scene_shapes.distances(outlines, SIZE, torch.device("cpu")) > 0
    share = inside.float().mean((1, 2))
    assert (share > 0.0003).all()
    if kind in scene_shapes.THIN:
        assert share.median() < 0.35
    y, x = (torch.arange(n)[:, None] - (n - 1) / 2 for n in SIZE)
    for covered, places, reach in ((inside.any(2), y, outlines.reach[:, 1]), (inside.any(1), x, outlines.reach[:, 0])):
        assert (covered * places.abs().T <= reach[:, None] + 1).all()


def outlines_of_kind(draws: Draws, kind: int) -> scene_shapes.Outlines:
    """As drawn, had chance chosen this kind everywhere."""
    wanted = torch.full((12, 2), kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene_shapes, "THIN", (kind,) * 4)
        patch.setattr(scene_shapes, "_SOLID", (kind,) * 4)
        outlines = scene_shapes.draw_outlines(draws, SIZE, 0.5, torch.full((12,), kind == scene_shapes.GROUND))
    chosen = outlines.kind == wanted
    if kind == scene_shapes.BACKGROUND:
        chosen[:, 1] = False
    return outlines.of(chosen.nonzero(as_tuple=True))


def test_every_texture_is_in_range_and_has_texture() -> None:
    draws = Draws.of_samples(1, 0, 14, scene_textures.DRAWS)[0].per(1)
    surfaces = scene_textures.draw_surfaces(draws, SIZE[0], 0.0)
    surfaces = scene_textures.Surfaces(torch.arange(14)[:, None] % 7, surfaces.numbers).of((torch.arange(14), torch.zeros(14).long()))
    pictures = scene_textures.paint(surfaces, SIZE, torch.device("cpu"), None)
    assert pictures.min() >= 0 and pictures.max() <= 255
    assert (pictures.std((2, 3)).mean(1) > 1).all()


def test_noise_has_the_spectrum_of_photographs() -> None:
    one = torch.ones(4)
    fields_ = fractal(torch.arange(4).int(), one, 0 * one, one, 0 * one, (128, 128))
    assert abs(float(fields_.std()) - 1) < 0.05
    power = torch.fft.rfft2(fields_).abs().square().mean((0, 1))
    low, high = power[0, 4:8].mean(), power[0, 32:56].mean()
    # Amplitude as 1/f: eight times the frequency, a 64th of the power.
    assert 25 < low / high < 160


def test_scrambled_numbers_are_spread_evenly() -> None:
    found = as_unit(scramble(torch.arange(100_000, dtype=torch.int32)))
    assert torch.histc(found, 10, 0, 1).sub(10_000).abs().max() < 500


# ---- photographs


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    chance = np.random.default_rng(0)
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), chance.integers(0, 256, (120, 200, 3), np.uint8) // 2 * (1, 0, 1))
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / "0.png"), np.full((120, 200), 255, np.uint8))
    return tmp_path


def test_photographs_give_textures(photographs: Path) -> None:
    bank = TextureBank.from_folder(photographs, size=(90, 160), scales=(1.0, 0.8))
    assert bank.images.shape == (6, 3, 90, 160) and bank.images.dtype == torch.uint8
    assert not bank.images[:, 1].any(), "the mask is among them, or the channels are in another order"
    clips = generate(0, 2, replace(BARE, layers=(1, 3), bank=bank, bank_share=1.0))
    assert clips.frames[:, :, 0].mean() > 1.5 * clips.frames[:, :, 1].mean()
    assert not torch.equal(clips.frames, generate(0, 2, replace(BARE, layers=(1, 3), bank=bank, bank_share=0.0)).frames)


def test_small_photographs_are_enlarged_and_few_are_taken_if_few_are_wanted(photographs: Path) -> None:
    assert TextureBank.from_folder(photographs, size=(300, 300)).images.shape == (3, 3, 300, 300)
    assert len(TextureBank.from_folder(photographs, size=(60, 60), limit=2).images) == 2


def test_a_folder_without_photographs_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=str(tmp_path)):
        TextureBank.from_folder(tmp_path)


# ---- what cannot be made


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"size": (20, 100)}, "20"),
        ({"frames": 1}, "1"),
        ({"layers": (0, 3)}, "0"),
        ({"layers": (4, 3)}, "4"),
        ({"camera_speed": (0.0, 3.0)}, "camera_speed"),
        ({"object_speed": (5.0, 3.0)}, "object_speed"),
        ({"grain": 1.5}, "grain"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        SceneSettings(**wrong)


@pytest.mark.parametrize(("size", "frames", "layers"), [((32, 32), 2, (1, 1)), ((97, 131), 3, (2, 9)), ((64, 200), 30, (3, 4))])
def test_other_sizes_and_lengths(size: tuple[int, int], frames: int, layers: tuple[int, int]) -> None:
    clips = generate(1, 2, SceneSettings(size=size, frames=frames, layers=layers))
    assert clips.frames.shape == (2, frames, 3, *size) and clips.forward.isfinite().all()
