"""CodeGrid <-> NumPy's .npy: the codes alone, so fingerprint and true size travel beside them.

Read: format versions 1 to 3, any integer type and byte order, C or Fortran order (`np.save` of a transposed
array makes the latter). The header is checked against the length of what came before anything is allocated;
object and structured arrays are refused, so nothing is ever unpickled. Written: version 1, little-endian, C
order.

Shapes: h w grid height and width, d depth, f downsample factor.
"""

import io
import math
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from vqvae.code_grid import CodeGrid, CodeSpace, check_codes, check_shape
from vqvae.errors import CodesError, FormatError

_MAX_HEADER_SIZE = 1024  # of integer arrays in three dimensions, headers take under 128


def to_npy(grid: CodeGrid) -> bytes:
    """The codes (h, w) or (h, w, d) of space.dtype as an .npy file."""
    little_endian = grid.codes.astype(grid.space.dtype.newbyteorder("<"), copy=False)
    out = io.BytesIO()
    npy_format.write_array(out, little_endian, version=(1, 0), allow_pickle=False)
    return out.getvalue()


def from_npy(data: bytes, space: CodeSpace, size: tuple[int, int] | None = None) -> CodeGrid:
    """The grid of an .npy file; `size` is the image's true (width, height), by default the grid times f."""
    shape, fortran_order, dtype, offset = _read_header(data)
    if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None:
        raise FormatError("npy: codes are a plain integer array; object and structured arrays are not read")
    if dtype.kind not in "iu":
        raise CodesError(f"codes must be integers, got an array of {dtype}")
    grid = None if size is None else space.grid_of(*size)
    check_shape(shape, grid)
    expected, actual = math.prod(shape) * dtype.itemsize, len(data) - offset
    if expected != actual:
        raise FormatError(f"npy: the header promises {expected} bytes of codes, got {actual}")
    flat = np.frombuffer(data, dtype=dtype, offset=offset)
    codes = flat.reshape(shape, order="F" if fortran_order else "C")
    checked = check_codes(codes, space.codebook_size, grid)
    h, w = checked.shape[:2]
    width, height = size or (w * space.downsample_factor, h * space.downsample_factor)
    return CodeGrid(codes=checked, width=width, height=height, space=space)


def _read_header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """(shape, fortran_order, dtype, offset of the first code); nothing in it is trusted yet."""
    stream = io.BytesIO(data)
    try:
        version = npy_format.read_magic(stream)
        if version == (1, 0):
            header = npy_format.read_array_header_1_0(stream, max_header_size=_MAX_HEADER_SIZE)
        elif version in ((2, 0), (3, 0)):  # 3 differs from 2 in the names of fields, and those we refuse
            header = npy_format.read_array_header_2_0(stream, max_header_size=_MAX_HEADER_SIZE)
        else:
            raise FormatError(f"npy: version must be 1.0, 2.0 or 3.0, got {version[0]}.{version[1]}")
    except FormatError:
        raise
    except Exception as error:  # NumPy evaluates the header as a Python literal: hostile ones raise anything
        raise FormatError("npy: the header is damaged, or this is no .npy file") from error
    return *header, stream.tell()
