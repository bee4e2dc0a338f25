"""FlowNet2 (Ilg et al.: FlowNet 2.0, CVPR 2017) in plain PyTorch.

FlowNetC and two FlowNetS in a row for large motion, FlowNetSD beside them for small motion, and a fusion network over
both. Parameter names are those of the published checkpoint, so it loads with `strict=True`.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: The sub-networks halve the picture six times.
GRANULE = 64
#: FlowNetC looks this far for a match, in steps of two pixels of its eighth-size features, in each direction.
_STEPS = 10
_STRIDE = 2
CORRELATIONS = (2 * _STEPS + 1) ** 2
#: FlowNetC and FlowNetS speak of flow in units of so many pixels, FlowNetSD in parts of a pixel, so many to each.
DIVISOR = 20.0
_LEVELS = (5, 4, 3, 2)


def _scaled(channels: int, width: float) -> int:
    return max(round(channels * width), 8)


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2), nn.LeakyReLU(0.1, inplace=True))


def _linear_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1))


def _deconv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.1, inplace=True))


def _head(inputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, 2, 3, 1, 1)


def _doubling(bias: bool = True) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=bias)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """How alike `a` is to `b` at 21 x 21 displacements of even length, up to 20 either way (FlowNet, section 3).

    a, b  (N, C, H, W)
    Returns (N, 441, H, W): channel (j + 10) * 21 + (i + 10) is the mean over the channels of a[y, x] * b[y + 2j, x + 2i],
    j, i in -10..10, with b = 0 outside the picture.
    """
    n, c, height, width = a.shape
    a, b = (F.pad(x, (0, width % 2, 0, height % 2)) for x in (a, b))
    h, w = a.shape[2] // 2, a.shape[3] // 2
    side = 2 * _STEPS + 1
    # Displacements are even, so pixels of one parity meet only their own kind: four dense problems of stride one. In each,
    # a matrix product of a line of `a` with a line of `b` holds all horizontal displacements, as a band along its diagonal.
    lines = (a / c).view(n, c, h, 2, w, 2).permute(0, 3, 5, 2, 4, 1).reshape(n * 4, h, w, c)
    others = b.view(n, c, h, 2, w, 2).permute(0, 3, 5, 2, 1, 4).reshape(n * 4, h, c, w)
    others = F.pad(others, (_STEPS, _STEPS, 0, 0, _STEPS, _STEPS))
    bands = []
    for j in range(side):
        products = torch.matmul(lines, others[:, j : j + h]).contiguous()
        batch, row, column, _ = products.stride()
        bands.append(products.as_strided((n * 4, h, w, side), (batch, row, column + 1, 1)))
    out = torch.stack(bands).view(side, n, 2, 2, h, w, side)
    out = out.permute(1, 0, 6, 4, 2, 5, 3).reshape(n, CORRELATIONS, 2 * h, 2 * w)
    return out[..., :height, :width]


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """`image` (N, C, H, W) sampled bilinearly at p + flow(p), flow (N, 2, H, W) in pixels; the border continues outside."""
    n, c, h, w = image.shape
    flow = flow.float()
    x = torch.arange(w, device=flow.device, dtype=torch.float32) + flow[:, 0]
    y = torch.arange(h, device=flow.device, dtype=torch.float32)[:, None] + flow[:, 1]
    left, top = torch.floor(x), torch.floor(y)
    right_share, lower_share = (x - left)[:, None], (y - top)[:, None]
    # What is no number stays none, by its share; as an index it would take the whole graphics card with it.
    columns = [torch.nan_to_num(left + k).clamp(0, w - 1).long() for k in (0, 1)]
    rows = [torch.nan_to_num(top + k).clamp(0, h - 1).long() * w for k in (0, 1)]
    flat = image.float().reshape(n, c, h * w)

    def at(row: Tensor, column: Tensor) -> Tensor:
        index = (row + column).reshape(n, 1, h * w).expand(n, c, h * w)
        return flat.gather(2, index).view(n, c, h, w)

    upper = at(rows[0], columns[0]) * (1 - right_share) + at(rows[0], columns[1]) * right_share
    lower = at(rows[1], columns[0]) * (1 - right_share) + at(rows[1], columns[1]) * right_share
    return upper * (1 - lower_share) + lower * lower_share


def norm(x: Tensor) -> Tensor:
    """Length over the channels: (N, C, H, W) to (N, 1, H, W). Its gradient at 0 is 0."""
    return torch.linalg.vector_norm(x.float(), dim=1, keepdim=True)


class _Pyramid(nn.Module):
    """What the flow networks share: down from 1/8 of the size to 1/64, and up again to 1/4, with a flow at each level.

    `intermediate`: FlowNetSD's convolution before each head. `bias`: of the layers that double the flow.
    """

    def _add_trunk(self, width: float) -> None:
        c256, c512, c1024 = (_scaled(c, width) for c in (256, 512, 1024))
        self.conv4 = _conv(c256, c512, 3, 2)
        self.conv4_1 = _conv(c512, c512)
        self.conv5 = _conv(c512, c512, 3, 2)
        self.conv5_1 = _conv(c512, c512)
        self.conv6 = _conv(c512, c1024, 3, 2)
        self.conv6_1 = _conv(c1024, c1024)

    def _add_decoder(self, width: float, *, bias: bool, intermediate: bool) -> None:
        def scaled(channels: int) -> int:
            return _scaled(channels, width)

        skips = {5: scaled(512), 4: scaled(512), 3: scaled(256), 2: scaled(128)}
        ups = {5: scaled(512), 4: scaled(256), 3: scaled(128), 2: scaled(64)}
        joined = {level: skips[level] + ups[level] + 2 for level in _LEVELS}
        bottom = scaled(1024)
        for level in _LEVELS:
            setattr(self, f"deconv{level}", _deconv(bottom if level == 5 else joined[level + 1], ups[level]))
        if intermediate:
            for level in _LEVELS:
                setattr(self, f"inter_conv{level}", _linear_conv(joined[level], ups[level]))
        self.predict_flow6 = _head(bottom)
        for level in _LEVELS:
            setattr(self, f"predict_flow{level}", _head(ups[level] if intermediate else joined[level]))
        for level in _LEVELS:
            setattr(self, f"upsampled_flow{level + 1}_to_{level}", _doubling(bias))
        self._intermediate = intermediate

    def _flows(self, c2: Tensor, c3: Tensor) -> list[Tensor]:
        """Flows of levels 2 to 6, finest first, from the features at a quarter and an eighth of the size."""
        c4 = self.conv4_1(self.conv4(c3))
        c5 = self.conv5_1(self.conv5(c4))
        skips = {5: c5, 4: c4, 3: c3, 2: c2}
        features = self.conv6_1(self.conv6(c5))
        flows = [self.predict_flow6(features)]
        for level in _LEVELS:
            larger = getattr(self, f"upsampled_flow{level + 1}_to_{level}")(flows[0])
            features = torch.cat([skips[level], getattr(self, f"deconv{level}")(features), larger], 1)
            seen = getattr(self, f"inter_conv{level}")(features) if self._intermediate else features
            flows.insert(0, getattr(self, f"predict_flow{level}")(seen))
        return flows


class FlowNetC(_Pyramid):
    """Matches features of two pictures explicitly. (N, 6, H, W) to flows at 1/4..1/64 of the size, in units of 20 pixels."""

    def __init__(self, width: float = 1.0):
        super().__init__()
        c64, c128, c256 = (_scaled(c, width) for c in (64, 128, 256))
        redirected = _scaled(32, width)
        self.conv1 = _conv(3, c64, 7, 2)
        self.conv2 = _conv(c64, c128, 5, 2)
        self.conv3 = _conv(c128, c256, 5, 2)
        self.conv_redir = _conv(c256, redirected, 1)
        self.conv3_1 = _conv(redirected + CORRELATIONS, c256)
        self._add_trunk(width)
        self._add_decoder(width, bias=True, intermediate=False)

    def forward(self, pair: Tensor) -> list[Tensor]:
        n = len(pair)
        half = self.conv2(self.conv1(torch.cat([pair[:, :3], pair[:, 3:]])))
        a, b = self.conv3(half).split(n)
        matches = F.leaky_relu(correlation(a, b), 0.1)
        c3 = self.conv3_1(torch.cat([self.conv_redir(a), matches], 1))
        return self._flows(half[:n], c3)


class FlowNetS(_Pyramid):
    """Corrects a flow. (N, 12, H, W): two pictures, the second one warped, the flow / 20, the brightness error."""

    def __init__(self, width: float = 1.0):
        super().__init__()
        c64, c128, c256 = (_scaled(c, width) for c in (64, 128, 256))
        self.conv1 = _conv(12, c64, 7, 2)
        self.conv2 = _conv(c64, c128, 5, 2)
        self.conv3 = _conv(c128, c256, 5, 2)
        self.conv3_1 = _conv(c256, c256)
        self._add_trunk(width)
        self._add_decoder(width, bias=False, intermediate=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        c2 = self.conv2(self.conv1(x))
        c3 = self.conv3_1(self.conv3(c2))
        return self._flows(c2, c3)


class FlowNetSD(_Pyramid):
    """Small displacements. (N, 6, H, W) to flows at 1/4..1/64 of the size, in units of 1/20 pixel."""

    def __init__(self, width: float = 1.0):
        super().__init__()
        c64, c128, c256 = (_scaled(c, width) for c in (64, 128, 256))
        self.conv0 = _conv(6, c64)
        self.conv1 = _conv(c64, c64, 3, 2)
        self.conv1_1 = _conv(c64, c128)
        self.conv2 = _conv(c128, c128, 3, 2)
        self.conv2_1 = _conv(c128, c128)
        self.conv3 = _conv(c128, c256, 3, 2)
        self.conv3_1 = _conv(c256, c256)
        self._add_trunk(width)
        self._add_decoder(width, bias=True, intermediate=True)

    def forward(self, pair: Tensor) -> list[Tensor]:
        c2 = self.conv2_1(self.conv2(self.conv1_1(self.conv1(self.conv0(pair)))))
        c3 = self.conv3_1(self.conv3(c2))
        return self._flows(c2, c3)


class FlowNetFusion(nn.Module):
    """Chooses between two flows. (N, 11, H, W) to flows at full, half and quarter size, in pixels, finest first."""

    def __init__(self, width: float = 1.0):
        super().__init__()
        c16, c32, c64, c128 = (_scaled(c, width) for c in (16, 32, 64, 128))
        self.conv0 = _conv(11, c64)
        self.conv1 = _conv(c64, c64, 3, 2)
        self.conv1_1 = _conv(c64, c128)
        self.conv2 = _conv(c128, c128, 3, 2)
        self.conv2_1 = _conv(c128, c128)
        half, full = c128 + c32 + 2, c64 + c16 + 2
        self.deconv1 = _deconv(c128, c32)
        self.deconv0 = _deconv(half, c16)
        self.inter_conv1 = _linear_conv(half, c32)
        self.inter_conv0 = _linear_conv(full, c16)
        self.predict_flow2 = _head(c128)
        self.predict_flow1 = _head(c32)
        self.predict_flow0 = _head(c16)
        self.upsampled_flow2_to_1 = _doubling()
        self.upsampled_flow1_to_0 = _doubling()

    def forward(self, x: Tensor) -> list[Tensor]:
        a0 = self.conv0(x)
        a1 = self.conv1_1(self.conv1(a0))
        a2 = self.conv2_1(self.conv2(a1))
        flow2 = self.predict_flow2(a2)
        half = torch.cat([a1, self.deconv1(a2), self.upsampled_flow2_to_1(flow2)], 1)
        flow1 = self.predict_flow1(self.inter_conv1(half))
        full = torch.cat([a0, self.deconv0(half), self.upsampled_flow1_to_0(flow1)], 1)
        head = self.predict_flow0
        return [head(self.inter_conv0(full).to(head.weight.dtype)), flow1, flow2]


class FlowNet2(nn.Module):
    """Flow from one picture to another.

    `width` scales the number of channels of every layer; 1 is the published network.
    """

    def __init__(self, width: float = 1.0):
        super().__init__()
        self.width = width
        self.flownetc = FlowNetC(width)
        self.flownets_1 = FlowNetS(width)
        self.flownets_2 = FlowNetS(width)
        self.flownets_d = FlowNetSD(width)
        self.flownetfusion = FlowNetFusion(width)

    def halved(self) -> FlowNet2:
        """This network in half precision, in place. The last layer stays whole: half cannot hold 40.03 pixels."""
        self.half()
        self.flownetfusion.predict_flow0.float()
        return self

    def forward(self, first: Tensor, second: Tensor, mean: Tensor | None = None) -> Tensor:
        """first, second (N, 3, H, W) RGB, 0..255, of any size. Returns (N, 2, H, W) float32: the flow, in pixels, such that
        first(p) looks like second(p + flow(p)).

        mean  (N, 3) of what both are parts of; None: their own
        """
        h, w = first.shape[2:]
        if mean is None:
            mean = torch.stack([first, second]).float().mean((0, 3, 4))
        beyond = (0, -w % GRANULE, 0, -h % GRANULE)
        a, b = (F.pad((x.float() - mean[..., None, None]) / 255, beyond, mode="replicate") for x in (first, second))
        return self.fuse(a, b)[..., :h, :w]

    def fuse(self, a: Tensor, b: Tensor) -> Tensor:
        """The same for pictures (N, 3, H, W) of a size that `GRANULE` divides, with their common mean subtracted, / 255."""
        pair = torch.cat([a, b], 1)
        coarse = quadrupled(self._run(self.flownetc, pair) * DIVISOR)
        better = quadrupled(self._run(self.flownets_1, beside(pair, coarse)) * DIVISOR)
        large = quadrupled(self._run(self.flownets_2, beside(pair, better)) * DIVISOR, "nearest")
        small = quadrupled(self._run(self.flownets_d, pair) / DIVISOR, "nearest")
        errors = [norm(a - warp(b, flow)) for flow in (small, large)]
        return self._run(self.flownetfusion, torch.cat([a, small, large, norm(small), norm(large), *errors], 1))

    @staticmethod
    def _run(network: nn.Module, x: Tensor) -> Tensor:
        """The finest flow of a sub-network, whatever its precision, as float32."""
        return network(x.to(next(network.parameters()).dtype))[0].float()


def beside(pair: Tensor, flow: Tensor) -> Tensor:
    """What FlowNetS looks at: (N, 12, H, W)."""
    warped = warp(pair[:, 3:], flow)
    return torch.cat([pair, warped, flow / DIVISOR, norm(pair[:, :3] - warped)], 1)


def quadrupled(flow: Tensor, mode: str = "bilinear") -> Tensor:
    return F.interpolate(flow, scale_factor=4, mode=mode)
