"""Pictures in answers, of decode and of reconstruct: a file of the form asked for, or JSON with files."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from service.errors import NotAcceptable, Problem
from service.negotiation import JPEG, JSON, NPY, PNG, WEBP, best
from service.routes.flow import failed_item
from vqvae.pixels import RGB8, encode_image

PICTURES = (PNG, WEBP, JPEG)
FILES = (*PICTURES, NPY)


@dataclass(frozen=True, slots=True)
class Form:
    """What an answer is to be: a file, or JSON whose items hold files."""

    media_type: str
    file_type: str  # of the answer, or of each file in JSON
    quality: int | None

    @classmethod
    def negotiated(cls, accept: str, num_images: int, quality: int | None) -> "Form":
        """By the Accept header; several come as JSON, of PNGs unless the header names another picture."""
        media_type = best(accept, [*FILES, JSON] if num_images == 1 else [JSON])
        if media_type != JSON:
            return cls(media_type, media_type, quality)
        try:
            return cls(JSON, best(accept, PICTURES), quality)
        except NotAcceptable:
            return cls(JSON, PNG, quality)

    def picture(self, rgb: RGB8, **more: Any) -> "Picture":
        """The file of an image, with what JSON should tell of it besides."""
        height, width = rgb.shape[:2]
        if self.file_type != NPY:
            return Picture(encode_image(rgb, self.file_type, self.quality), width, height, more)
        file = io.BytesIO()
        np.save(file, rgb, allow_pickle=False)
        return Picture(file.getvalue(), width, height, more)

    def write(self, results: Sequence["Picture | Problem"]) -> bytes:
        """The answer; a file if it is to be one, of the only picture."""
        if self.media_type != JSON:
            (only,) = results
            assert isinstance(only, Picture)
            return only.data
        data = [self._item(result, index) for index, result in enumerate(results)]
        num_failed = sum(isinstance(result, Problem) for result in results)
        counts = {"images": len(data), "failed": num_failed}
        return orjson.dumps({"data": data, "counts": counts})

    def _item(self, result: "Picture | Problem", index: int) -> dict[str, Any]:
        if isinstance(result, Problem):
            return failed_item(result, index)
        return {
            "index": index,
            "image_b64": base64.b64encode(result.data).decode("ascii"),
            "media_type": self.file_type,
            "width": result.width,
            "height": result.height,
            **result.more,
        }


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished file."""

    data: bytes
    width: int  # pixels
    height: int
    more: Mapping[str, Any]  # members of its JSON item besides those of every picture
