"""CodeGrid <-> bytes and files: the packed code file (.vqc), JSON (.json) and NumPy (.npy).

A code file and a JSON item stand alone; an .npy file holds the codes only, and needs their space to be read.
"""

import os
import secrets
from pathlib import Path

import orjson

from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.errors import FingerprintError, FormatError
from vqvae.formats.code_file import from_code_file, read_header, to_code_file
from vqvae.formats.json_items import from_item, is_failed, located, read_document, to_document, to_item
from vqvae.formats.npy import from_npy, to_npy

__all__ = [
    "MEDIA_TYPES",
    "from_code_file",
    "from_item",
    "from_npy",
    "is_failed",
    "load_codes",
    "located",
    "read_document",
    "read_header",
    "save_codes",
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
    match path.suffix.lower():
        case ".vqc":
            data = to_code_file(grid)
        case ".json":
            data = orjson.dumps(to_document([to_item(grid)]))
        case ".npy":
            data = to_npy(grid)
        case _:
            raise FormatError(f"{path}: {_SUFFIX_RULE}")
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
        match path.suffix.lower():
            case ".vqc":
                grid = from_code_file(path.read_bytes())
            case ".json":
                items = read_document(path.read_bytes())
                if len(items) != 1:
                    raise FormatError(f"one item can be loaded, this document has {len(items)}; split it")
                grid = from_item(items[0], () if space is None else (space,), path="data[0]")
            case ".npy" if space is not None:
                grid = from_npy(path.read_bytes(), space)
            case ".npy":
                raise FormatError("an .npy file names no model; give the code space its codes belong to")
            case _:
                raise FormatError(_SUFFIX_RULE)
    if space is not None and grid.space.fingerprint != space.fingerprint:
        raise FingerprintError(expected=space.fingerprint, actual=grid.space.fingerprint)
    return grid
