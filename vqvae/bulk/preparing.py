"""From a key to the pixels that are encoded, or to the reason why there are none.

What is wrong with an image is its row. What is wrong with the machine (a disk that fails or is not mounted,
no memory left) ends the work, for the image may be good, and the row would say otherwise for ever.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from vqvae.bulk.framing import centre_square
from vqvae.bulk.manifest import Options
from vqvae.errors import BulkError, DataError, ImageError, LimitError, SourceChangedError
from vqvae.pixels import RGB8, decode_image
from vqvae.sources import Source

_OF_THE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An image ready to be encoded, or a bad one."""

    key: str
    sha256: str | None  # of the file's bytes; None where they could not be read
    rgb: RGB8 | None  # (H, W, 3)
    error: str | None


def unpack(data: bytes, options: Options) -> RGB8:
    """An image file's pixels (H, W, 3), framed; BulkError where memory does not suffice."""
    try:
        rgb = decode_image(data, max_pixels=options.max_megapixels * 10**6)
    except ImageError as error:
        if isinstance(error.__cause__, MemoryError):
            raise BulkError(
                "memory does not suffice to unpack it; give fewer workers or a lower max_megapixels"
            ) from error
        raise
    return centre_square(rgb, options.size) if options.size else rgb


def prepare(
    source: Source, key: str, options: Options, unpacking: Callable[[bytes, Options], RGB8] = unpack
) -> Prepared:
    """Read, hash, unpack and frame one image; BulkError where the machine fails.

    Args:
        unpacking: `unpack`, or what does the same elsewhere.
    """
    try:
        data = source.read(key)
    except SourceChangedError as error:
        raise BulkError(
            f"{error}; put the source back as it was, and the same command goes on, or begin anew"
        ) from error
    except DataError as error:
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, _OF_THE_FILE):
            raise BulkError(f"{key}: {error}; mend that, and the same command goes on") from error
        cause = error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) else error  # without where the source is
        return Prepared(key, None, None, f"cannot be read: {reason}")
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        return Prepared(key, sha256, unpacking(data, options), None)
    except (ImageError, LimitError) as error:
        return Prepared(key, sha256, None, str(error))
    except BulkError as error:
        raise BulkError(f"{key}: {error}") from error
