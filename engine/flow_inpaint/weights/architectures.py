"""The networks that weights can be for: how to know them by their tensors, and all that a set has to hold.

The complete list of names and shapes is the network's own: it is built without memory behind it and asked.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import BadWeights

if TYPE_CHECKING:
    from torch import Tensor, nn

Shape = tuple[int, ...]

WIDEST = 4.0
#: Networks of at most this width are quick enough for a processor.
LIGHT = 0.25
_COUNTER = ".num_batches_tracked"
_NOT_STATED = (
    "terms not stated: the published file was released with the paper's code, whose licence is MIT, "
    "and no separate terms are stated for the weights"
)


@dataclass(frozen=True)
class Architecture:
    """`roles`: what the pipeline may use it for. `first`: its first convolution, with the shape that it has at width 1; `wide`:
    one of its widest layers, and how many channels that has then. Narrow layers never have fewer than some, and tell no width.
    """

    name: str
    label: str
    roles: tuple[str, ...]
    first: str
    first_shape: Shape
    wide: tuple[str, int]
    marks: tuple[str, ...]
    network: Callable[[float], nn.Module]
    published: Mapping[str, str]
    """Role by the name, without endings, of the file that its authors published."""
    published_licence: str

    def fits(self, shapes: Mapping[str, Shape]) -> bool:
        """Whether weights with such tensors are meant for it, complete or not."""
        first = shapes.get(self.first, ())
        return len(first) == len(self.first_shape) and first[1:] == self.first_shape[1:] and all(mark in shapes for mark in self.marks)

    def width_of(self, shapes: Mapping[str, Shape]) -> float:
        name, channels = self.wide
        if shapes.get(name):
            return shapes[name][0] / channels
        return shapes[self.first][0] / self.first_shape[0]


def _flownet2(width: float) -> nn.Module:
    from ..flow.flownet2 import FlowNet2

    return FlowNet2(width=width)


def _dfc(in_channels: int, out_channels: int, backbone: str) -> Callable[[float], nn.Module]:
    def network(width: float) -> nn.Module:
        from ..completion.dfc_net import DFCStage

        return DFCStage(in_channels, out_channels, backbone=backbone, width=width)

    return network


def _deepfill(width: float) -> nn.Module:
    from ..fill.deepfill import DeepFill

    return DeepFill(width=width)


_KNOWN = (
    Architecture(
        "flownet2",
        "FlowNet2",
        ("flownet2",),
        "flownetc.conv1.0.weight",
        (64, 3, 7, 7),
        ("flownetc.conv6.0.weight", 1024),
        ("flownetc.conv_redir.0.weight", "flownetfusion.conv0.0.weight"),
        _flownet2,
        {"flownet2_checkpoint": "flownet2"},
        "the published FlowNet2 weights are for research purposes only",
    ),
    Architecture(
        "dfc_initial_resnet50",
        "DFC-Net, first stage",
        ("dfc_stage1",),
        "conv1.weight",
        (64, 33, 7, 7),
        ("layer4.0.conv3.weight", 2048),
        ("layer4.2.conv3.weight", "layer5.conv3.weight"),
        _dfc(33, 2, "resnet50"),
        {"resnet50_stage1": "dfc_stage1"},
        _NOT_STATED,
    ),
    Architecture(
        "dfc_initial_resnet101",
        "DFC-Net, the single stage",
        ("dfc_single",),
        "conv1.weight",
        (64, 33, 7, 7),
        ("layer4.0.conv3.weight", 2048),
        ("layer3.22.conv3.weight", "layer5.conv1.weight"),
        _dfc(33, 2, "resnet101"),
        {"resnet101_movie": "dfc_single"},
        _NOT_STATED,
    ),
    Architecture(
        "dfc_refine_resnet50",
        "DFC-Net, a later stage",
        ("dfc_stage2", "dfc_stage3"),
        "conv1.weight",
        (64, 66, 7, 7),
        ("layer4.0.conv3.weight", 2048),
        ("layer4.2.conv3.weight", "layer5.conv3.weight"),
        _dfc(66, 4, "resnet50"),
        {"davis_stage2": "dfc_stage2", "davis_stage3": "dfc_stage3"},
        _NOT_STATED,
    ),
    Architecture(
        "deepfill",
        "DeepFill",
        ("deepfill",),
        "stage_1.down.out.0.conv.0.weight",
        (32, 5, 5, 5),
        ("stage_1.down.out.4.conv.0.weight", 128),
        ("stage_2.CAttn.out.0.conv.0.weight",),
        _deepfill,
        {"imagenet_deepfill": "deepfill"},
        _NOT_STATED,
    ),
)

ARCHITECTURES: Mapping[str, Architecture] = {architecture.name: architecture for architecture in _KNOWN}
#: What the pipeline asks for, in the order of its stages.
ROLES = ("flownet2", "dfc_stage1", "dfc_stage2", "dfc_stage3", "dfc_single", "deepfill")


def recognised(shapes: Mapping[str, Shape]) -> Architecture | None:
    """What weights with such tensors are for."""
    return next((architecture for architecture in _KNOWN if architecture.fits(shapes)), None)


@cache
def expected(architecture: str, width: float) -> Mapping[str, Shape]:
    """Every tensor of a set, in the network's order. Shared: do not modify."""
    import torch

    with torch.device("meta"):
        network = ARCHITECTURES[architecture].network(width)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def whole(state: Mapping[str, Any], architecture: Architecture, width: float, called: str) -> dict[str, Tensor]:
    """`state` with nothing missing, nothing too much, and every shape right: what `load_state_dict(strict=True)` takes.

    Counters of batches, which PyTorch 0.4.0 did not write and nothing here reads, may be missing. Raises `BadWeights`.
    """
    import torch

    shapes = expected(architecture.name, width)
    about = f"{called} looks like weights of {architecture.label} ({architecture.name}, width {width:g})"
    _refuse_names([name for name in shapes if name not in state and not name.endswith(_COUNTER)], f"{about}, but lacks")
    _refuse_names([name for name in state if name not in shapes], f"{about}, but it also holds")
    made = {}
    for name, shape in shapes.items():
        tensor = state.get(name)
        if tensor is None:
            made[name] = torch.zeros(shape, dtype=torch.int64)
            continue
        if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
            raise BadWeights(f"{about}, but '{name}' in it is no plain tensor.")
        if tuple(tensor.shape) != shape:
            raise BadWeights(f"{about}, but '{name}' is {_size(tensor.shape)} there and {_size(shape)} in the network.")
        counts = name.endswith(_COUNTER)
        if tensor.is_complex() or (not counts and not tensor.is_floating_point()):
            raise BadWeights(f"{about}, but '{name}' holds {str(tensor.dtype).removeprefix('torch.')} instead of numbers with a fraction.")
        made[name] = tensor.to(torch.int64) if counts else tensor
    return made


def good_width(width: float) -> bool:
    return 0 < width <= WIDEST


def _refuse_names(names: list[str], sentence: str) -> None:
    if names:
        others = {1: "", 2: " and one other"}.get(len(names), f" and {len(names) - 1} others")
        raise BadWeights(f"{sentence} '{names[0]}'{others}.")


def _size(shape: Any) -> str:
    return "x".join(map(str, shape)) or "a single number"
