"""A model's card as data."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class GridRule(BaseModel):
    """How an image's size makes its grid."""

    height: str = "ceil(height / downsample_factor)"
    width: str = "ceil(width / downsample_factor)"


class Numerics(BaseModel):
    """What the codes were computed with; between machines only near ties may differ."""

    dtype: str = "float32"
    torch: str
    threads: int
    pixels_version: int = Field(description="Version of the way from an image file to RGB8.")


class Limits(BaseModel):
    """What one request may hold; a megapixel is 2^20 pixels."""

    body_bytes: int
    image_megapixels: float
    request_megapixels: float
    images_per_request: int
    codes_per_request: int


class Model(BaseModel):
    """One loaded model."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str = Field(examples=["photo-f8"])
    default: bool
    """Whether encode takes it unless told."""
    fingerprint: str
    """SHA-256 of the code space: models of one fingerprint make and understand the same codes."""
    downsample_factor: int = Field(examples=[8])
    """f: pixels a side for each code."""
    codebook_size: int = Field(examples=[4096])
    """K: codes lie in [0, K)."""
    codebook_dim: int = Field(examples=[8])
    """D: numbers in a code vector."""
    grid: GridRule
    decoder: str = Field(examples=["faithful"])
    """The decoder that is taken unless told."""
    decoders: list[str] = Field(examples=[["faithful"]])
    """The decoders that are loaded."""
    decoder_halo: int = Field(examples=[10])
    """Cells around a cell, on every side, on whose codes its pixels depend: a part of a grid with so many
    more around it decodes to exactly its part of the image."""
    digests: dict[str, str]
    """SHA-256 of each part's tensors: encoder, quantizer, and each decoder as decoders.NAME."""
    numerics: Numerics
    limits: Limits
    training_data: list[dict[str, Any]]
    recipe: dict[str, Any]
    figures: dict[str, Any]


class ModelsDocument(BaseModel):
    """All loaded models, the default one first."""

    data: list[Model]
