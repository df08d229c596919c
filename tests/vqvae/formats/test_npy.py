"""Codes as .npy: what NumPy writes is read, what only looks like it is refused before it is believed."""

import io
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.errors import CodesError, FormatError
from vqvae.formats.npy import from_npy, to_npy

SPACE = CodeSpace("photo-f8", "ab" * 32, 4096, 8)
CODES = np.arange(6).reshape(2, 3)


def saved(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asanyarray(array), version=version)
    return out.getvalue()


def with_header(text, body=bytes(12)):
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


@pytest.mark.parametrize("codebook_size", [2, 4096, 65536, 65537, 2**32])
@pytest.mark.parametrize("depth", [1, 4])
def test_codes_survive_npy_and_numpy_reads_them(codebook_size, depth):
    shape = (5, 7) if depth == 1 else (5, 7, depth)
    codes = np.random.default_rng(0).integers(0, codebook_size, shape)
    grid = CodeGrid(codes, 50, 40, CodeSpace("m", "ab" * 32, codebook_size, 8))
    data = to_npy(grid)
    assert from_npy(data, grid.space, (50, 40)) == grid
    loaded = np.load(io.BytesIO(data), allow_pickle=False)
    assert loaded.dtype.str == ("<u2" if codebook_size <= 65536 else "<u4")
    np.testing.assert_array_equal(loaded, codes)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<i4", ">i8", "<u8"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_any_integer_type_order_and_version_is_read(dtype, version):
    for array in (CODES.astype(dtype), np.asfortranarray(CODES.astype(dtype))):
        np.testing.assert_array_equal(from_npy(saved(array, version), SPACE).codes, CODES)


def test_fortran_order_of_a_deep_grid_is_read():
    deep = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(from_npy(saved(np.asfortranarray(deep)), SPACE).codes, deep)


def test_the_size_is_the_grid_times_f_unless_given():
    data = saved(CODES)
    assert (from_npy(data, SPACE).width, from_npy(data, SPACE).height) == (24, 16)
    grid = from_npy(data, SPACE, (17, 9))
    assert (grid.width, grid.height) == (17, 9)
    with pytest.raises(CodesError, match=r"must fill the grid .* = 2x2"):
        from_npy(data, SPACE, (16, 9))
    with pytest.raises(CodesError, match="width must be an integer"):
        from_npy(data, SPACE, (0, 9))


def test_a_file_cut_or_continued_at_any_byte_is_an_error():
    data = to_npy(CodeGrid(CODES, 24, 16, SPACE))
    for length in range(len(data)):
        with pytest.raises(FormatError, match="npy: "):
            from_npy(data[:length], SPACE)
    with pytest.raises(FormatError, match="promises 12 bytes of codes, got 13"):
        from_npy(data + b"\0", SPACE)


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
@given(st.data())
def test_any_byte_changed_is_an_error_or_other_codes(data):
    changed = bytearray(to_npy(CodeGrid(CODES, 24, 16, SPACE)))
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        grid = from_npy(bytes(changed), SPACE)
    except (FormatError, CodesError):
        return
    assert grid.codes.size == 6


@given(st.binary(max_size=200))
def test_random_bytes_are_an_error(data):
    for candidate in (data, b"\x93NUMPY\x01\x00" + data):
        with pytest.raises(FormatError):
            from_npy(candidate, SPACE)


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.array([[1, None]], dtype=object), FormatError, "object and structured arrays are not read"),
        (np.zeros((2, 3), [("a", "u2")]), FormatError, "object and structured arrays are not read"),
        (np.zeros((2, 3), np.float32), CodesError, "codes must be integers, got an array of float32"),
        (np.zeros((2, 3), bool), CodesError, "codes must be integers, got an array of bool"),
        (np.zeros((2, 3), "U3"), CodesError, "codes must be integers"),
        (np.zeros(6, int), CodesError, "got 1 dimensions"),
        (np.zeros((), int), CodesError, "got 0 dimensions"),
        (np.zeros((1, 1, 2, 3), int), CodesError, "got 4 dimensions"),
        (np.zeros((0, 3), int), CodesError, "must not be empty"),
        (np.array([[1, -1]]), CodesError, r"codes must lie in \[0, 4096\), got -1 at row 0, column 1"),
        (np.array([[1, 4096]]), CodesError, r"codes must lie in \[0, 4096\), got 4096 at row 0, column 1"),
    ],
)
def test_arrays_that_are_no_codes_are_refused(array, error, message):
    with pytest.raises(error, match=message):
        from_npy(saved(array), SPACE)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<u2', 'fortran_order': False, 'shape': (-2, -3)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3.0)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': 6}",
        "{'descr': '<u2', 'fortran_order': 0, 'shape': (2, 3)}",
        "{'descr': '<u2', 'shape': (2, 3)}",
        "{'descr': '(2,3)<u2', 'fortran_order': False, 'shape': (1, 1)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': __import__('os'), 'fortran_order': False, 'shape': (2, 3)}",
        "(" * 100,
        "[]",
        "",
        "\0",
    ],
)
def test_hostile_headers_are_refused(header):
    with pytest.raises((FormatError, CodesError)):
        from_npy(with_header(header), SPACE)


def test_long_headers_are_refused():
    padding = " " * 2000
    with pytest.raises(FormatError, match="header"):
        from_npy(with_header(f"{{'descr': '<u2', 'fortran_order': False, 'shape': (2, 3)}}{padding}"), SPACE)


def test_the_shape_that_a_header_claims_is_not_allocated():
    data = with_header("{'descr': '<u2', 'fortran_order': False, 'shape': (1000000000, 1000000000)}")
    tracemalloc.start()
    with pytest.raises(FormatError, match="promises 2000000000000000000 bytes of codes, got 12"):
        from_npy(data, SPACE)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_nothing_is_unpickled():
    class Trap:
        def __reduce__(self):
            return warnings.warn, ("unpickled",)

    out = io.BytesIO()
    np.save(out, np.array([[Trap()]], dtype=object), allow_pickle=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FormatError, match="not read"):
            from_npy(out.getvalue(), SPACE)


def test_an_unknown_version_is_named():
    data = bytearray(saved(CODES))
    data[6] = 4
    with pytest.raises(FormatError, match=r"version must be 1.0, 2.0 or 3.0, got 4.0"):
        from_npy(bytes(data), SPACE)
