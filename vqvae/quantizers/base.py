"""What every quantizer is: a codebook, a search, a lookup, and one result type.

Shapes: B batch, D code dim, h w latent height and width, K codebook size, N = B*h*w.
Reference: van den Oord et al., 2017 (https://arxiv.org/abs/1711.00937), eq. 1-3.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqvae.config import require
from vqvae.quantizers.search import kmeans, nearest_codes


@dataclass(frozen=True, slots=True)
class Quantized:
    """What one pass through a quantizer yields; the two losses are weighted, ready to be added."""

    z_q: Tensor  # (B, D, h, w) straight-through in the backward pass
    codes: Tensor  # (B, h, w) int64 in [0, K)
    codebook_loss: Tensor  # () pulls code vectors towards latents
    commitment_loss: Tensor  # () pulls latents towards code vectors


@dataclass(frozen=True)
class CodebookConfig:
    """What every method's configuration has."""

    codebook_size: int = 4096
    codebook_dim: int = 8
    commitment_weight: float = 0.25
    dead_code_threshold: float = 0.2  # a code used less than this share of the mean count is dead

    def __post_init__(self) -> None:
        require(2 <= self.codebook_size <= 2**32, "codebook_size must lie in [2, 2**32]", self.codebook_size)
        require(self.codebook_dim >= 1, "codebook_dim must be at least 1", self.codebook_dim)
        require(self.commitment_weight >= 0, "commitment_weight must not be negative", self.commitment_weight)
        require(
            0 <= self.dead_code_threshold < 1,
            "dead_code_threshold must lie in [0, 1)",
            self.dead_code_threshold,
        )


class Quantizer(nn.Module, ABC):
    """Latents to codes and code vectors; a method adds its losses and how its codebook moves."""

    def __init__(self, config: CodebookConfig) -> None:
        super().__init__()
        self.config = config

    @property
    @abstractmethod
    def codebook(self) -> Tensor:
        """The code vectors (K, D) float32."""

    def nearest_codes(self, z_e: Tensor) -> Tensor:
        """Index of the nearest code vector: (B, D, h, w) -> (B, h, w) int64."""
        return nearest_codes(flatten(z_e), self.codebook).view(z_e.shape[0], *z_e.shape[2:])

    def lookup(self, codes: Tensor) -> Tensor:
        """The code vectors of codes in [0, K): (B, h, w) int64 -> (B, D, h, w) float32."""
        return F.embedding(codes, self.codebook).permute(0, 3, 1, 2)

    def forward(self, z_e: Tensor) -> Quantized:
        """Quantize latents (B, D, h, w); in evaluation z_q is the looked-up vectors themselves."""
        with torch.autocast(z_e.device.type, enabled=False):
            z_e = z_e.to(torch.promote_types(z_e.dtype, torch.float32))
            codes = self.nearest_codes(z_e)
            z_q = self.lookup(codes)
            codebook_loss, commitment_loss = self.losses(z_e, z_q)
            if self.training:
                z_q = z_e + (z_q - z_e).detach()  # identity gradient: copies d/dz_q onto z_e
            return Quantized(z_q, codes, codebook_loss, commitment_loss)

    @abstractmethod
    def losses(self, z_e: Tensor, z_q: Tensor) -> tuple[Tensor, Tensor]:
        """Codebook loss and commitment loss of latents and their code vectors, both (B, D, h, w)."""

    @torch.no_grad()
    def init_codebook_(self, latents: Tensor, generator: torch.Generator) -> None:
        """Start the codebook from latents (N, D) by k-means."""
        everything = torch.ones(self.config.codebook_size, dtype=torch.bool, device=self.codebook.device)
        centres = kmeans(latents, self.config.codebook_size, generator=generator)
        self.set_codes_(everything, centres.to(self.codebook.dtype))

    @torch.no_grad()
    def restart_dead_codes_(self, counts: Tensor, latents: Tensor, generator: torch.Generator) -> int:
        """Re-seed every dead code at a random latent; returns how many.

        Args:
            counts: (K,) how often each code was used over a window of training.
            latents: (N, D) to draw from.
        """
        dead = counts < self.config.dead_code_threshold * counts.double().mean()
        num_dead = int(dead.sum())
        picks = torch.randint(len(latents), (num_dead,), generator=generator).to(latents.device)
        self.set_codes_(dead, latents[picks].to(self.codebook.dtype))
        return num_dead

    @abstractmethod
    def set_codes_(self, which: Tensor, vectors: Tensor) -> None:
        """Put vectors (n, D) in the rows of the codebook that the mask (K,) selects."""

    def inference_state(self) -> dict[str, Tensor]:
        """The tensors that coding needs, by name: what a model on disk holds of a quantizer."""
        return {"codebook": self.codebook.detach()}

    @torch.no_grad()
    def load_inference_state_(self, state: dict[str, Tensor]) -> None:
        """The inverse of `inference_state`; raises KeyError or RuntimeError where names or shapes differ."""
        everything = torch.ones(self.config.codebook_size, dtype=torch.bool, device=self.codebook.device)
        self.set_codes_(everything, state["codebook"].to(self.codebook.dtype))

    def update_(
        self, latents: Tensor, codes: Tensor, total: Callable[[Tensor], Tensor] = lambda statistic: statistic
    ) -> None:
        """Move the codebook after a training step, where no gradient does: latents (N, D), codes (N,).

        Args:
            total: sums a statistic over the processes that train together.
        """


def flatten(z_e: Tensor) -> Tensor:
    """Latents as rows in raster order: (B, D, h, w) -> (N, D)."""
    return z_e.permute(0, 2, 3, 1).flatten(0, 2)
