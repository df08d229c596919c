"""Vector quantizer whose codebook is one learned linear map of vectors that stand still.

A step moves the map and with it every code vector, used or not, so that few codes die.
Shapes: B batch, D code dim, h w latent height and width, K codebook size.
Reference: Zhu et al., 2024 (https://arxiv.org/abs/2411.02038).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqvae.quantizers.base import Quantizer
from vqvae.quantizers.vq import VectorQuantizerConfig


@dataclass(frozen=True)
class SimVectorQuantizerConfig(VectorQuantizerConfig):
    """The losses' weights are those of `vq`."""


class SimVectorQuantizer(Quantizer):
    """codebook = anchors @ map: k-means places the anchors, the codebook loss moves the map."""

    def __init__(self, config: SimVectorQuantizerConfig) -> None:
        super().__init__(config)
        self.config: SimVectorQuantizerConfig = config
        self.anchors: Tensor
        self.register_buffer("anchors", torch.randn(config.codebook_size, config.codebook_dim))
        self.map = nn.Parameter(torch.eye(config.codebook_dim))

    @property
    def codebook(self) -> Tensor:
        """The code vectors (K, D)."""
        return self.anchors @ self.map

    def losses(self, z_e: Tensor, z_q: Tensor) -> tuple[Tensor, Tensor]:
        """beta |sg[z_e] - z_q|^2 and gamma |z_e - sg[z_q]|^2, means over all elements."""
        codebook_loss = self.config.codebook_weight * F.mse_loss(z_q, z_e.detach())
        commitment_loss = self.config.commitment_weight * F.mse_loss(z_e, z_q.detach())
        return codebook_loss, commitment_loss

    @torch.no_grad()
    def set_codes_(self, which: Tensor, vectors: Tensor) -> None:
        """Put anchors where the map takes them to vectors (n, D); the whole codebook begins with no map."""
        if bool(which.all()):
            self.map.copy_(torch.eye(self.config.codebook_dim))
        self.anchors[which] = torch.linalg.solve(self.map, vectors, left=False)
