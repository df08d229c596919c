"""Encoder: images to latents.

Shapes: B batch, H W image height and width, f downsample factor, h = H/f, w = W/f, D code dim.
"""

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from vqvae.config import later, require
from vqvae.model.blocks import Chain, Conv, Norm, ReLU, Span, down, stage


@dataclass(frozen=True)
class PyramidConfig:
    """Widths and numbers of residual blocks at the resolutions H/patch, H/(2 patch), ..., finest first."""

    patch: int = 4
    widths: tuple[int, ...] = (128, 256)
    blocks: tuple[int, ...] = (1, 2)
    norm: Norm = later("none")  # before every residual block, over the channels of a position

    def __post_init__(self) -> None:
        require(self.patch >= 1, "patch must be at least 1", self.patch)
        require(
            len(self.widths) == len(self.blocks) >= 1,
            "widths and blocks must be of one length, at least 1",
            f"{self.widths} and {self.blocks}",
        )
        require(min(self.widths) >= 1, "widths must be at least 1", self.widths)
        require(min(self.blocks) >= 0, "blocks must not be negative", self.blocks)

    @property
    def downsample_factor(self) -> int:
        """f: pixels along a side of what one code stands for."""
        return self.patch << (len(self.widths) - 1)


@dataclass(frozen=True)
class EncoderConfig(PyramidConfig):
    """The shipped f8 encoder by default: 8.0 GFLOP for 256x256 pixels."""


class Encoder(nn.Module):
    """images (B, 3, H, W) float32 in [-1, 1] -> latents z_e (B, D, h, w); H and W multiples of f."""

    def __init__(self, config: EncoderConfig, codebook_dim: int) -> None:
        super().__init__()
        self.config = config
        widths, blocks = config.widths, config.blocks
        self.layers = Chain(
            *down(3, widths[0], config.patch, kernel_size=3),
            *stage(widths[0], blocks[0], config.norm),
        )
        for (finer, coarser), num_blocks in zip(pairwise(widths), blocks[1:], strict=True):
            self.layers.extend([*down(finer, coarser, 2), *stage(coarser, num_blocks, config.norm)])
        self.head = Chain(ReLU(), Conv(widths[-1], codebook_dim, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D, h, w)."""
        latents: Tensor = self.head(self.layers(images))
        return latents

    def reads(self, outputs: Span) -> Span:
        """The pixels that a span of latents depends on, along one axis."""
        return self.layers.reads(self.head.reads(outputs))
