"""Everyday image files at a given size: JPEG, WebP, JPEG 2000 and AVIF, as Pillow writes them.

A file counts whole, headers too. Every codec is asked for its smallest file that a patient user would get:
slow settings, and 4:2:0 where the codec has it by default. Nothing depends on the number of threads.
"""

import io
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, features

from vqvae.errors import ConfigError
from vqvae.pixels import RGB8, check_rgb8


@dataclass(frozen=True, slots=True)
class Codec:
    """A kind of file, and its settings from the smallest file to the largest."""

    name: str
    library: str  # Pillow's name for what writes it
    settings: Sequence[int]
    curve: Sequence[int]  # some of them, for the plot: to 0.6 bits per pixel and more
    encode: Callable[[Image.Image, int], bytes]


class CodedImage:
    """One image (H, W, 3) in files of one codec; every setting is tried at most once."""

    def __init__(self, codec: Codec, rgb: RGB8) -> None:
        self.codec = codec
        image = Image.fromarray(check_rgb8(rgb))
        self._file = cache(lambda setting: codec.encode(image, setting))

    def file(self, setting: int) -> bytes:
        """The file of a setting."""
        return self._file(setting)

    def setting_within(self, max_bytes: float) -> int:
        """The last setting with a file of at most so many bytes, by bisection; the first where none has."""
        settings = self.codec.settings
        num_within = bisect_right(settings, max_bytes, key=lambda setting: len(self.file(setting)))
        return settings[max(num_within - 1, 0)]

    def file_within(self, max_bytes: float) -> bytes:
        """The largest file of at most so many bytes; the smallest of all where even that is larger."""
        return self.file(self.setting_within(max_bytes))


def check_codecs() -> None:
    """ConfigError where this Pillow was built without one of the codecs."""
    for codec in CODECS:
        if not features.check(codec.library):
            raise ConfigError(
                f"this Pillow was built without {codec.name}; the one that `make` installs has it"
            )


def pixels_of(file: bytes) -> RGB8:
    """What a file of any of these codecs shows: (H, W, 3)."""
    with Image.open(io.BytesIO(file)) as image:
        return check_rgb8(np.array(image.convert("RGB")))


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _jpeg(image: Image.Image, quality: int) -> bytes:
    """Sequential or progressive, whichever is smaller: that depends on the rate."""
    files = (
        _saved(image, "JPEG", quality=quality, subsampling="4:2:0", optimize=True, progressive=progressive)
        for progressive in (False, True)
    )
    return min(files, key=len)


def _webp(image: Image.Image, quality: int) -> bytes:
    return _saved(image, "WEBP", quality=quality, method=6)


def _jpeg_2000(image: Image.Image, rate: int) -> bytes:
    """A bare codestream (.j2k) of about `rate` / 10000 bits per pixel, of 24."""
    return _saved(
        image,
        "JPEG2000",
        quality_mode="rates",
        quality_layers=[24 * 10_000 / rate],
        irreversible=True,
        mct=1,
        no_jp2=True,
    )


def _avif(image: Image.Image, quality: int) -> bytes:
    # of 10, the fastest, to 0; speed 4 takes five times as long as the default 6 and gains about 0.2 dB
    return _saved(image, "AVIF", quality=quality, speed=4, max_threads=1, autotiling=False)


JPEG = Codec("JPEG", "jpg", range(1, 96), (1, 4, 6, 9, 14, 20, 27), _jpeg)
WEBP = Codec("WebP", "webp", range(101), (0, 2, 6, 13, 24, 36, 47), _webp)
JPEG_2000 = Codec(
    "JPEG 2000", "jpg_2000", range(100, 80_001), (300, 600, 1000, 1600, 2600, 4200, 6700), _jpeg_2000
)
AVIF = Codec("AVIF", "avif", range(101), (0, 6, 13, 21, 31, 43, 57), _avif)
CODECS = (JPEG, WEBP, JPEG_2000, AVIF)
