"""Options, which ride in the query for every form of body; an unknown one is refused."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str | None = Field(default=None, examples=["photo-f8"])
    """Name of a loaded model; unless told, the default one, or for decode the one that made the codes."""


class EncodeOptions(_Options):
    """Options of encode."""

    encoding: Literal["list", "base64"] = "list"
    """Codes in JSON: nested lists in `codes`, or little-endian base64 in `codes_b64`."""


class _PictureOptions(_Options):
    decoder: str | None = Field(default=None, examples=["faithful"])
    """Name of one of the model's decoders that are loaded."""
    quality: int | None = Field(default=None, ge=1, le=100)
    """Of JPEG (95 unless told) and of WebP (lossless unless told); PNG passes over it."""


class DecodeOptions(_PictureOptions):
    """Options of decode."""

    fingerprint: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Needed with an npy body, which does not say whose codes it holds; not allowed with others."""
    size: str | None = Field(default=None, pattern="^[1-9][0-9]{0,7}x[1-9][0-9]{0,7}$", examples=["250x256"])
    """True size WIDTHxHEIGHT of the image in an npy body; the grid times f unless told."""


class ReconstructOptions(_PictureOptions):
    """Options of reconstruct."""


class CodebookOptions(BaseModel):
    """Options of a model's codebook."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    decoder: str | None = Field(default=None, examples=["faithful"])
    """Name of one of the model's decoders that are loaded, by which the atlas is made."""
