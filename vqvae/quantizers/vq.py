"""Vector quantizer trained by gradient, with the loss of Su Jianlin's article on the VQ-VAE.

|x - D(z + sg[z_q - z])|^2 + beta |sg[z] - z_q|^2 + gamma |z - sg[z_q]|^2, where gamma < beta because it is
easier to move a code vector than to move the latents of every image (https://kexue.fm/archives/6760).
Shapes: B batch, D code dim, h w latent height and width, K codebook size.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqvae.config import require
from vqvae.quantizers.base import CodebookConfig, Quantizer


@dataclass(frozen=True)
class VectorQuantizerConfig(CodebookConfig):
    """beta is `codebook_weight`, gamma is `commitment_weight`: a quarter of it by default."""

    codebook_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.codebook_weight > 0, "codebook_weight must be positive", self.codebook_weight)


class VectorQuantizer(Quantizer):
    """The codebook is a parameter; the codebook loss moves it."""

    def __init__(self, config: VectorQuantizerConfig) -> None:
        super().__init__(config)
        self.config: VectorQuantizerConfig = config
        self.vectors = nn.Parameter(torch.randn(config.codebook_size, config.codebook_dim))

    @property
    def codebook(self) -> Tensor:
        """The code vectors (K, D)."""
        return self.vectors

    def losses(self, z_e: Tensor, z_q: Tensor) -> tuple[Tensor, Tensor]:
        """beta |sg[z_e] - z_q|^2 and gamma |z_e - sg[z_q]|^2, means over all elements."""
        codebook_loss = self.config.codebook_weight * F.mse_loss(z_q, z_e.detach())
        commitment_loss = self.config.commitment_weight * F.mse_loss(z_e, z_q.detach())
        return codebook_loss, commitment_loss

    @torch.no_grad()
    def set_codes_(self, which: Tensor, vectors: Tensor) -> None:
        """Put vectors (n, D) in the rows of the codebook that the mask (K,) selects."""
        self.vectors[which] = vectors
