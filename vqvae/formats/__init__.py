"""CodeGrid <-> bytes and files: the packed code file (.vqc), JSON (.json) and NumPy (.npy).

A code file and a JSON item stand alone; an .npy file holds the codes only, and needs their space to be read.
"""

import os
import secrets
from pathlib import Path

import orjson

from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.errors import FingerprintError, FormatError
from vqvae.formats.code_file import MAGIC as CODE_FILE_MAGIC
from vqvae.formats.code_file import from_code_file, read_header, to_code_file
from vqvae.formats.json_items import from_item, is_failed, located, read_document, to_document, to_item
from vqvae.formats.npy import from_npy, to_npy

__all__ = [
    "MEDIA_TYPES",
    "from_bytes",
    "from_code_file",
    "from_item",
    "from_npy",
    "is_failed",
    "load_codes",
    "located",
    "read_document",
    "read_header",
    "save_codes",
    "suffix_of",
    "to_bytes",
    "to_code_file",
    "to_document",
    "to_item",
    "to_npy",
]

MEDIA_TYPES = {  # by suffix
    ".vqc": "application/vnd.vqvae.codes",
    ".json": "application/json",
    ".npy": "application/x-npy",
}

_SUFFIX_RULE = f"codes are kept in {', '.join(MEDIA_TYPES)} files; give it one of these suffixes"


def save_codes(grid: CodeGrid, path: str | os.PathLike[str]) -> None:
    """Writes the grid in the format of the suffix; a file that was there is replaced whole or not at all."""
    path = Path(path)
    with located(str(path)):
        data = to_bytes(grid, path.suffix)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load_codes(path: str | os.PathLike[str], space: CodeSpace | None = None) -> CodeGrid:
    """The one grid of a file, in the format of its suffix; errors begin with the path.

    With `space` the codes must be of its fingerprint (FingerprintError); an .npy file cannot be read without.
    """
    path = Path(path)
    with located(str(path)):
        suffix = _known(path.suffix)
        return from_bytes(path.read_bytes(), suffix, space)


def to_bytes(grid: CodeGrid, suffix: str) -> bytes:
    """The grid in the format of a suffix."""
    match _known(suffix):
        case ".vqc":
            return to_code_file(grid)
        case ".json":
            return orjson.dumps(to_document([to_item(grid)]))
        case _:
            return to_npy(grid)


def from_bytes(
    data: bytes, suffix: str, space: CodeSpace | None = None, size: tuple[int, int] | None = None
) -> CodeGrid:
    """The one grid in bytes of a suffix's format.

    With `space` the codes must be of its fingerprint (FingerprintError). An .npy file cannot be read without;
    `size` is the true (width, height) of its image, by default the grid times f.
    """
    match _known(suffix):
        case ".vqc":
            grid = from_code_file(data)
        case ".json":
            items = read_document(data)
            if len(items) != 1:
                raise FormatError(f"one item can be loaded, this document has {len(items)}; split it")
            grid = from_item(items[0], () if space is None else (space,), path="data[0]")
        case _ if space is not None:
            grid = from_npy(data, space, size)
        case _:
            raise FormatError("an .npy file names no model; give the code space its codes belong to")
    if space is not None and grid.space.fingerprint != space.fingerprint:
        raise FingerprintError(expected=space.fingerprint, actual=grid.space.fingerprint)
    return grid


def suffix_of(data: bytes) -> str:
    """The suffix of the format that bytes begin like, for those that come without a name."""
    if data[1:4] == CODE_FILE_MAGIC[1:4]:  # its first byte and its last tell damage, as the reader explains
        return ".vqc"
    if data.startswith(b"\x93NUMPY"):
        return ".npy"
    if data.lstrip()[:1] in (b"{", b"["):
        return ".json"
    raise FormatError(
        f"these {len(data)} bytes are no codes: they begin like none of {', '.join(MEDIA_TYPES)}"
    )


def _known(suffix: str) -> str:
    """The suffix in lower case; FormatError where codes are not kept in such files."""
    if suffix.lower() not in MEDIA_TYPES:
        raise FormatError(_SUFFIX_RULE)
    return suffix.lower()
