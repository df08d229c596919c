"""Vector quantizer whose code vectors are moving averages of the latents assigned to them.

Shapes: B batch, D code dim, h w latent height and width, K codebook size, N latents.
Reference: van den Oord et al., 2017 (https://arxiv.org/abs/1711.00937), appendix A.1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vqvae.config import require
from vqvae.quantizers.base import CodebookConfig, Quantizer

TINY = 1e-6  # a count this small has no direction left in its sum


@dataclass(frozen=True)
class EmaQuantizerConfig(CodebookConfig):
    """`decay` is the share of the old counts and sums that a step keeps."""

    decay: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.decay < 1, "decay must lie in [0, 1)", self.decay)


class EmaQuantizer(Quantizer):
    """The codebook is a buffer: `cluster_sum` over `cluster_size`, both decayed at every step."""

    def __init__(self, config: EmaQuantizerConfig) -> None:
        super().__init__(config)
        self.config: EmaQuantizerConfig = config
        self.vectors: Tensor
        self.cluster_size: Tensor
        self.cluster_sum: Tensor
        vectors = torch.randn(config.codebook_size, config.codebook_dim)
        self.register_buffer("vectors", vectors)
        self.register_buffer("cluster_size", torch.ones(config.codebook_size))  # (K,)
        self.register_buffer("cluster_sum", vectors.clone())  # (K, D)

    @property
    def codebook(self) -> Tensor:
        """The code vectors (K, D)."""
        return self.vectors

    def losses(self, z_e: Tensor, z_q: Tensor) -> tuple[Tensor, Tensor]:
        """No codebook loss; commitment_weight |z_e - sg[z_q]|^2, a mean over all elements."""
        commitment_loss = self.config.commitment_weight * F.mse_loss(z_e, z_q.detach())
        return z_e.new_zeros(()), commitment_loss

    @torch.no_grad()
    def update_(
        self, latents: Tensor, codes: Tensor, total: Callable[[Tensor], Tensor] = lambda statistic: statistic
    ) -> None:
        """Decay the counts and sums, add the whole batch's, and put the code vectors at their ratio."""
        dtype = self.cluster_sum.dtype
        counts = torch.bincount(codes, minlength=self.config.codebook_size).to(dtype)
        sums = torch.zeros_like(self.cluster_sum).index_add_(0, codes, latents.to(dtype))
        self.cluster_size.lerp_(total(counts), 1 - self.config.decay)
        self.cluster_sum.lerp_(total(sums), 1 - self.config.decay)
        means = self.cluster_sum / self.cluster_size.clamp(min=TINY)[:, None]
        self.vectors.copy_(torch.where(self.cluster_size[:, None] > TINY, means, self.vectors))

    @torch.no_grad()
    def set_codes_(self, which: Tensor, vectors: Tensor) -> None:
        """Put vectors (n, D) in the selected rows, each with the weight of an average code."""
        self.vectors[which] = vectors
        size = self.cluster_size.mean()
        self.cluster_size[which] = size
        self.cluster_sum[which] = vectors * size
