"""What is sent of an image: a file's bytes as they are, or pixels as a PNG, which loses nothing.

A file, by its path or as bytes, is the service's to read: its orientation, its colours, and whether it is an
image at all. A PIL image has no file any more and becomes RGB8 here, by the rules of `vqvae.pixels` and with
the EXIF orientation and the ICC profile that Pillow kept of its file. So both get the codes that
`Tokenizer.encode` gives them.
"""

import os
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vqvae.errors import ImageError, UnsupportedImageError
from vqvae.pixels import ImageLike, check_rgb8, encode_image, read_file, read_size, sniff, to_rgb8


@dataclass(frozen=True, slots=True)
class Upload:
    """An image's file."""

    data: bytes
    media_type: str

    def num_pixels(self) -> int:
        """By the header alone; 0 where it cannot be read, which the service will have to say."""
        try:
            width, height = read_size(self.data)
        except ImageError:
            return 0
        return width * height


def upload_of(image: ImageLike) -> Upload:
    """What to send of an image; ImageError where its file cannot be read or its pixels are not RGB8."""
    match image:
        case Image.Image():
            return Upload(encode_image(to_rgb8(image)), "image/png")
        case np.ndarray():
            return Upload(encode_image(check_rgb8(image)), "image/png")
        case bytes():
            return Upload(image, _media_type(image))
        case str() | os.PathLike():
            data = read_file(image)
            return Upload(data, _media_type(data))
    raise ImageError(
        f"an image is a PIL image, an RGB8 array, a path or bytes, got {type(image).__name__}; "
        "for several there is encode_many"
    )


def _media_type(data: bytes) -> str:
    try:
        return sniff(data)
    except UnsupportedImageError:  # the service may know more types than we do
        return "application/octet-stream"
