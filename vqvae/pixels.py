"""Image files to RGB8 arrays and back; the only place that knows file types, colour and orientation.

RGB8 is numpy uint8 (H, W, 3), sRGB. An image becomes RGB8 in this order, which is a contract with the
number `PIXELS_VERSION` (codes depend on it, so a change of any result here raises it):

1. EXIF orientation is applied, so that the picture stands upright.
2. An embedded ICC profile is applied to the colours, perceptual intent, to sRGB. A profile that cannot be
   read, or that describes another kind of colour than the image holds, is ignored, as browsers do.
   PNG's gAMA and cHRM are ignored too; an image without a profile is taken as sRGB.
3. Any mode becomes RGB. 16-bit grey is scaled, v / 257 to the nearest, never clipped; 16-bit colour keeps
   its high byte. Floating point has no known scale and is an error.
4. Alpha, of a channel, a palette or a colour key, is laid over a background (white).

Where the colour engine cannot read a mode (palettes, premultiplied alpha, 16 bit), step 3's widening to
one that it can read comes before step 2: the colours are the same. Of animations and multi-page files the
first frame counts.
"""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from vqvae.errors import ConfigError, ImageError, LimitError, UnsupportedImageError, VqvaeError

RGB8: TypeAlias = npt.NDArray[np.uint8]
ImageLike: TypeAlias = Image.Image | RGB8 | bytes | str | os.PathLike[str]  # bytes of a file, path to one

PIXELS_VERSION = 1
WHITE = (255, 255, 255)

MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}

# The decoders themselves and not Image.open: no other one can be reached, Pillow's global bomb guard (which
# warns through process-wide state) gives way to max_pixels, and a phone's JPEG with a second picture behind
# the first (MPO) is the JPEG that it begins with.
_DECODERS: dict[str, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "image/jpeg": JpegImageFile,
    "image/png": PngImageFile,
    "image/webp": WebPImageFile,
    "image/gif": GifImageFile,
    "image/bmp": BmpImageFile,
    "image/tiff": TiffImageFile,
}

_MAX_SIDE = {"image/png": 2**31 - 1, "image/webp": 16383, "image/jpeg": 65500}  # of the encoders

_UPRIGHT = {  # EXIF orientation -> what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# 65535 = 255 * 257, and 257 is odd: there are no ties, so adding 128 before flooring rounds to the nearest.
_EIGHT_OF_SIXTEEN_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)


def sniff(data: bytes) -> str:
    """Media type of an image file by its first bytes; UnsupportedImageError if it is of no listed type."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"BM"):
        return "image/bmp"
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):  # + is BigTIFF
        return "image/tiff"
    came = "its first bytes are of none" if data else "got 0 bytes"
    raise UnsupportedImageError(f"image must be a JPEG, PNG, WebP, GIF, BMP or TIFF; {came}")


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of an image file; ImageError where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: what no file can be called
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{os.fspath(path)} cannot be read: {reason}") from error


def read_size(data: bytes) -> tuple[int, int]:
    """(width, height) by an image file's header, as they are stored; errors are those of `decode_image`."""
    media_type = sniff(data)
    with _damage_as_image_error():
        if media_type == "image/webp" and (size := _webp_size(data)):
            return size
        with _DECODERS[media_type](io.BytesIO(data)) as image:
            return image.size


def decode_image(
    data: bytes, *, max_pixels: int | None = None, background: tuple[int, int, int] = WHITE
) -> RGB8:
    """First frame of an image file as RGB8 (H, W, 3), upright, in sRGB, without alpha.

    Raises UnsupportedImageError for a type not listed, LimitError where the header states more than
    `max_pixels` (before pixels are unpacked), ImageError for everything that cannot be decoded.
    """
    media_type = sniff(data)
    with _damage_as_image_error():
        if media_type == "image/webp":  # its decoder allocates the canvas as soon as it is made
            _check_pixels("image is", _webp_size(data), max_pixels)
        with _DECODERS[media_type](io.BytesIO(data)) as image:
            _check_pixels("image is", image.size, max_pixels)
            if isinstance(image, TiffImageFile):  # a tile is unpacked whole, even where it juts out
                tile = image.tag_v2.get(TILEWIDTH, 0), image.tag_v2.get(TILELENGTH, 0)
                _check_pixels("image is stored in tiles of", tile, max_pixels)
            return to_rgb8(image, background)


def to_rgb8(image: Image.Image, background: tuple[int, int, int] = WHITE) -> RGB8:
    """Any PIL image as RGB8 (H, W, 3), by the order in the module's docstring; the image is left as it was.

    Raises ImageError for mode F, for mode I beyond 16 bits, and where a lazily opened file is damaged.
    """
    with _damage_as_image_error():
        image.load()
        colour, alpha = _split_alpha(_upright(image))
        rgb = _to_srgb(colour, image.info.get("icc_profile"))
        if alpha is not None:
            canvas = Image.new("RGB", rgb.size, background)
            canvas.paste(rgb, mask=alpha)
            rgb = canvas
        return check_rgb8(np.array(rgb))


def encode_image(rgb: RGB8, media_type: str = "image/png", quality: int | None = None) -> bytes:
    """RGB8 (H, W, 3) as a PNG, WebP or JPEG file; the same pixels give the same bytes.

    `quality` in [1, 100] makes WebP lossy (without it WebP is lossless) and is 95 for JPEG unless told,
    always 4:4:4; PNG is lossless and passes over it. Raises UnsupportedImageError for another media type,
    LimitError for a side that the format cannot hold, ConfigError for a quality out of range.
    """
    check_rgb8(rgb)
    if media_type not in _MAX_SIDE:
        raise UnsupportedImageError(f"images are written as {', '.join(_MAX_SIDE)}; got {media_type!r}")
    if quality is not None and not 1 <= quality <= 100:
        raise ConfigError(f"quality must lie in [1, 100], got {quality}")
    height, width = rgb.shape[:2]
    limit = _MAX_SIDE[media_type]
    if max(height, width) > limit:
        raise LimitError(
            f"image is {width}x{height}; {media_type} holds at most {limit} pixels a side, ask for image/png",
            limit=limit,
            actual=max(height, width),
        )
    image, file = Image.fromarray(rgb), io.BytesIO()
    match media_type:
        case "image/webp" if quality is None:
            image.save(file, "WEBP", lossless=True)
        case "image/webp":
            image.save(file, "WEBP", quality=quality)
        case "image/jpeg":
            image.save(file, "JPEG", quality=95 if quality is None else quality, subsampling=0)
        case _:
            # On a photograph level 1 takes about a sixth of the time of the usual 6, for a sixth more bytes.
            image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def check_rgb8(array: npt.NDArray[np.generic]) -> RGB8:
    """The array itself where it is RGB8 and holds a pixel; ImageError otherwise."""
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ImageError(
            f"pixels must be uint8 of shape (H, W, 3), none of it 0; got {array.dtype} of shape {array.shape}"
        )
    return array  # type: ignore[return-value]


def pad_to_multiple(rgb: RGB8, multiple: int) -> RGB8:
    """RGB8 (H, W, 3) grown at right and bottom, by its edge pixels, until `multiple` divides both sides."""
    height, width = check_rgb8(rgb).shape[:2]
    return np.pad(rgb, ((0, -height % multiple), (0, -width % multiple), (0, 0)), mode="edge")


@contextmanager
def _damage_as_image_error() -> Iterator[None]:
    try:
        yield
    except VqvaeError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"image is over the {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels that Pillow reads of its type "
            "(twice PIL.Image.MAX_IMAGE_PIXELS)"
        ) from error
    # On hostile bytes Pillow raises OSError, SyntaxError, ValueError, struct.error, zlib.error, KeyError,
    # AssertionError, MemoryError and more, by no list that it keeps.
    except Exception as error:
        raise ImageError("image cannot be decoded; it is damaged, cut short or of a rare variant") from error


def _check_pixels(subject: str, size: tuple[int, int] | None, max_pixels: int | None) -> None:
    if size is None or max_pixels is None:
        return
    width, height = size
    if width * height > max_pixels:
        raise LimitError(
            f"{subject} {width}x{height} = {width * height} pixels; the limit is {max_pixels}",
            limit=max_pixels,
            actual=width * height,
        )


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Canvas (width, height) of a WebP file by RFC 9649, sections 2.5 to 2.7; None where it has none."""
    match data[12:16]:
        case b"VP8X" if len(data) >= 30:
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L" if len(data) >= 25:
            bits = int.from_bytes(data[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 " if len(data) >= 30:
            width, height = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
            return width & 0x3FFF, height & 0x3FFF  # the two bits above are a scale for display
    return None


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF is no reason to refuse a picture; Pillow lists no errors here either
        return image
    transpose = _UPRIGHT.get(orientation)
    return image if transpose is None else image.transpose(transpose)


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colour in mode L, RGB, CMYK or LAB, and alpha in mode L or None."""
    match image.mode:
        case "CMYK" | "LAB":
            return image, None
        case "I" | "I;16" | "I;16L" | "I;16B" | "I;16N":
            return _split_sixteen_bits(image)
        case "F":
            raise ImageError(
                "image holds floating-point pixels, whose scale is not known; store 8 or 16 bits"
            )
        case "1" | "L" | "LA" | "La":
            image = _in_mode("LA" if image.has_transparency_data else "L", image)
        case _:
            image = _in_mode("RGBA" if image.has_transparency_data else "RGB", image)
    match image.mode:
        case "LA":
            return image.getchannel("L"), image.getchannel("A")
        case "RGBA":
            return image.convert("RGB"), image.getchannel("A")
    return image, None


def _split_sixteen_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    values = np.asarray(image)
    if image.mode == "I" and (values.min() < 0 or values.max() > 65535):
        raise ImageError(
            f"image holds 32-bit integers from {values.min()} to {values.max()}; only 16 bits, 0 to 65535, "
            "have a known scale"
        )
    grey = Image.fromarray(_EIGHT_OF_SIXTEEN_BITS[values])
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return grey, None
    return grey, Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))


def _to_srgb(colour: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """Colour of mode L, RGB, CMYK or LAB in mode RGB, through its ICC profile where that one fits."""
    transform = _transform_to_srgb(colour.mode, icc_profile) if icc_profile else None
    if transform is None:
        return _in_mode("RGB", colour)
    return transform.apply(_in_mode(transform.input_mode, colour))


def _transform_to_srgb(mode: str, icc_profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """What takes colours of a mode to sRGB; its input mode is RGB for grey with an RGB profile."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        match profile.profile.xcolor_space, mode:
            case ("RGB ", "L" | "RGB"):
                mode = "RGB"
            case ("GRAY", "L") | ("CMYK", "CMYK") | ("Lab ", "LAB"):
                pass
            case _:
                return None
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return ImageCms.ImageCmsTransform(profile, srgb, mode, "RGB")
    except (OSError, TypeError, ValueError):  # all that the colour engine raises on a bad profile
        return None


def _in_mode(mode: str, image: Image.Image) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # convert would copy
