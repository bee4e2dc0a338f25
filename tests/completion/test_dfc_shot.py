"""A shot completed by small networks: what is kept, what is remembered, and what happens when memory is short."""
from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from flow_inpaint.completion.dfc_net import DFCNet  # noqa: E402
from flow_inpaint.completion.dfc_shot import beats, complete_shot  # noqa: E402
from flow_inpaint.errors import Aborted, BadWeights, OutOfMemory  # noqa: E402
from short_memory import ShortMemory  # noqa: E402

WIDTH = 0.0625
SIZE = (45, 62)


@pytest.fixture(scope="module")
def net() -> DFCNet:
    torch.manual_seed(0)
    return DFCNet.build(3, width=WIDTH)


def shot(frames: int, size: tuple[int, int] = SIZE, clean: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forward and backward flows and holes; the frames in `clean` have none."""
    h, w = size
    random = np.random.default_rng(7)
    flows = [(random.normal(0, 2, (frames - 1, 2, h, w)) + 3).astype(np.float32) for _ in range(2)]
    holes = np.zeros((frames, h, w), bool)
    for t in set(range(frames)) - set(clean):
        holes[t, h // 4 + t % 5 : h // 2 + t % 5, w // 3 : w // 2 + t % 3] = True
    return *flows, holes


def hidden(holes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where forward and backward flows are not known, as (T-1, 2, H, W)."""
    both = np.repeat(holes[:, None], 2, 1)
    return both[:-1], both[1:]


def completed(forward, backward, holes, net, **how):
    return complete_shot(forward, backward, holes, net, device="cpu", **how)


def test_known_flow_stays_and_hidden_flow_does_not_matter(net):
    forward, backward, holes = shot(4)
    made = completed(forward, backward, holes, net)
    spoiled = [np.where(hole, np.nan, flow) for flow, hole in zip((forward, backward), hidden(holes), strict=True)]
    for again, flow, given, hole in zip(completed(*spoiled, holes, net), made, (forward, backward), hidden(holes), strict=True):
        assert flow.shape == given.shape and flow.dtype == np.float32
        assert np.array_equal(flow[~hole], given[~hole])
        assert not np.isclose(flow[hole], given[hole]).all()
        assert np.array_equal(again, flow)


def test_does_not_depend_on_the_batch(net):
    forward, backward, holes = shot(8, clean=(3, 4))
    one, several = (completed(forward, backward, holes, net, batch=count) for count in (1, 5))
    for a, b in zip(one, several, strict=True):
        assert np.abs(a - b).max() < 1e-4


@pytest.mark.parametrize("frames", [2, 5])
def test_short_shots(net, frames):
    forward, backward, holes = shot(frames)
    made = completed(forward, backward, holes, net)
    assert all(np.isfinite(flow).all() and flow.shape == forward.shape for flow in made)


def test_a_single_frame_has_no_flow(net):
    forward, backward, holes = shot(1)
    made = completed(forward, backward, holes, net)
    assert all(flow.shape == (0, 2, *SIZE) for flow in made)


def test_nothing_hidden_nothing_computed(net, monkeypatch):
    forward, backward, holes = shot(4)
    monkeypatch.setattr(type(net.stages[0]), "forward", lambda *_: pytest.fail("the network ran"))
    made = completed(forward, backward, np.zeros_like(holes), net)
    assert np.array_equal(made[0], forward) and np.array_equal(made[1], backward)


@pytest.mark.parametrize(
    "variant",
    [
        {"stages": 1},
        {"stages": 2},
        {"stages": 1, "backbone": "resnet101"},
        {"stages": 1, "multi_scale": False},
        {"stages": 3, "sizes": [(16, 24), (24, 40), (33, 57)]},
    ],
    ids=str,
)
def test_variants(variant):
    forward, backward, holes = shot(4)
    net = DFCNet.build(**variant, width=WIDTH)
    made = completed(forward, backward, holes, net, enlarge=4)
    for flow, given, hole in zip(made, (forward, backward), hidden(holes), strict=True):
        assert np.array_equal(flow[~hole], given[~hole]) and np.isfinite(flow).all()


def test_a_stage_is_what_it_answers_to_its_window():
    """Stage by stage by hand, for the centre of one shot: the windows, the pasting, and the way from stage to stage."""
    from flow_inpaint.completion.dfc_input import initial_frame, refine_frame, restore_flow, window

    torch.manual_seed(3)
    net = DFCNet.build(2, width=WIDTH)
    forward, backward, holes = shot(5)
    sizes = net.stage_sizes(*SIZE)
    given = {"forward": forward, "backward": np.concatenate([np.zeros_like(backward[:1]), backward])}
    first: dict[str, list[np.ndarray]] = {"forward": [], "backward": []}

    def paste(answer: np.ndarray, frame: np.ndarray) -> np.ndarray:
        return answer * frame[2] + frame[:2] * (1 - frame[2])

    with torch.inference_mode():
        net.eval()
        for way, flows in given.items():
            frames = [initial_frame(flows[k], holes[k], sizes[0], hide=True) for k in range(len(flows))]
            for centre in range(len(flows)):
                x = np.concatenate([frames[k] for k in window(centre, len(flows) - 1)])
                first[way].append(paste(net.stages[0](torch.from_numpy(x[None]))[0].numpy(), frames[centre]))
        frames = {way: [refine_frame(flow, holes[k], sizes[1]) for k, flow in enumerate(first[way])] for way in first}
        # Forward 2 and backward 2, and at the end forward 3 with the window of backward 4.
        for ahead, behind in ((2, 2), (3, 4)):
            x = np.concatenate([frames["forward"][k] for k in window(behind, 3)] + [frames["backward"][k] for k in window(behind, 4)])
            answer = net.stages[1](torch.from_numpy(x[None]))[0].numpy()
            made = completed(forward, backward, holes, net)
            wanted = restore_flow(paste(answer[:2], frames["forward"][ahead]), SIZE)
            assert np.allclose(made[0][ahead], np.where(holes[ahead], wanted, forward[ahead]), atol=1e-4)
            wanted = restore_flow(paste(answer[2:], frames["backward"][behind]), SIZE)
            assert np.allclose(made[1][behind - 1], np.where(holes[behind], wanted, backward[behind - 1]), atol=1e-4)


def test_a_crop_is_the_whole():
    torch.manual_seed(4)
    net = DFCNet.build(1, width=0.03, sizes=[(700, 760)])
    forward, backward, holes = shot(2, (700, 760))
    holes[:] = False
    holes[:, 350:400, 340:420] = True
    seen = []
    hook = net.stages[0].register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[-2:]))
    whole, crop = (completed(forward, backward, holes, net, crop=crop) for crop in (False, True))
    small = completed(forward, backward, holes, net, margin=0)
    hook.remove()
    assert {(700, 760), (700 - 64, 760), (128, 128)} == set(map(tuple, seen))
    for a, b, c in zip(whole, crop, small, strict=True):
        assert np.abs(a - b).max() < 1e-4 < np.abs(a - c).max()


class Made:
    """A long array whose items are made when they are asked for."""

    def __init__(self, count, make):
        self.count, self.make = count, make

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        assert 0 <= index < self.count
        return self.make(index)


class Elsewhere:
    """A long array that is not in memory, and remembers which of its items were written."""

    def __init__(self, shape):
        self.shape, self.written = shape, set()

    def __setitem__(self, index, value):
        assert value.shape == self.shape[1:] and 0 <= index < self.shape[0]
        self.written.add(index)

    def __getitem__(self, index):
        assert index in self.written
        return np.zeros(self.shape[1:], np.float32)


def most_held(net: DFCNet, frames: int) -> int:
    """The most bytes that NumPy holds while a shot is completed, and checks of what was allocated."""
    # Large enough for a picture to outweigh the notes that the test takes for each frame.
    size = (128, 192)
    hole = np.zeros(size, bool)
    hole[40:80, 60:100] = True
    flow = np.ones((2, *size), np.float32)
    # Runs of frames with a hole and without one.
    given = Made(frames - 1, lambda k: flow * k), Made(frames - 1, lambda k: -flow), Made(frames, lambda k: hole & (k // 15 % 2 == 0))
    made: dict[str, Elsewhere] = {}
    held = []

    def allocate(name, shape, dtype):
        assert dtype is np.float32
        return made.setdefault(name, Elsewhere(shape))

    tracemalloc.start()
    try:
        completed(*given, net, allocate=allocate, batch=3, pulse=lambda: held.append(tracemalloc.get_traced_memory()[0]))
    finally:
        tracemalloc.stop()
    lengths = {"dfc-forward": frames - 1, "dfc-backward": frames - 1, "dfc-1-forward": frames - 1, "dfc-1-backward": frames}
    assert {name: array.shape[0] for name, array in made.items()} == lengths
    assert all(len(array.written) == array.shape[0] for array in made.values())
    assert len(held) == beats(frames - 1, net)
    return max(held)


def test_what_lasts_is_allocated_and_nothing_else_grows(net, monkeypatch):
    monkeypatch.setattr(type(net.stages[0]), "forward", lambda stage, x, region=None: x[:, : stage.out_channels])
    short = net.prefix(2)
    most_held(short, 16)
    assert most_held(short, 120) < 1.1 * most_held(short, 40)


def test_pulse_and_abort(net):
    forward, backward, holes = shot(4, clean=(1,))
    count = []
    completed(forward, backward, holes, net, pulse=lambda: count.append(1))
    assert len(count) == beats(3, net) == 7 + 4 + 4
    asked = []

    def aborted() -> bool:
        asked.append(1)
        return len(asked) > 70

    with pytest.raises(Aborted):
        completed(forward, backward, holes, net, aborted=aborted)
    # Within a window: it is asked before each of its 58 convolutions.
    assert len(asked) == 71
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_the_networks_mode_is_left_alone(net):
    net.train()
    completed(*shot(2), net)
    assert net.training and not net.stages[0].bn1.training
    net.eval()


class Short:
    """A stage whose memory ends with more than `most` windows, or in full precision."""

    def __init__(self, monkeypatch, stage, most: int, only_half: bool = False):
        self.calls: list[tuple[int, bool]] = []
        run = type(stage).forward

        def forward(module, x, region=None):
            half = torch.is_autocast_enabled("cpu")
            self.calls.append((len(x), half))
            if len(x) > most or (only_half and not half):
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return run(module, x, region)

        monkeypatch.setattr(type(stage), "forward", forward)


def test_smaller_batches_when_memory_is_short(net, monkeypatch):
    forward, backward, holes = shot(6)
    wanted = completed(forward, backward, holes, net.prefix(1))
    short, said = Short(monkeypatch, net.stages[0], 1), []
    made = completed(forward, backward, holes, net.prefix(1), batch=5, say=said.append)
    assert [count for count, _ in short.calls][:4] == [5, 2, 1, 1]
    assert len(said) == 2 and "batches of 1" in said[-1]
    assert np.abs(made[0] - wanted[0]).max() < 1e-4


def test_then_half_precision(net, monkeypatch):
    forward, backward, holes = shot(3)
    wanted = completed(forward, backward, holes, net.prefix(1))
    short, said = Short(monkeypatch, net.stages[0], 1, only_half=True), []
    made = completed(forward, backward, holes, net.prefix(1), batch=2, say=said.append)
    assert short.calls[:3] == [(2, False), (1, False), (1, True)]
    assert "half precision" in said[-1]
    assert np.abs(made[0] - wanted[0]).max() < 0.1 * wanted[0].std()


def test_little_memory_gives_the_same_flow(net):
    """In less and less memory: smaller batches and half precision, and flow within what these allow."""
    given, held = shot(4, (135, 240)), [*net.parameters(), *net.buffers()]

    def made_in(limit, **how):
        said = []
        with ShortMemory(limit, held) as memory:
            return completed(*given, net, say=said.append, **how), memory.peak, said

    wanted, several, _ = made_in(float("inf"), batch=4)
    _, one, _ = made_in(float("inf"), batch=1)
    _, least, _ = made_in(float("inf"), batch=1, half=True)
    assert several > 1.2 * one > 1.2 * 1.2 * least, (several, one, least)
    for limit, words, tolerance in (((several + one) / 2, "in batches of", 1e-4), ((one + least) / 2, "in half precision", 0.1)):
        made, _, said = made_in(limit, batch=4)
        assert words in said[-1], said
        for a, b in zip(made, wanted, strict=True):
            assert np.abs(a - b).max() < tolerance * b.std()


def test_weights_that_make_no_numbers():
    torch.manual_seed(0)
    bad = DFCNet.build(1, width=WIDTH)
    bad.stages[0].layer5.last.weight.data[:] = 3e38
    with pytest.raises(BadWeights, match="The weights of DFC-Net make no numbers .* choose completion = smooth"):
        completed(*shot(3), bad)


def test_then_an_error(net, monkeypatch):
    Short(monkeypatch, net.stages[0], 0)
    with pytest.raises(OutOfMemory, match="not enough memory"):
        completed(*shot(3), net)


def test_full_precision_when_half_overflows(net, monkeypatch):
    forward, backward, holes = shot(3)
    wanted = completed(forward, backward, holes, net.prefix(1))
    run, said = type(net.stages[0]).forward, []
    monkeypatch.setattr(
        type(net.stages[0]),
        "forward",
        lambda module, x, region=None: run(module, x, region) * (torch.inf if torch.is_autocast_enabled("cpu") else 1),
    )
    made = completed(forward, backward, holes, net.prefix(1), half=True, say=said.append)
    assert len(said) == 1 and "full precision" in said[0]
    assert np.array_equal(made[0], wanted[0])


def test_what_does_not_make_a_shot_is_refused(net):
    forward, backward, holes = shot(4)
    with pytest.raises(ValueError, match="3 forward flows, 2 backward flows and 4 holes"):
        completed(forward, backward[:-1], holes, net)
