"""A CodeGrid is one image as integers: its codes, its true size, and the code space they belong to.

Every way into the package for codes (JSON, npy, code file, a caller's array) ends in `check_codes`, so the
contract stands here once: integers in [0, K), rectangular, nothing allocated before all of them are checked.

Shapes: h w grid height and width, d depth (two or more; codes of depth one are (h, w)), K codebook size,
f downsample factor, H W the image's true height and width in pixels.
"""

import base64
import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from vqvae.errors import CodesError

CodeArray: TypeAlias = npt.NDArray[np.integer[Any]]

MAX_CODEBOOK_SIZE = 2**32
MAX_SIDE = 2**32 - 1  # sides and f are 32-bit fields of the code file
MAX_DEPTH = 255

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CodeSpace:
    """What gives codes their meaning: model name, fingerprint, K and f; CodesError names one off its rule."""

    model: str  # a label for people, [A-Za-z0-9][A-Za-z0-9._-]{0,63}
    fingerprint: str  # 64 lower-case hex digits
    codebook_size: int  # K in [2, 2**32]
    downsample_factor: int  # f in [1, 2**32)

    def __post_init__(self) -> None:
        if not (isinstance(self.model, str) and _MODEL_NAME.fullmatch(self.model)):
            raise CodesError(f"model must match {_MODEL_NAME.pattern}, got {describe(self.model)}")
        check_fingerprint(self.fingerprint)
        _check_integer("codebook_size", self.codebook_size, 2, MAX_CODEBOOK_SIZE)
        _check_integer("downsample_factor", self.downsample_factor, 1, MAX_SIDE)

    @property
    def short(self) -> str:
        """The space for people: photo-f8@1a2b3c4d5e6f."""
        return f"{self.model}@{self.fingerprint[:12]}"

    @property
    def dtype(self) -> np.dtype[np.integer[Any]]:
        """uint16, or uint32 where K > 65536."""
        return code_dtype(self.codebook_size)

    def grid_of(self, width: int, height: int) -> tuple[int, int]:
        """(h, w) = ceil(size / f) of an image of width x height pixels."""
        _check_integer("width", width, 1, MAX_SIDE)
        _check_integer("height", height, 1, MAX_SIDE)
        f = self.downsample_factor
        return -(-height // f), -(-width // f)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CodeGrid:
    """One image as codes; CodesError unless they obey the contract and fit the image's size."""

    codes: CodeArray  # (h, w) or (h, w, d) of space.dtype, C order, read-only, no one else's memory
    width: int  # W, true size in pixels
    height: int  # H
    space: CodeSpace

    def __post_init__(self) -> None:
        grid = self.space.grid_of(self.width, self.height)
        object.__setattr__(self, "codes", check_codes(self.codes, self.space.codebook_size, grid))

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w)."""
        return self.codes.shape[0], self.codes.shape[1]

    @property
    def depth(self) -> int:
        """Codes per position: 1 for (h, w), d for (h, w, d)."""
        return self.codes.shape[2] if self.codes.ndim == 3 else 1

    @property
    def bits_per_pixel(self) -> float:
        """h·w·d·log2 K / (H·W): raw, before any entropy coding."""
        return self.codes.size * math.log2(self.space.codebook_size) / (self.width * self.height)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CodeGrid):
            return NotImplemented
        mine, theirs = (self.width, self.height, self.space), (other.width, other.height, other.space)
        return mine == theirs and np.array_equal(self.codes, other.codes)

    def __hash__(self) -> int:
        return hash((self.codes.tobytes(), self.width, self.height, self.space))

    def __reduce__(self) -> tuple[type["CodeGrid"], tuple[object, ...]]:
        # copies and unpickled grids go through the checks, and are read-only too
        return CodeGrid, (self.codes, self.width, self.height, self.space)

    def __repr__(self) -> str:
        h, w = self.grid
        layers = f"x{self.depth}" if self.depth > 1 else ""
        codes = f"{w}x{h}{layers} codes of {self.space.codebook_size}"
        return f"CodeGrid({self.space.short}, {codes}, {self.width}x{self.height} pixels)"

    def _repr_png_(self) -> bytes:
        """What a notebook shows: each code as a square of its own colour (see `code_picture`)."""
        from vqvae.code_picture import squares_of  # noqa: PLC0415 - codes are read without Pillow
        from vqvae.pixels import encode_image  # noqa: PLC0415

        squares, side = squares_of(self.codes)
        return encode_image(squares.repeat(side, axis=0).repeat(side, axis=1))

    def _repr_html_(self) -> str:
        """The same picture with what the grid is, for notebooks that show HTML."""
        from vqvae.code_picture import squares_of  # noqa: PLC0415
        from vqvae.pixels import encode_image  # noqa: PLC0415

        squares, side = squares_of(self.codes)
        height, width = squares.shape[:2]
        picture = base64.b64encode(encode_image(squares)).decode(
            "ascii"
        )  # a pixel a code; the page enlarges it
        summary = html.escape(repr(self))
        return (
            f'<figure style="margin:0"><img src="data:image/png;base64,{picture}" alt="{summary}" '
            f'width="{width * side}" height="{height * side}" style="image-rendering:pixelated">'
            f"<figcaption><code>{summary}</code><br>{len(np.unique(self.codes))} different codes, "
            f"{self.bits_per_pixel:.4g} bits per pixel</figcaption></figure>"
        )


def code_dtype(codebook_size: int) -> np.dtype[np.integer[Any]]:
    """The type that codes of [0, K) have outside torch."""
    return np.dtype(np.uint16 if codebook_size <= 2**16 else np.uint32)


def check_codes(value: object, codebook_size: int, grid: tuple[int, int] | None) -> CodeArray:
    """Nested lists or an integer array -> codes (h, w) or (h, w, d), read-only, of `code_dtype(K)`.

    CodesError names the rule that was broken and the first offender with its position; no array is made until
    everything is checked. One that is already read-only, owned and of the right type is returned as it is.
    """
    if isinstance(value, np.ndarray):
        value = np.asarray(value)  # sheds subclasses: a masked array would hide codes from min and max
        _check_array(value, codebook_size, grid)
        flags = value.flags
        kept = flags.owndata and flags.c_contiguous and not flags.writeable
        if kept and value.dtype == code_dtype(codebook_size):
            return value
    elif isinstance(value, list | tuple):
        _check_rows(value, codebook_size, grid)
    else:
        raise CodesError(f"codes must be nested lists or a NumPy integer array, got {describe(value)}")
    codes = np.array(value, dtype=code_dtype(codebook_size), order="C")
    codes.flags.writeable = False
    return codes


def check_shape(shape: tuple[int, ...], grid: tuple[int, int] | None) -> None:
    """CodesError unless the shape is (h, w) or (h, w, d), holds something, and fits the grid."""
    named = "x".join(map(str, shape))
    if len(shape) not in (2, 3):
        raise CodesError(f"codes must be (h, w), or (h, w, d) for depth d, got {len(shape)} dimensions")
    if min(shape) < 1:
        raise CodesError(f"codes must not be empty, got shape {named}")
    if grid is not None and shape[:2] != grid:
        raise CodesError(
            f"codes must fill the grid ceil(size / f) = {grid[0]}x{grid[1]} (height x width), got {named}"
        )
    if len(shape) == 3 and not 2 <= shape[2] <= MAX_DEPTH:
        raise CodesError(
            f"depth must lie in [2, {MAX_DEPTH}], got shape {named}; codes of depth one are (h, w)"
        )


def check_fingerprint(value: object) -> None:
    """CodesError unless it is 64 lower-case hex digits."""
    if not (isinstance(value, str) and _FINGERPRINT.fullmatch(value)):
        raise CodesError(f"fingerprint must be 64 lower-case hex digits, got {describe(value)}")


def describe(value: object) -> str:
    """A value in a few words for an error message; never a payload in full."""
    match value:
        case bool() | float() | None:
            return repr(value)
        case int():
            # Python refuses to print integers of thousands of digits
            return repr(value) if value.bit_length() <= 128 else f"an integer of {value.bit_length()} bits"
        case str():
            return repr(value) if len(value) <= 40 else f"a string of {len(value)} characters"
        case _:
            return f"a value of type {type(value).__name__}"


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise CodesError(f"{name} must be an integer in [{low}, {high}], got {describe(value)}")


def _check_array(array: npt.NDArray[Any], codebook_size: int, grid: tuple[int, int] | None) -> None:
    if array.dtype.kind not in "iu":
        raise CodesError(f"codes must be integers, got an array of {array.dtype}")
    check_shape(array.shape, grid)
    if int(array.min()) >= 0 and int(array.max()) < codebook_size:
        return
    for row, values in enumerate(array):
        offenders = np.argwhere((values < 0) | (values >= codebook_size))
        if len(offenders):
            column, *layer = offenders[0].tolist()
            raise _out_of_range(int(values[tuple(offenders[0])]), codebook_size, _place(row, column, *layer))


def _check_rows(rows: Sequence[Any], codebook_size: int, grid: tuple[int, int] | None) -> None:
    """The contract on nested lists, a row at a time, by whole-row operations wherever the row is valid."""
    for number, row in enumerate(rows):
        if not isinstance(row, list | tuple):
            raise CodesError(f"codes must be a list of rows, got {describe(row)} for row {number}")
        if len(row) != len(rows[0]):
            raise CodesError(
                f"codes must be rectangular: row 0 has {len(rows[0])} columns, row {number} has {len(row)}"
            )
    width = len(rows[0]) if rows else 0
    cell = rows[0][0] if width else None
    depth = len(cell) if isinstance(cell, list | tuple) else None
    check_shape((len(rows), width) if depth is None else (len(rows), width, depth), grid)
    for number, row in enumerate(rows):
        if depth is None:
            _check_row(row, codebook_size, number, None)
        else:
            _check_cells(row, depth, number)
            _check_row(list(chain.from_iterable(row)), codebook_size, number, depth)


def _check_cells(row: Sequence[Any], depth: int, number: int) -> None:
    """Every cell of a row is a list of `depth` things."""
    if set(map(type, row)) <= {list, tuple} and set(map(len, row)) == {depth}:
        return
    for column, cell in enumerate(row):
        place = _place(number, column)
        if not isinstance(cell, list | tuple):
            raise CodesError(f"codes must have depth {depth} everywhere, got {describe(cell)} at {place}")
        if len(cell) != depth:
            raise CodesError(f"codes must have depth {depth} everywhere, got depth {len(cell)} at {place}")


def _check_row(row: Sequence[Any], codebook_size: int, number: int, depth: int | None) -> None:
    """Every code of a row, its layers interleaved where there is a depth, is an int in [0, K)."""
    if set(map(type, row)) == {int} and min(row) >= 0 and max(row) < codebook_size:
        return
    for index, code in enumerate(row):
        place = _place(number, index) if depth is None else _place(number, *divmod(index, depth))
        if type(code) is not int:  # bool is a subclass of int, and no code
            raise CodesError(f"codes must be integers, got {describe(code)} at {place}")
        if not 0 <= code < codebook_size:
            raise _out_of_range(code, codebook_size, place)


def _out_of_range(code: int, codebook_size: int, place: str) -> CodesError:
    return CodesError(f"codes must lie in [0, {codebook_size}), got {describe(code)} at {place}")


def _place(row: int, column: int, layer: int | None = None) -> str:
    return f"row {row}, column {column}" + ("" if layer is None else f", layer {layer}")
