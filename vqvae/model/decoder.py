"""Decoder: code vectors to images.

Shapes: B batch, H W image height and width, f downsample factor, h = H/f, w = W/f, D code dim.
"""

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from vqvae.config import require
from vqvae.model.blocks import Chain, Conv, ReLU, Span, stage, up
from vqvae.model.encoder import PyramidConfig


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
            ReLU(), *up(widths[-1], config.full_width, config.patch), ReLU(), Conv(config.full_width, 3, 3)
        )

    def forward(self, z_q: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, 3, H, W)."""
        x_hat: Tensor = self.head(self.layers(self.stem(z_q)))
        return x_hat

    def reads(self, outputs: Span) -> Span:
        """The cells that a span of pixels depends on, along one axis."""
        return self.stem.reads(self.layers.reads(self.head.reads(outputs)))
