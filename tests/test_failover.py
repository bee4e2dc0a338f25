"""A graphics card that fails in the middle of a job: the processor goes on, or the job stops and can be gone on with.

The card is played by PyTorch's processor under its other name, cpu:0: what it computes is the same to the last bit.
"""
from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from flow_inpaint import machine as room
from flow_inpaint.completion.dfc_net import DFCStage
from flow_inpaint.device_errors import in_short, is_device_failure, is_out_of_memory
from flow_inpaint.errors import BadParameter, Failed, MissingWeights, OutOfMemory
from flow_inpaint.failover import Failover
from flow_inpaint.fill.deepfill import DeepFill
from flow_inpaint.flow.flownet2 import FlowNet2
from flow_inpaint.machine import Machine
from flow_inpaint.side_by_side import workers
from test_pipeline_networks import ALL, install, job, no_weights, run  # noqa: F401

CARD = "cpu:0"
LOST = (
    "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported at some other API call, so the "
    "stacktrace below might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1"
)
NETWORKS = (FlowNet2, DFCStage, DeepFill)
PLAIN_FORWARDS = {network: network.forward for network in NETWORKS}


@pytest.fixture(autouse=True)
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_graphics_card", lambda: CARD)
    monkeypatch.setattr(room, "_failed", set())


class Card:
    """Fails for good at the n-th call of a network on it, and counts all calls: by network, and whether on the card."""

    def __init__(self, patch: pytest.MonkeyPatch, fails_in: type | None = None, at: int = 0, text: str = LOST):
        self.calls: Counter[tuple[str, bool]] = Counter()
        self.dead, self._fails_in, self._at, self._text = False, fails_in, at, text
        to = torch.nn.Module.to

        def moved(module: torch.nn.Module, *given: object, **named: object) -> torch.nn.Module:
            device = next((str(one) for one in (*given, *named.values()) if str(one) in (CARD, "cpu")), None)
            if device == CARD:
                self.check()
            for part in module.modules() if device else ():
                part.on_card = device == CARD
            return to(module, *given, **named)

        patch.setattr(torch.nn.Module, "to", moved)
        for network in NETWORKS:
            patch.setattr(network, "forward", self._watched(network))

    def check(self) -> None:
        if self.dead:
            raise torch.AcceleratorError(self._text) if hasattr(torch, "AcceleratorError") else RuntimeError(self._text)

    def of(self, network: type) -> int:
        return sum(count for (name, _), count in self.calls.items() if name == network.__name__)

    def on_processor(self, network: type) -> int:
        return self.calls[network.__name__, False]

    def _watched(self, network: type) -> Callable[..., object]:
        plain = PLAIN_FORWARDS[network]

        def forward(module: torch.nn.Module, *given: object, **named: object) -> object:
            on_card = getattr(module, "on_card", False)
            self.calls[network.__name__, on_card] += 1
            if on_card:
                self.dead |= network is self._fails_in and self.of(network) == self._at
                self.check()
            return plain(module, *given, **named)

        return forward


def bytes_of(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "result").iterdir())]


@pytest.fixture
def weights_of_all(no_weights: None) -> None:  # noqa: F811
    install("flownet2", "dfc_stage1", "dfc_stage2", "deepfill")


@pytest.fixture
def undisturbed(tmp_path: Path, weights_of_all: None) -> tuple[list[bytes], Card]:
    with pytest.MonkeyPatch.context() as patch:
        card = Card(patch)
        run(job(tmp_path, **ALL, device="cpu"))
    assert not any(on_card for _, on_card in card.calls) and all(card.of(network) > 1 for network in (FlowNet2, DFCStage))
    return bytes_of(tmp_path), card


@pytest.mark.parametrize(("network", "at"), [(FlowNet2, 1), (FlowNet2, 5), (DFCStage, 1), (DFCStage, 4), (DFCStage, 12), (DeepFill, 1)])
def test_the_processor_goes_on(tmp_path: Path, undisturbed: tuple[list[bytes], Card], network: type, at: int) -> None:
    wanted, plain = undisturbed
    with pytest.MonkeyPatch.context() as patch:
        card = Card(patch, network, at)
        result, said = run(job(tmp_path, **ALL, device="auto"))
    assert card.dead and bytes_of(tmp_path) == wanted and result.device == f"{CARD}, then cpu"
    warnings = [text for level, text in said if level == "warning"]
    assert warnings == ["The graphics card has failed (CUDA error: unspecified launch failure): going on with the processor, which takes longer."]
    assert len(said) == len(set(said)), "no sentence twice, though the networks were made twice"
    later = NETWORKS[NETWORKS.index(network) + 1 :]
    for one in NETWORKS:
        # What failed is done again, by each of the threads that were at it; the networks after it find out by themselves.
        again = card.of(one) - plain.of(one)
        assert (one is network) <= again <= (workers() if one is network is FlowNet2 else 1), (one, card.calls)
        assert card.on_processor(one) == (plain.of(one) if one in later else plain.of(one) - at + 1 if one is network else 0)


def test_a_card_that_is_dead_from_the_start(tmp_path: Path, undisturbed: tuple[list[bytes], Card]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        card = Card(patch)
        card.dead = True
        result, said = run(job(tmp_path, **ALL, device="gpu"))
    assert bytes_of(tmp_path) == undisturbed[0] and result.device == f"{CARD}, then cpu"
    assert sum("has failed" in text for _, text in said) == 1 and not any(on_card for _, on_card in card.calls)


@pytest.mark.parametrize(("network", "at"), [(FlowNet2, 5), (DFCStage, 4), (DeepFill, 1)])
def test_it_stops_and_goes_on_later(tmp_path: Path, undisturbed: tuple[list[bytes], Card], network: type, at: int) -> None:
    wanted, plain = undisturbed
    for path in (tmp_path / "result").iterdir():
        path.unlink()
    with pytest.MonkeyPatch.context() as patch:
        first = Card(patch, network, at)
        with pytest.raises(Failed, match=r"^The graphics card has failed \(CUDA error: unspecified launch failure\): run this again, or "):
            run(job(tmp_path, **ALL, device="gpu", device_failure="stop"))
    assert not list((tmp_path / "result").iterdir()) and not any(not on_card for _, on_card in first.calls)
    with pytest.MonkeyPatch.context() as patch:
        second = Card(patch)
        # Another wish about failures is no other job.
        result, said = run(job(tmp_path, **ALL, device="auto"))
    assert bytes_of(tmp_path) == wanted and result.device == CARD
    assert any(text.startswith("Going on with a run of this job that ended in the stage") for _, text in said)
    for one in NETWORKS:
        done = first.of(one) - (one is network)
        # Pairs are written down in their order: those that were measured ahead of the one that failed are lost, two calls each.
        assert second.of(one) <= plain.of(one) and second.of(one) - (plain.of(one) - done) <= (2 * (workers() + 1) if one is FlowNet2 else 0), one


def test_a_processor_that_fails_is_not_tried_again(tmp_path: Path, weights_of_all: None, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def forward(module: DFCStage, *given: object) -> object:
        calls.append(module)
        raise RuntimeError(LOST)

    monkeypatch.setattr(DFCStage, "forward", forward)
    with pytest.raises(RuntimeError, match="unspecified launch failure"):
        run(job(tmp_path, completion="dfc", device="auto"))
    assert len(calls) == 2, "once on the card and once on the processor"
    calls.clear()
    with pytest.raises(RuntimeError, match="unspecified launch failure"):
        run(job(tmp_path, completion="dfc", device="cpu"))
    assert len(calls) == 1


def test_weights_that_are_gone_when_the_card_fails(tmp_path: Path, weights_of_all: None, monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch, FlowNet2, 2)
    plain = FlowNet2.forward

    def forward(module: FlowNet2, *given: object) -> object:
        for path in (tmp_path / "data").rglob("*.safetensors"):
            path.unlink()
        return plain(module, *given)

    monkeypatch.setattr(FlowNet2, "forward", forward)
    with pytest.raises(MissingWeights, match="There are no weights for flownet2"):
        run(job(tmp_path, flow="flownet2", device="auto"))


# --- the room itself


class Adder:
    """Adds, until its card fails."""

    colour = True

    def __init__(self, device: str, fails: threading.Event, error: BaseException):
        self.device, self._fails, self._error = device, fails, error

    def __call__(self, a: int, *, b: int) -> int:
        if self.device != "cpu" and self._fails.is_set():
            raise self._error
        return a + b


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RuntimeError("CUDA error: device-side assert triggered"), "CUDA error: device-side assert triggered"),
        (OutOfMemory("Too little."), "it has too little memory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"), "it has too little memory"),
    ],
)
def test_many_threads_and_one_message(error: BaseException, why: str) -> None:
    fails, said, made = threading.Event(), [], []

    def make(machine: Machine) -> Adder:
        made.append(machine.device)
        return Adder(machine.device, fails, error)

    adder = Failover(make, Machine(say=lambda level, text: said.append((level, text)), after_failure="cpu"))
    assert adder(1, b=2) == 3 and adder.colour and adder.device == CARD
    fails.set()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda k: adder(k, b=1), range(200))) == list(range(1, 201))
    assert made == [CARD, "cpu"] and adder.device == "cpu"
    assert said == [("warning", f"The graphics card has failed ({why}): going on with the processor, which takes longer.")]


def test_other_errors_pass() -> None:
    fails = threading.Event()
    fails.set()
    for error in (RuntimeError("shapes differ"), ValueError("CUDA error"), Failed("No.")):
        with pytest.raises(type(error), match=str(error)):
            Failover(lambda machine, error=error: Adder(machine.device, fails, error), Machine(after_failure="cpu"))(1, b=2)


def test_the_next_job_asks_whether_the_card_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failed):
        Machine().without_card("CUDA error: x")
    assert Machine().device == Machine("gpu").device == CARD, "it does: a failure of one library need not be the card's"
    monkeypatch.setattr(room, "_answers", lambda device: False)
    said: list[str] = []
    machine = Machine(say=lambda level, text: said.append(text))
    assert machine.device == machine.bearable.device == "cpu"
    assert said == [
        "The graphics card has failed in an earlier job and does not answer, so the processor is used: start Flow Inpaint again to get it back."
    ]
    with pytest.raises(Failed, match="does not answer: start Flow Inpaint again"):
        _ = Machine("gpu").device
    monkeypatch.setattr(room, "_graphics_card", lambda: None)
    with pytest.raises(BadParameter):
        _ = Machine("gpu").device


@pytest.fixture
def no_answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def ones(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError(LOST)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "ones", ones)
        yield


def test_a_card_that_raises_does_not_answer(no_answer: None) -> None:
    assert not room._answers(CARD)


FAILURES = [
    LOST,
    "CUDA error: device-side assert triggered",
    "CUDA error: an illegal memory access was encountered",
    "CUDA error: the launch timed out and was terminated",
    "CUDA error: no kernel image is available for execution on the device",
    "CUDA error: all CUDA-capable devices are busy or unavailable",
    "CUDA error: uncorrectable ECC error encountered",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, ...)`",
    "CUDA driver error: device not ready",
    "CUDA unknown error - this may be due to an incorrectly set up environment",
    "No CUDA GPUs are available",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
    "cuDNN error: CUDNN_STATUS_MAPPING_ERROR\nYou can try to repro this exception using the following code snippet.",
    "cuFFT error: CUFFT_EXEC_FAILED",
    "HIP error: unspecified launch failure\nHIP kernel errors might be asynchronously reported",
    "HIP error: the operation cannot be performed in the present state",
    "miopenStatusInternalError",
    "MPS backend: command buffer exited with error status (Internal Error (0000000e:Internal Error))",
    "The Metal Performance Shaders operations encoded on it may not have completed. Error: Caused GPU Hang Error, command buffer",
]
SHORTAGES = [
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB",
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "HIP out of memory. Tried to allocate 20.00 MiB",
    "HIP error: out of memory",
    "MPS backend out of memory (MPS allocated: 17.96 GB, other allocations: 368.00 KB, max allowed: 18.13 GB)",
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.",
    "[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
]


@pytest.mark.parametrize("text", FAILURES)
def test_what_a_failure_says(text: str) -> None:
    assert is_device_failure(RuntimeError(text)) and not is_out_of_memory(RuntimeError(text))
    assert not is_device_failure(ValueError(text)) and "\n" not in in_short(RuntimeError(text))


@pytest.mark.parametrize("text", SHORTAGES)
def test_what_a_shortage_says(text: str) -> None:
    assert is_out_of_memory(RuntimeError(text)) and not is_device_failure(RuntimeError(text))


def test_what_is_neither() -> None:
    for text in ("The size of tensor a (4) must match the size of tensor b (3)", "Expected all tensors to be on the same device", ""):
        assert not is_device_failure(RuntimeError(text)) and not is_out_of_memory(RuntimeError(text))
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(torch.OutOfMemoryError())
