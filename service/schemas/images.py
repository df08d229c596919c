"""Images in JSON, on the way in and on the way out."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas.encodings import Base64
from service.schemas.problems import FailedItem


class ImageInput(BaseModel):
    """One image on the way in."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    image_b64: Base64 = Field(
        examples=[
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
        ]
    )
    """A JPEG, PNG, WebP, GIF, BMP or TIFF file in base64 (standard alphabet, padded)."""


class ImagesBody(BaseModel):
    """Several images on the way in."""

    model_config = ConfigDict(extra="forbid")

    images: list[ImageInput] = Field(min_length=1)


class ImageItem(BaseModel):
    """One image on the way out."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    index: int
    image_b64: Base64
    """The image's file, of `media_type`, in base64."""
    media_type: Literal["image/png", "image/webp", "image/jpeg"]
    width: int
    height: int


class ReconstructedItem(ImageItem):
    """One reconstruction and how near it is to its original."""

    model: str
    fingerprint: str
    psnr: float | None
    """In dB; null where the images are equal."""
    ssim: float | None
    """Null where a side is under 11 pixels."""
    bits_per_pixel: float


class ImageCounts(BaseModel):
    """Items in the answer."""

    images: int
    failed: int


class ImagesDocument(BaseModel):
    """The answer of decode, as JSON."""

    data: list[ImageItem | FailedItem]
    counts: ImageCounts


class ReconstructionsDocument(BaseModel):
    """The answer of reconstruct, as JSON."""

    data: list[ReconstructedItem | FailedItem]
    counts: ImageCounts
