"""The pieces that encoder and decoder are made of, each of finite support.

Every piece knows, along one axis, which of its inputs a span of its outputs reads. Chained, that gives the
receptive field of the whole, from which tiles get their halo. Nothing here looks further: no attention, no
statistics over the plane.
Shapes: B batch, C channels, H W height and width at the piece's own resolution.
"""

from typing import Literal, NamedTuple, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

Norm = Literal["none", "position"]

ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


class Span(NamedTuple):
    """Positions start, ..., stop - 1 along one axis."""

    start: int
    stop: int


@runtime_checkable
class Local(Protocol):
    """A piece that knows what it reads."""

    def reads(self, outputs: Span) -> Span:
        """The span of inputs that a span of outputs depends on."""


class Conv(nn.Conv2d):
    """Convolution that keeps the size: (B, C_in, H, W) -> (B, C_out, H, W), zero-padded; odd kernels.

    Weights lie channels-last in memory, which makes all that flows through the network lie so too.

    In evaluation on a CPU it always runs on oneDNN. PyTorch would take another kernel for small inputs, with
    another order of sums, and a small tile would get other latents than the whole image. In evaluation on a
    GPU it does without TF32, which PyTorch would use, and which changes codes. An exporter gets a plain
    convolution, for other runtimes know no other.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        self.reach = kernel_size // 2
        super().__init__(in_channels, out_channels, kernel_size, padding=self.reach)
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H, W)."""
        if self.padding_mode != "zeros" or torch.compiler.is_exporting():  # "zeros" is no closed plane
            return super().forward(x)
        if not self.training and x.is_cuda:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                return super().forward(x)
        if not self.training and x.device.type == "cpu" and ONEDNN:
            padding = (self.reach, self.reach)
            return torch.mkldnn_convolution(
                x, self.weight, self.bias, padding, self.stride, self.dilation, self.groups
            )
        return super().forward(x)

    def reads(self, outputs: Span) -> Span:
        """The outputs' own positions and half a kernel on either side."""
        return Span(outputs.start - self.reach, outputs.stop + self.reach)


class Unshuffle(nn.PixelUnshuffle):
    """Space to channels: (B, C, H*r, W*r) -> (B, C*r*r, H, W)."""

    def reads(self, outputs: Span) -> Span:
        """r inputs for every output."""
        return Span(outputs.start * self.downscale_factor, outputs.stop * self.downscale_factor)


class Shuffle(nn.PixelShuffle):
    """Channels to space: (B, C*r*r, H, W) -> (B, C, H*r, W*r)."""

    def reads(self, outputs: Span) -> Span:
        """Every input that holds one of the outputs."""
        return Span(outputs.start // self.upscale_factor, -(-outputs.stop // self.upscale_factor))


class ReLU(nn.ReLU):
    """Per-position rectifier; in place where nobody else has its input."""

    def reads(self, outputs: Span) -> Span:
        """The same positions."""
        return outputs


class PositionNorm(nn.RMSNorm):
    """Divide the channels of every position by their root mean square: (B, C, H, W) -> (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def reads(self, outputs: Span) -> Span:
        """The same positions."""
        return outputs


class Chain(nn.Sequential):
    """Pieces one after another."""

    def reads(self, outputs: Span) -> Span:
        """What the last piece reads, followed to the first."""
        for piece in reversed(self):
            outputs = cast(Local, piece).reads(outputs)
        return outputs


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(relu(x)))), 3x3: (B, C, H, W) -> (B, C, H, W). The identity at the start.

    The second convolution starts at zero, so depth alone makes nothing grow, and a norm is not needed.
    """

    def __init__(self, channels: int, norm: Norm = "none") -> None:
        super().__init__()
        self.branch = Chain(
            ReLU(), Conv(channels, channels, 3), ReLU(inplace=True), Conv(channels, channels, 3)
        )
        if norm == "position":
            self.branch.insert(0, PositionNorm(channels, eps=1e-6))
        last = cast(Conv, self.branch[-1])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(cast(Tensor, last.bias))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        y = cast(Tensor, self.branch(x))
        return x + y if self.training else y.add_(x)

    def reads(self, outputs: Span) -> Span:
        """What the branch reads, which holds the outputs' own positions."""
        return self.branch.reads(outputs)


def stage(channels: int, num_blocks: int, norm: Norm = "none") -> list[nn.Module]:
    """Residual blocks at one resolution."""
    return [ResidualBlock(channels, norm) for _ in range(num_blocks)]


def down(in_channels: int, out_channels: int, factor: int, kernel_size: int = 1) -> list[nn.Module]:
    """To a resolution `factor` times lower: unshuffle, then mix."""
    return [Unshuffle(factor), Conv(in_channels * factor**2, out_channels, kernel_size)]


def up(in_channels: int, out_channels: int, factor: int) -> list[nn.Module]:
    """To a resolution `factor` times higher: mix, then shuffle, started without a checkerboard.

    The convolution starts with the same weights for all the pixels that one position becomes (ICNR: Aitken et
    al., 2017, https://arxiv.org/abs/1707.02937).
    """
    mix = Conv(in_channels, out_channels * factor**2, 1)
    with torch.no_grad():
        mix.weight.copy_(mix.weight[:: factor**2].repeat_interleave(factor**2, dim=0))
        bias = cast(Tensor, mix.bias)
        bias.copy_(bias[:: factor**2].repeat_interleave(factor**2))
    return [mix, Shuffle(factor)]
