"""DFC-Net, the paper's flow completion network: three stages that each fill the flow inside the hole of a window's centre.

Names and shapes in `DFCStage.state_dict()` are those of the published weights. See `dfc_input` for what goes
in, and `dfc_shot` for a whole shot.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .dfc_input import CHANNELS

#: Blocks of layer1..4 of each backbone.
BACKBONES = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
_EXPANSION = 4
#: The part of the working size that each stage works at, and the fixed sizes (height, width) of the published tool.
SHARES = ((1, 2), (2, 3), (1, 1))
PAPER_SIZES = ((240, 424), (320, 600), (480, 840))
#: A frame's features are an eighth of its size, so this is what a crop's corner has to be a multiple of.
STRIDE = 8
_SMALLEST = 8


class Region(NamedTuple):
    """Where a cropped input lies: its first row and column (multiples of STRIDE), and the size of the whole frame."""

    top: int
    left: int
    height: int
    width: int


class DFCStage(nn.Module):
    """One network: windows (N, in_channels, H, W) in, the centre's flow (N, out_channels, H, W) in pixels of that size out.

    in_channels, out_channels  33 and 2 for the first stage, 66 and 4 (forward, backward) for the others
    backbone     "resnet50" or "resnet101"
    width        scales every inner channel count; 1.0 is the paper's
    multi_scale  the head that goes up in three steps; by default with ResNet-50 and not with ResNet-101, as published.
                 False with ResNet-50 is the paper's 'without multi-scale'
    frozen_norm  BatchNorm always uses its running statistics, in training mode too, as the authors trained

    With a `region`, x is a crop of a larger frame, and the answer is that for the whole frame as far as the
    crop reaches: the head's resizing, whose steps depend on the frame's size, is then done on the frame's grid.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        backbone: str = "resnet50",
        width: float = 1.0,
        *,
        multi_scale: bool | None = None,
        frozen_norm: bool = True,
    ):
        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"backbone is {backbone!r}, and there are {', '.join(map(repr, BACKBONES))}")
        if not width > 0:
            raise ValueError(f"width is {width!r} and has to be more than 0")
        self.in_channels, self.out_channels, self.backbone, self.width = in_channels, out_channels, backbone, width
        self.multi_scale = backbone == "resnet50" if multi_scale is None else multi_scale
        self.frozen_norm = frozen_norm
        planes = [_scaled(count, width) for count in (64, 64, 128, 256, 512)]
        self.conv1 = nn.Conv2d(in_channels, planes[0], 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(planes[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        one, two, three, four = BACKBONES[backbone]
        self.layer1 = _layer(planes[0], planes[1], one)
        self.layer2 = _layer(planes[1] * _EXPANSION, planes[2], two, stride=2)
        self.layer3 = _layer(planes[2] * _EXPANSION, planes[3], three, dilation=2)
        self.layer4 = _layer(planes[3] * _EXPANSION, planes[4], four, dilation=4)
        features = planes[4] * _EXPANSION
        self.layer5 = _MultiScale(features, out_channels, width) if self.multi_scale else _SingleScale(features, out_channels)
        self._initialise()
        self.train(self.training)

    def forward(self, x: Tensor, region: Region | None = None) -> Tensor:
        if x.shape[1] != self.in_channels:
            raise ValueError(f"the input has {x.shape[1]} channels, and this stage takes {self.in_channels}")
        size = (x.shape[-2], x.shape[-1])
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.layer5(x, size, region)

    @property
    def reach(self) -> int:
        """No pixel of the answer depends on an input pixel further away than this."""
        one, two, three, four = BACKBONES[self.backbone]
        # Each block's 3x3 convolution, in pixels of its layer; then the stem and the head, the resizing to the frame's grid included.
        return 4 * one + 8 * (two + 2 * three + 4 * four) + 48

    def train(self, mode: bool = True) -> DFCStage:
        super().train(mode)
        if self.frozen_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def _initialise(self) -> None:
        """He's initialisation, with the residual branches scaled down so that their sum does not grow with their number.

        With frozen statistics nothing else would keep the activations in bounds.
        """
        blocks = [module for module in self.modules() if isinstance(module, _Bottleneck)]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.kaiming_normal_(self.layer5.last.weight, nonlinearity="linear")
        for block in blocks:
            nn.init.constant_(block.bn3.weight, len(blocks) ** -0.5)
            if block.downsample is not None:
                nn.init.kaiming_normal_(block.downsample[0].weight, nonlinearity="linear")


class DFCNet(nn.Module):
    """Up to three stages, each finer than the one before: `stages`, all but the first with 66 channels in and 4 out.

    sizes  "frame": each stage's share of the working size (a half, two thirds, all of it), which is the frame's own;
           "paper": the fixed sizes of the published tool; or a (height, width) for each stage
    """

    def __init__(self, stages: Sequence[DFCStage], *, sizes: str | Sequence[tuple[int, int]] = "frame"):
        super().__init__()
        channels = [(stage.in_channels, stage.out_channels) for stage in stages]
        if not 1 <= len(stages) <= len(CHANNELS) or channels != list(CHANNELS[: len(stages)]):
            raise ValueError(f"the stages take and give {channels} channels, and one to three of {list(CHANNELS)} are needed, in order")
        if isinstance(sizes, str) and sizes not in ("frame", "paper"):
            raise ValueError(f"sizes is {sizes!r}, and there are 'frame', 'paper' or a (height, width) for each stage")
        if not isinstance(sizes, str) and len(sizes) < len(stages):
            raise ValueError(f"there are {len(stages)} stages and {len(sizes)} sizes")
        self.stages = nn.ModuleList(stages)
        self.sizes = sizes

    @classmethod
    def build(
        cls,
        stages: int = 3,
        backbone: str = "resnet50",
        width: float = 1.0,
        *,
        multi_scale: bool | None = None,
        frozen_norm: bool = True,
        sizes: str | Sequence[tuple[int, int]] = "frame",
    ) -> DFCNet:
        """Equal stages. `DFCNet.build(1, "resnet101")` is the paper's DFC-Single."""
        if not 1 <= stages <= len(CHANNELS):
            raise ValueError(f"stages is {stages}, and there are 1 to {len(CHANNELS)}")
        made = [DFCStage(*io, backbone, width, multi_scale=multi_scale, frozen_norm=frozen_norm) for io in CHANNELS[:stages]]
        return cls(made, sizes=sizes)

    def prefix(self, stages: int) -> DFCNet:
        """The first so many of the stages, the very same modules."""
        return DFCNet(list(self.stages)[:stages], sizes=self.sizes)

    def stage_sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """(height, width) of what each stage sees of a frame of that size."""
        if self.sizes == "paper":
            sizes: Sequence[tuple[int, int]] = PAPER_SIZES
        elif self.sizes == "frame":
            sizes = [(height * part // whole, width * part // whole) for part, whole in SHARES]
        else:
            sizes = self.sizes
        return [(max(h, _SMALLEST), max(w, _SMALLEST)) for h, w in sizes[: len(self.stages)]]


class _Bottleneck(nn.Module):
    """ResNet's block with the stride on its first convolution, as in the Caffe networks."""

    def __init__(self, channels: int, planes: int, stride: int, dilation: int, project: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * _EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * _EXPANSION)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(channels, planes * _EXPANSION, 1, stride, bias=False),
                nn.BatchNorm2d(planes * _EXPANSION),
            )
            if project
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + beside)


def _layer(channels: int, planes: int, blocks: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    first = _Bottleneck(channels, planes, stride, dilation, project=True)
    return nn.Sequential(first, *(_Bottleneck(planes * _EXPANSION, planes, 1, dilation, project=False) for _ in range(blocks - 1)))


def _scaled(channels: int, width: float) -> int:
    return max(round(channels * width), 1)


class _SingleScale(nn.Module):
    """A linear answer at an eighth of the size, made as large as the input."""

    def __init__(self, channels: int, out_channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 1)

    @property
    def last(self) -> nn.Conv2d:
        return self.conv1

    def forward(self, x: Tensor, size: tuple[int, int], region: Region | None) -> Tensor:
        return _enlarge(_exactly(self.conv1, x), size, region, STRIDE, 1)


class _MultiScale(nn.Module):
    """Convolutions at a quarter, a half and all of the size."""

    def __init__(self, channels: int, out_channels: int, width: float):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, _scaled(256, width), 5, padding=2)
        self.conv2 = nn.Conv2d(_scaled(256, width), _scaled(128, width), 3, padding=1)
        self.conv3 = nn.Conv2d(_scaled(128, width), out_channels, 1)

    @property
    def last(self) -> nn.Conv2d:
        return self.conv3

    def forward(self, x: Tensor, size: tuple[int, int], region: Region | None) -> Tensor:
        x = F.relu(self.conv1(_enlarge(x, size, region, STRIDE, 4)))
        x = F.relu(self.conv2(_enlarge(x, size, region, 4, 2)))
        # Resizing and a convolution of single pixels may change places, and 128 channels of the whole size are most of the memory.
        return _enlarge(_exactly(self.conv3, x), size, region, 2, 1)


def _exactly(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """The last convolution gives pixels, and half precision would round a flow of 64 to steps of a sixteenth."""
    with torch.autocast(x.device.type, enabled=False):
        return conv(x.float()) if x.dtype != conv.weight.dtype else conv(x)


def _enlarge(x: Tensor, size: tuple[int, int], region: Region | None, before: int, after: int) -> Tensor:
    """Bilinear resizing from a `before`th to an `after`th of the input's (height, width) `size`."""
    if region is None:
        return F.interpolate(x, size=(size[0] // after, size[1] // after), mode="bilinear", align_corners=False)
    x = x.permute(0, 2, 3, 1)
    for dim, here, start, whole in ((1, size[0], region.top, region.height), (2, size[1], region.left, region.width)):
        source = _features(whole) if before == STRIDE else whole // before
        # A crop that ends where the frame ends has what is left of it there.
        targets = torch.arange(start // after, (start + here) // after, device=x.device)
        position = ((targets + 0.5) * (source / (whole // after)) - 0.5).clamp(min=0)
        low = position.floor()
        share = (position - low).to(x.dtype).reshape(-1, *[1] * (3 - dim))
        low = low.long()
        high = (low + 1).clamp(max=source - 1)
        low, high = ((at - start // before).clamp(0, x.shape[dim] - 1) for at in (low, high))
        x = torch.lerp(x.index_select(dim, low), x.index_select(dim, high), share)
    return x.permute(0, 3, 1, 2)


def _features(size: int) -> int:
    """How many features a backbone makes of so many pixels: halved by the first convolution, the pooling and layer2."""
    size = -(-size // 2)
    size = size // 2 + 1
    return -(-size // 2)
