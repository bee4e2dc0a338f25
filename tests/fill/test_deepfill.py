"""The DeepFill network is the published one, whatever the tiles and the size."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from shared_data import golden_state, shared

torch = pytest.importorskip("torch")
F = torch.nn.functional

from flow_inpaint.fill.deepfill import ContextualAttention, DeepFill, Filler  # noqa: E402
from seeded_deepfill import seeded  # noqa: E402

WHOLE, SMALLEST = 1 << 40, 1
#: Of the reference's standard deviation. A right implementation is three times better, a wrong one a thousand times worse.
TOLERANCE = 1e-4


def close(value, reference: np.ndarray, tolerance: float = TOLERANCE) -> None:
    assert value.shape == reference.shape
    assert np.abs(np.asarray(value) - reference).max() <= tolerance * reference.std()


@pytest.fixture(scope="module")
def golden():
    with np.load(shared("golden", "deepfill.npz")) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def published():
    network = DeepFill().eval()
    network.load_state_dict(golden_state("deepfill_keys.json"))
    return network


@torch.no_grad()
def run(network, *inputs):
    """stage1, stage2, what the attention branch got and what it gave, as arrays."""
    seen = {}
    hook = network.attention.register_forward_hook(lambda _, given, out: seen.update(given=given[0], out=out))
    stages = network(*(torch.from_numpy(x) for x in inputs))
    hook.remove()
    return [x.numpy() for x in (*stages, seen["given"], seen["out"])]


def inputs(height, width, n=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(n, 1, height, width)
    for k in range(n):
        mask[k, :, height // 4 : height // 2, width // 3 + k * 8 : width // 3 + k * 8 + width // 4] = 1
    coarse = torch.rand(n, 3, height // 4 + 1, width // 4 + 1, generator=generator) * 2 - 1
    return F.interpolate(coarse, (height, width), mode="bilinear") * (1 - mask), mask


# ---- the reference data


def test_names_and_shapes():
    expected = json.loads(shared("golden", "deepfill_keys.json").read_text())
    assert [(name, list(value.shape)) for name, value in DeepFill().state_dict().items()] == list(expected.items())


def test_square_picture(golden, published):
    image = (golden["image_bgr"] / 127.5 - 1).astype(np.float32).transpose(2, 0, 1)[None]
    mask = (golden["mask"] > 0).astype(np.float32)[None, None]
    np.testing.assert_array_equal(mask[:, :, ::8, ::8], golden["net_small_mask"])
    stage1, stage2, given, out = run(published, image * (1 - mask), mask)
    close(stage1, golden["stage1"])
    close(stage2, golden["stage2"])
    close(given.mean((0, 2, 3)), golden["attn_in_channel_mean"])
    close(out[:, ::16], golden["attn_out_every16th"])


def test_resized_picture(golden, published):
    image = cv2.resize(golden["image_bgr_resized"].astype(np.float64) / 127.5 - 1, (136, 96)).astype(np.float32).transpose(2, 0, 1)[None]
    mask, small = golden["net_mask_resized"], golden["net_small_mask_resized"]
    close(image * (1 - mask), golden["net_image_resized"])
    stage1, stage2, given, out = run(published, image * (1 - mask), mask, small)
    close(stage1, golden["stage1_resized"])
    close(stage2, golden["stage2_resized"])
    close(given.mean((0, 2, 3)), golden["attn_in_channel_mean_resized"])
    close(out[:, ::16], golden["attn_out_every16th_resized"])
    composite = (stage2 * mask + image * (1 - mask) + 1) * 127.5
    close(composite[0].transpose(1, 2, 0), golden["composite_resized"])
    # The subsampling of the first release under the library of its time: not this one.
    assert np.abs(stage2 - golden["stage2_alt_bilinear_align_corners_resized"]).max() > 0.01


@pytest.mark.parametrize("tile_bytes", [WHOLE, SMALLEST])
@pytest.mark.parametrize("case", ["cattn", "cattn2"])
def test_attention_alone(golden, published, case, tile_bytes, monkeypatch):
    monkeypatch.setattr(published.attention, "tile_bytes", tile_bytes)
    features, mask = torch.from_numpy(golden[f"{case}_in"]), torch.from_numpy(golden[f"{case}_mask"])
    with torch.no_grad():
        close(published.attention.attend(features, mask), golden[f"{case}_before_convs"])
        close(published.attention(features, mask), golden[f"{case}_out"])


def test_filler_gives_the_reference(golden, published):
    picture, hole = golden["image_bgr"][..., ::-1], golden["mask"] > 0
    filled = Filler(published)(picture, hole)
    close(filled[::4, ::4, ::-1], golden["composite_every4th"])


# ---- the attention


def attention_by_definition(f, small_mask):
    """The specification step by step, with the whole matrix, for one picture."""
    _, c, h, w = f.shape
    hs, ws = h // 2, w // 2
    count = hs * ws
    raw = F.unfold(f, 4, padding=1, stride=2)[0].T.reshape(count, c, 4, 4)
    g = f[:, :, ::2, ::2]
    patches = F.unfold(g, 3, padding=1)[0].T
    patches = (patches / patches.norm(dim=1, keepdim=True).clamp_min(1e-4)).reshape(count, c, 3, 3)
    valid = (F.avg_pool2d(small_mask, 3, 1, 1) == 0).to(f.dtype).reshape(count, 1, 1)
    scores = F.conv2d(g, patches, padding=1)[0].reshape(count, count).T  # foreground, background
    identity = torch.eye(3, dtype=f.dtype)[None, None]
    scores = F.conv2d(scores[None, None], identity, padding=1)[0, 0]
    scores = scores.reshape(hs, ws, hs, ws).permute(1, 0, 3, 2).reshape(count, count)
    scores = F.conv2d(scores[None, None], identity, padding=1)[0, 0]
    scores = scores.reshape(ws, hs, ws, hs).permute(3, 2, 1, 0).reshape(count, hs, ws)
    weights = torch.softmax(scores * valid * 10, 0) * valid
    return F.conv_transpose2d(weights[None], raw, stride=2, padding=1) / 4


def attention_case(height, width, n=1, channels=8, scale=0.3):
    torch.manual_seed(height * 100 + width)
    small_mask = (torch.rand(n, 1, height // 2, width // 2) < 0.1).double()
    features = torch.randn(n, channels, height, width, dtype=torch.float64) * scale
    features[..., height // 2 :, : width // 2] = 0
    return features, small_mask


@pytest.mark.parametrize("size", [(16, 24), (24, 16), (12, 12), (2, 2), (2, 12), (12, 2), (4, 6)])
@pytest.mark.parametrize("tile_bytes", [WHOLE, 40_000, SMALLEST])
@pytest.mark.parametrize("scale", [0.3, 0.02])
def test_attention_is_its_definition(size, tile_bytes, scale):
    features, small_mask = attention_case(*size, scale=scale)
    attention = ContextualAttention(8, tile_bytes)
    expected = attention_by_definition(features, small_mask)
    torch.testing.assert_close(attention.attend(features, small_mask), expected, rtol=1e-10, atol=1e-12)


def test_tiles_make_no_difference():
    features, small_mask = (x.float() for x in attention_case(40, 56))
    whole = ContextualAttention(8, WHOLE).attend(features, small_mask)
    pulses = []
    for tile_bytes in (SMALLEST, 10**6, 4 * 10**6):
        tiled = ContextualAttention(8, tile_bytes).attend(features, small_mask, lambda: pulses.append(tile_bytes))
        assert (tiled - whole).abs().max() <= 1e-5 * whole.abs().max()
    assert [pulses.count(tile) for tile in (SMALLEST, 10**6, 4 * 10**6)] == [28, 4, 1]


def test_memory_stays_within_the_tile():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        bytes = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                self.bytes = max(self.bytes, out.untyped_storage().nbytes())
            return out

    features, small_mask = (x.float() for x in attention_case(96, 64))
    with torch.no_grad(), Largest() as whole:
        ContextualAttention(8, WHOLE).attend(features, small_mask)
    with torch.no_grad(), Largest() as tiled:
        ContextualAttention(8, 2_500_000).attend(features, small_mask)
    assert whole.bytes > (48 * 32) ** 2 * 4
    assert tiled.bytes < 1.1 * 2_500_000 / 2


def test_nothing_to_copy_from():
    features, small_mask = attention_case(8, 8)
    assert ContextualAttention(8).attend(features, torch.ones_like(small_mask)).abs().max() == 0


def test_first_mask_counts_for_the_batch():
    features, small_mask = attention_case(12, 16, n=3)
    together = ContextualAttention(8).attend(features, small_mask)
    for k in range(3):
        torch.testing.assert_close(together[k : k + 1], attention_by_definition(features[k : k + 1], small_mask[:1]))


def test_half_precision_of_features_is_kept():
    features, small_mask = attention_case(12, 16)
    out = ContextualAttention(8).attend(features.bfloat16(), small_mask.bfloat16())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.double(), attention_by_definition(features.bfloat16().double(), small_mask), rtol=0.01, atol=0.01)


# ---- the network


@pytest.mark.parametrize("size", [(61, 83), (64, 81), (57, 64), (9, 30), (1, 1), (3, 2)])
@torch.no_grad()
def test_any_size(size):
    network = seeded()
    image, mask = inputs(*size)
    stages = network(image, mask)
    assert all(stage.shape == image.shape and stage.isfinite().all() and stage.abs().max() <= 1 for stage in stages)
    more = (0, -size[1] % 8, 0, -size[0] % 8)
    whole = network(F.pad(image, more, "replicate"), F.pad(mask, more, "replicate"))
    for stage, larger in zip(stages, whole):
        assert torch.equal(stage, larger[..., : size[0], : size[1]])


@torch.no_grad()
def test_what_is_added_to_an_odd_size_disturbs_less_than_zeros():
    """A picture that lacks its last rows and columns gets nearly the same in its hole."""
    network = seeded()
    image, mask = inputs(128, 128)
    cut, cut_mask = image[..., :123, :125], mask[..., :123, :125]
    whole = network(image, mask)[1]

    def disturbed(result):
        return ((whole - result)[..., :123, :125].abs() * cut_mask).mean()

    padded = F.pad(network(cut, cut_mask)[1], (0, 3, 0, 5))
    assert disturbed(padded) < disturbed(network(F.pad(cut, (0, 3, 0, 5)), F.pad(cut_mask, (0, 3, 0, 5)))[1])


@torch.no_grad()
def test_pictures_of_a_batch_do_not_meet():
    network = seeded()
    image, mask = inputs(64, 96, n=3)
    small_mask = mask[:, :, ::8, ::8]
    together = network(image, mask, small_mask)
    for k in range(3):
        alone = network(image[k : k + 1], mask[k : k + 1], small_mask[:1])
        for stage, single in zip(together, alone):
            torch.testing.assert_close(stage[k : k + 1], single, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_small_mask_is_the_reduction_of_the_mask():
    network = seeded()
    image, mask = inputs(70, 101)
    image, mask = image[..., 6:, 5:], mask[..., 6:, 5:]
    assert not torch.equal(mask[:, :, ::8, ::8], F.max_pool2d(mask, 8))
    expected = network(image, mask, mask[:, :, ::8, ::8])
    for given in (None, mask):
        assert torch.equal(network(image, mask, given)[1], expected[1])
    assert not torch.equal(network(image, mask, torch.zeros(1, 1, 8, 12))[1], expected[1])
    assert torch.equal(network(image, mask.bool())[1], expected[1])


@torch.no_grad()
def test_parts_get_what_they_should():
    network = seeded()
    image, mask = inputs(64, 96)
    network.stage_1.up.out[-1].conv[0].weight *= 20
    seen = {}
    for name in ("stage_1", "stage_1.up", "stage_2", "stage_2.down_conv_branch", "stage_2.atrous", "stage_2.CAttn", "stage_2.up"):

        def note(_, given, out, name=name):
            seen[name] = given[0].clone(), out.clone()

        network.get_submodule(name).register_forward_hook(note)
    stage1, stage2 = network(image, mask)
    ones = torch.ones_like(mask)
    assert torch.equal(seen["stage_1"][0], torch.cat([image, ones, mask], 1))
    assert torch.equal(seen["stage_2"][0], torch.cat([torch.where(mask > 0, stage1, image), ones, mask], 1))
    assert torch.equal(seen["stage_2.up"][0], torch.cat([seen["stage_2.atrous"][1], seen["stage_2.CAttn"][1]], 1))
    assert seen["stage_2.CAttn"][0].min() == 0 > seen["stage_2.down_conv_branch"][1].min()
    assert seen["stage_1.up"][1].abs().max() > 1 == stage1.abs().max() >= stage2.abs().max()


@pytest.mark.parametrize(("width", "most"), [(1.0, 128), (0.5, 64), (0.25, 32), (0.01, 8)])
def test_width_scales_the_inner_channels(width, most):
    state = DeepFill(width).state_dict()
    assert state["stage_2.CAttn.out.1.conv.0.weight"].shape == (most, most, 3, 3)
    assert state["stage_1.down.out.0.conv.0.weight"].shape[1] == 5
    assert state["stage_1.up.out.8.conv.0.weight"].shape[0] == state["stage_2.up.out.8.conv.0.weight"].shape[0] == 3
    assert list(state) == list(DeepFill().state_dict())


def test_every_weight_learns():
    network = seeded().train()
    image, mask = inputs(64, 48, n=2)
    stage1, stage2 = network(image, mask)
    ((stage1 - 0.1).square() + (stage2 + 0.1).square()).mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().max() > 0, name


def test_gradient_passes_the_attention():
    features, small_mask = attention_case(4, 6, channels=2)
    attention = ContextualAttention(2, SMALLEST)
    assert torch.autograd.gradcheck(lambda x: attention.attend(x, small_mask), features.requires_grad_())


def test_shapes_that_make_no_sense():
    network = seeded()
    image, mask = inputs(16, 24)
    with pytest.raises(ValueError, match=r"masked_bgr is \(1, 1, 16, 24\)"):
        network(mask, mask)
    with pytest.raises(ValueError, match=r"mask is \(1, 3, 16, 24\) and has to be \(1, 1, 16, 24\)"):
        network(image, image)
    with pytest.raises(ValueError, match="width is 0 "):
        DeepFill(0)
