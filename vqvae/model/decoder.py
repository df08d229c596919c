"""Decoder: code vectors to images.

Shapes: B batch, H W image height and width, f downsample factor, h = H/f, w = W/f, D code dim.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from vqvae.config import require
from vqvae.model.blocks import Chain, Conv, ReLU, Span, stage, up
from vqvae.model.encoder import PyramidConfig

BAND = 16  # rows of patches at a time: what the head makes of them stays in a processor's cache


@dataclass(frozen=True)
class DecoderConfig(PyramidConfig):
    """The shipped f8 decoder by default: 15.3 GFLOP for 256x256 pixels, twice its encoder.

    `full_width` channels at full size let the last 3x3 convolution smooth over the seams between patches.
    """

    blocks: tuple[int, ...] = (3, 3)
    full_width: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.full_width >= 1, "full_width must be at least 1", self.full_width)


class Decoder(nn.Module):
    """z_q (B, D, h, w) -> reconstruction x_hat (B, 3, H, W), about [-1, 1] and not clipped."""

    def __init__(self, config: DecoderConfig, codebook_dim: int) -> None:
        super().__init__()
        self.config = config
        widths, blocks = config.widths[::-1], config.blocks[::-1]
        self.stem = Conv(codebook_dim, widths[0], 1)
        self.layers = Chain(*stage(widths[0], blocks[0], config.norm))
        for (coarser, finer), num_blocks in zip(pairwise(widths), blocks[1:], strict=True):
            self.layers.extend([*up(coarser, finer, 2), *stage(finer, num_blocks, config.norm)])
        self.head = Chain(
            ReLU(),
            *up(widths[-1], config.full_width, config.patch),
            ReLU(inplace=True),
            Conv(config.full_width, 3, 3),
        )

    def forward(self, z_q: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, 3, H, W)."""
        x = self.layers(self.stem(z_q))
        is_tall = x.shape[2] > BAND and self.stem.padding_mode == "zeros"  # a closed plane has no first row
        if is_tall and x.device.type == "cpu" and not self.training and not torch.compiler.is_exporting():
            return self._head_in_bands(x)
        x_hat: Tensor = self.head(x)
        return x_hat

    def _head_in_bands(self, x: Tensor) -> Tensor:
        """The head, whose planes at full size are the largest of all, a few rows at a time."""
        patch, (batch, _, height, width) = self.config.patch, x.shape
        shape = (batch, 3, height * patch, width * patch)
        x_hat = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        for start in range(0, height, BAND):
            rows = Span(start * patch, min(start + BAND, height) * patch)
            first, last = self.head.reads(rows)
            first, last = max(0, first), min(height, last)
            band = self.head(x[:, :, first:last])
            x_hat[:, :, slice(*rows)] = band[:, :, rows.start - first * patch : rows.stop - first * patch]
        return x_hat

    def reads(self, outputs: Span) -> Span:
        """The cells that a span of pixels depends on, along one axis."""
        return self.stem.reads(self.layers.reads(self.head.reads(outputs)))
