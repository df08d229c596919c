"""Codes in JSON, for the OpenAPI document alone: `vqvae.formats` writes them, reads them and checks them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas.encodings import Base64
from service.schemas.problems import FailedItem

_FINGERPRINT = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809"


class Grid(BaseModel):
    """Rows and columns of codes."""

    height: int
    width: int


class OriginalSize(BaseModel):
    """The image's true size in pixels; decoding crops to it."""

    width: int
    height: int


class CodesItem(BaseModel):
    """One image as codes; it stands alone, so that answers can be joined and posted back."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "index": 0,
                    "model": "photo-f8",
                    "fingerprint": _FINGERPRINT,
                    "codes": [[17, 901, 4], [2044, 17, 3]],
                    "dtype": "uint16",
                    "grid": {"height": 2, "width": 3},
                    "original_size": {"width": 21, "height": 16},
                    "codebook_size": 4096,
                    "downsample_factor": 8,
                }
            ]
        },
    )

    index: int = 0
    model: str
    fingerprint: str
    """Of the code space; codes are decoded by a model of the same one, or not at all."""
    codes: list[list[int]] | list[list[Annotated[list[int], Field(min_length=2)]]] | None = None
    """Rows of codes, each an integer in [0, codebook_size); of a residual model rows of lists of codes, all
    as long as the model is deep. This or `codes_b64`."""
    codes_b64: Base64 | None = None
    """Codes as base64 of `dtype`, little-endian, in C order."""
    dtype: Literal["uint16", "uint32"] | None = None
    grid: Grid | None = None
    original_size: OriginalSize
    codebook_size: int | None = None
    downsample_factor: int | None = None


class CodesCounts(BaseModel):
    """Items and codes in the answer."""

    images: int
    codes: int
    failed: int


class CodesDocument(BaseModel):
    """The answer of encode, as JSON."""

    data: list[CodesItem | FailedItem]
    counts: CodesCounts


class CodesBody(BaseModel):
    """Codes to decode: the JSON answer of encode, unchanged; `counts` and other members are passed over."""

    data: list[CodesItem | FailedItem] = Field(min_length=1)
