"""CodeGrid <-> JSON: an item is one image and stands alone, a document is a list of items with counts.

An item is {"index", "model", "fingerprint", "codes" | "codes_b64", "dtype", "grid": {"height", "width"},
"original_size": {"width", "height"}, "codebook_size", "downsample_factor"}. `codes` is a nested list,
`codes_b64` is base64 of the codes in C order, little-endian. A document is {"data": [items],
"counts": {"images", "codes", "failed"}}.

Reading: a document that is no JSON, or no list of items, is a FormatError; whatever is wrong with one item is
a CodesError that begins with its path ("data[2].codes: ..."), so that its neighbours live on. null counts as
absent, unknown keys are ignored (clients add their own), and an item with `error` is one that failed before.

Shapes: h w grid height and width, d depth, K codebook size, f downsample factor.
"""

import base64
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import numpy as np
import orjson

from vqvae.code_grid import CodeArray, CodeGrid, CodeSpace, check_codes, check_fingerprint, describe
from vqvae.errors import CodesError, FingerprintError, FormatError

T = TypeVar("T")

_KINDS = {str: "a string", int: "an integer", dict: "an object"}


@contextmanager
def located(where: str) -> Iterator[None]:
    """Prefixes a CodesError or FormatError from within by where it happened: a path in JSON, or a file."""
    try:
        yield
    except (CodesError, FormatError) as error:
        raise type(error)(f"{where}: {error}") from error


def to_item(grid: CodeGrid, index: int = 0, encoding: Literal["list", "base64"] = "list") -> dict[str, Any]:
    """The grid as an item, ready for any JSON writer."""
    h, w = grid.grid
    space = grid.space
    if encoding == "base64":
        little_endian = grid.codes.astype(space.dtype.newbyteorder("<"), copy=False)
        codes = {"codes_b64": base64.b64encode(little_endian.tobytes()).decode("ascii")}
    else:
        codes = {"codes": grid.codes.tolist()}
    return {
        "index": index,
        "model": space.model,
        "fingerprint": space.fingerprint,
        **codes,
        "dtype": space.dtype.name,
        "grid": {"height": h, "width": w},
        "original_size": {"width": grid.width, "height": grid.height},
        "codebook_size": space.codebook_size,
        "downsample_factor": space.downsample_factor,
    }


def from_item(item: object, spaces: Iterable[CodeSpace] = (), path: str = "item") -> CodeGrid:
    """The grid that an item holds; CodesError names what is wrong with it, by `path` and key.

    `codebook_size` and `downsample_factor` may be absent where the item's fingerprint is among `spaces`
    (FingerprintError where it is not), and must agree where both are given.
    """
    if not isinstance(item, dict):
        raise CodesError(f"{path} must be an object, got {describe(item)}")
    if is_failed(item):
        raise CodesError(f"{path} carries an error, not codes")
    space = _space_of(item, spaces, path)
    size = _take(item, "original_size", dict, path)
    width, height = (_take(size, side, int, f"{path}.original_size") for side in ("width", "height"))
    with located(f"{path}.original_size"):
        grid = space.grid_of(width, height)
    _check_declared(item, space, grid, path)
    codes = _codes_of(item, space, grid, path)
    return CodeGrid(codes=codes, width=width, height=height, space=space)


def to_document(items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Items, unchanged, with their counts; an item with `error` counts as an image and as failed."""
    data = list(items)
    good = [item for item in data if not is_failed(item)]
    counts = {
        "images": len(data),
        "codes": sum(_num_codes(item) for item in good),
        "failed": len(data) - len(good),
    }
    return {"data": data, "counts": counts}


def read_document(data: object) -> list[object]:
    """The items of a document (JSON text, or parsed), as they came; those that `is_failed` hold no codes."""
    if isinstance(data, bytes | bytearray | memoryview | str):
        try:
            data = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise FormatError(f"not valid JSON: {error}") from error
    items = data.get("data") if isinstance(data, dict) else None
    if not isinstance(items, list) or not items:
        raise FormatError('the document must be an object whose "data" is a list of one item or more')
    return items


def is_failed(item: object) -> bool:
    """Whether the item carries an `error` in place of codes."""
    return isinstance(item, Mapping) and item.get("error") is not None


def _take(item: dict[str, Any], key: str, kind: type[T], path: str) -> T:
    """item[key], which must be there and of that JSON type."""
    value = item.get(key)
    if value is None:
        raise CodesError(f"{path}.{key} is missing")
    if type(value) is not kind:
        raise CodesError(f"{path}.{key} must be {_KINDS[kind]}, got {describe(value)}")
    return value


def _space_of(item: dict[str, Any], spaces: Iterable[CodeSpace], path: str) -> CodeSpace:
    known = {space.fingerprint: space for space in spaces}
    model, fingerprint = (_take(item, key, str, path) for key in ("model", "fingerprint"))
    with located(path):
        check_fingerprint(fingerprint)
    space = known.get(fingerprint)
    numbers: dict[str, int] = {}
    for key in ("codebook_size", "downsample_factor"):
        if item.get(key) is None and space is not None:
            numbers[key] = getattr(space, key)
        elif item.get(key) is None and known:
            raise FingerprintError(expected=" or ".join(known), actual=fingerprint)
        else:
            numbers[key] = _take(item, key, int, path)
        if space is not None and numbers[key] != getattr(space, key):
            raise CodesError(f"{path}.{key} must be {getattr(space, key)}, got {describe(numbers[key])}")
    with located(path):
        return CodeSpace(model=model, fingerprint=fingerprint, **numbers)


def _check_declared(item: dict[str, Any], space: CodeSpace, grid: tuple[int, int], path: str) -> None:
    """`dtype` and `grid`, where present, are what the space and the size make them."""
    dtype = item.get("dtype")
    if dtype is not None and dtype != space.dtype.name:
        raise CodesError(
            f"{path}.dtype must be {space.dtype.name} where K = {space.codebook_size}, got {describe(dtype)}"
        )
    if item.get("grid") is not None:
        declared = _take(item, "grid", dict, path)
        h, w = (_take(declared, side, int, f"{path}.grid") for side in ("height", "width"))
        if (h, w) != grid:
            raise CodesError(
                f"{path}.grid must be ceil(size / f) = {grid[0]}x{grid[1]} (height x width), "
                f"got {describe(h)}x{describe(w)}"
            )


def _codes_of(item: dict[str, Any], space: CodeSpace, grid: tuple[int, int], path: str) -> CodeArray:
    match [key for key in ("codes", "codes_b64") if item.get(key) is not None]:
        case ["codes"]:
            with located(f"{path}.codes"):
                return check_codes(item["codes"], space.codebook_size, grid)
        case ["codes_b64"]:
            text = _take(item, "codes_b64", str, path)
            _take(item, "dtype", str, path)
            with located(f"{path}.codes_b64"):
                codes = _from_base64(text, space.dtype.newbyteorder("<"), grid)
                return check_codes(codes, space.codebook_size, grid)
        case []:
            raise CodesError(f"{path}.codes is missing (or codes_b64)")
        case _:
            raise CodesError(f"{path} must hold either codes or codes_b64, got both")


def _from_base64(text: str, dtype: np.dtype[np.integer[Any]], grid: tuple[int, int]) -> CodeArray:
    """Base64 of whole layers -> (h, w) or (h, w, d); its length is checked before it is decoded."""
    num_bytes, layer_bytes = _decoded_length(text), math.prod(grid) * dtype.itemsize
    depth, rest = divmod(num_bytes, layer_bytes)
    if len(text) % 4 or rest or not depth:
        raise CodesError(
            f"a grid of {grid[0]}x{grid[1]} {dtype.name} codes takes {layer_bytes} bytes a layer, "
            f"got {len(text)} characters of base64 for {num_bytes} bytes"
        )
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise CodesError("not valid base64 (standard alphabet, padded, no white space)") from error
    return np.frombuffer(raw, dtype=dtype).reshape(grid if depth == 1 else (*grid, depth))


def _decoded_length(text: str) -> int:
    return len(text) // 4 * 3 - text[-2:].count("=")


def _num_codes(item: Mapping[str, Any]) -> int:
    """h·w·d of an item that `to_item` made."""
    if item.get("codes") is None:
        itemsize: int = np.dtype(item["dtype"]).itemsize
        return _decoded_length(item["codes_b64"]) // itemsize
    rows: list[list[object]] = item["codes"]
    cell = rows[0][0]
    return len(rows) * len(rows[0]) * (len(cell) if isinstance(cell, list) else 1)
