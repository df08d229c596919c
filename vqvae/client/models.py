"""What the service says of its models and of its limits, as named values.

Letters: K codebook size, f downsample factor, D code dim.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vqvae.code_grid import CodeSpace

MEGAPIXEL = 2**20  # pixels


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold, in and out."""

    body_bytes: int
    image_pixels: int
    request_pixels: int
    num_images: int
    num_codes: int

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> "Limits":
        """By the card's `limits`; KeyError, TypeError or ValueError where it has none like it."""
        return cls(
            body_bytes=int(members["body_bytes"]),
            image_pixels=int(members["image_megapixels"] * MEGAPIXEL),
            request_pixels=int(members["request_megapixels"] * MEGAPIXEL),
            num_images=int(members["images_per_request"]),
            num_codes=int(members["codes_per_request"]),
        )


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model of the service."""

    space: CodeSpace  # its name, fingerprint, K and f
    is_default: bool  # encode takes it unless told
    codebook_dim: int  # D
    decoder: str  # the one that is loaded
    limits: Limits
    card: Mapping[str, Any]  # all that the service tells, as it came: digests, numerics, recipe, figures

    @property
    def name(self) -> str:
        """As `model=` takes it."""
        return self.space.model

    @property
    def fingerprint(self) -> str:
        """Of its code space."""
        return self.space.fingerprint

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> "ServedModel":
        """By its card; KeyError, TypeError, ValueError or CodesError where it is none."""
        return cls(
            space=CodeSpace(
                model=card["name"],
                fingerprint=card["fingerprint"],
                codebook_size=card["codebook_size"],
                downsample_factor=card["downsample_factor"],
            ),
            is_default=bool(card["default"]),
            codebook_dim=int(card["codebook_dim"]),
            decoder=str(card["decoder"]),
            limits=Limits.of(card["limits"]),
            card=card,
        )
