"""Autoencoder: encoder, quantizer and decoder joined, for training.

Shapes: B batch, H W image height and width, h w latent height and width, D code dim.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from vqvae.config import from_dict, require, to_dict
from vqvae.model.decoder import Decoder, DecoderConfig
from vqvae.model.encoder import Encoder, EncoderConfig
from vqvae.quantizers import (
    CodebookConfig,
    EmaQuantizerConfig,
    Quantized,
    build_quantizer,
    quantizer_config_from_dict,
    quantizer_config_to_dict,
)


@dataclass(frozen=True)
class AutoencoderConfig:
    """The shipped f8 model by default."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    quantizer: CodebookConfig = field(default_factory=EmaQuantizerConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)

    def __post_init__(self) -> None:
        require(
            self.encoder.downsample_factor == self.decoder.downsample_factor,
            "encoder and decoder must have one downsample factor",
            f"{self.encoder.downsample_factor} and {self.decoder.downsample_factor}",
        )

    @property
    def downsample_factor(self) -> int:
        """f: pixels along a side of what one code stands for."""
        return self.encoder.downsample_factor

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return to_dict(self) | {"quantizer": quantizer_config_to_dict(self.quantizer)}

    @classmethod
    def from_dict(cls, variables: Mapping[str, Any]) -> "AutoencoderConfig":
        """The inverse of `to_dict`; ConfigError for an unknown variable."""
        quantizer = variables.get("quantizer")
        if isinstance(quantizer, Mapping):
            variables = {**variables, "quantizer": quantizer_config_from_dict(quantizer)}
        return from_dict(cls, variables)


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What one pass through the model yields."""

    x_hat: Tensor  # (B, 3, H, W)
    z_e: Tensor  # (B, D, h, w)
    quantized: Quantized | None  # None where the quantizer was left out


class Autoencoder(nn.Module):
    """images (B, 3, H, W) float32 in [-1, 1] -> codes and reconstructions."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder, config.quantizer.codebook_dim)
        self.quantizer = build_quantizer(config.quantizer)
        self.decoder = Decoder(config.decoder, config.quantizer.codebook_dim)

    def forward(self, images: Tensor, *, quantize: bool = True) -> Reconstruction:
        """Reconstruct images (B, 3, H, W); without quantizing, the decoder sees the latents themselves."""
        z_e: Tensor = self.encoder(images)
        quantized: Quantized | None = self.quantizer(z_e) if quantize else None
        x_hat: Tensor = self.decoder(z_e if quantized is None else quantized.z_q)
        return Reconstruction(x_hat, z_e, quantized)

    @torch.no_grad()
    def standardise_latents_(self, latents: Tensor) -> None:
        """Give each latent channel mean 0 and variance 1 over a sample (N, D), changing no reconstruction.

        The scale goes into the encoder's last convolution and back out in the decoder's first. Without it a
        commitment weight means nothing, since an autoencoder may scale its latents as it likes.
        """
        last, first = cast(nn.Conv2d, self.encoder.head[-1]), self.decoder.stem
        latents = latents.to(first.weight.dtype)
        mean, std = latents.mean(0), latents.std(0).clamp(min=1e-6)
        last_bias, first_bias = cast(Tensor, last.bias), cast(Tensor, first.bias)
        first_bias += first.weight[:, :, 0, 0] @ mean
        first.weight *= std[None, :, None, None]
        last.weight /= std[:, None, None, None]
        last_bias.copy_((last_bias - mean) / std)
