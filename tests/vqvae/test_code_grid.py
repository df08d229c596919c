"""The contract on codes, wherever they come from."""

import copy
import math
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqvae.code_grid import CodeGrid, CodeSpace, check_codes
from vqvae.errors import CodesError

FINGERPRINT = "1a2b3c4d5e6f" + "0" * 52
SPACE = CodeSpace("photo-f8", FINGERPRINT, 4096, 8)


def grid_of(codes, space=SPACE):
    h, w = np.shape(codes)[:2]
    return CodeGrid(codes, w * space.downsample_factor, h * space.downsample_factor, space)


def rows_with(offender):
    """A valid 5x9 list of codes but for row 3, column 7."""
    rows = np.arange(45).reshape(5, 9).tolist()
    rows[3][7] = offender
    return rows


def test_lists_tuples_and_arrays_of_equal_codes_are_equal_codes():
    array = np.arange(45).reshape(5, 9)
    for value in (
        array,
        array.tolist(),
        tuple(map(tuple, array.tolist())),
        array.astype(">i2"),
        array.T.copy().T,
    ):
        codes = check_codes(value, 4096, (5, 9))
        assert codes.dtype == np.uint16
        assert codes.flags.c_contiguous
        np.testing.assert_array_equal(codes, array)


def test_codes_are_uint32_from_65537_vectors_on():
    assert check_codes([[65535]], 65536, None).dtype == np.uint16
    assert check_codes([[65535]], 65537, None).dtype == np.uint32
    assert check_codes([[2**32 - 1]], 2**32, None).tolist() == [[2**32 - 1]]


@pytest.mark.parametrize(
    ("offender", "shown"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (True, "True"),
        (7.0, "7.0"),
        ("7", "'7'"),
        ("7" * 1000, "a string of 1000 characters"),
        (None, "None"),
        ({}, "a value of type dict"),
        ([7], "a value of type list"),
        (np.int64(7), "a value of type int64"),
    ],
)
def test_what_is_no_integer_is_named_with_its_place(offender, shown):
    with pytest.raises(CodesError, match=f"^codes must be integers, got {shown} at row 3, column 7$"):
        check_codes(rows_with(offender), 4096, None)


@pytest.mark.parametrize("offender", [4096, -1, 2**64, 10**23, -(10**23)])
def test_codes_out_of_range_are_named_with_their_place(offender):
    with pytest.raises(CodesError) as caught:
        check_codes(rows_with(offender), 4096, None)
    assert str(caught.value) == f"codes must lie in [0, 4096), got {offender} at row 3, column 7"


def test_integers_too_long_to_print_are_told_by_their_length():
    with pytest.raises(CodesError, match="got an integer of 100001 bits at row 3, column 7"):
        check_codes(rows_with(1 << 100_000), 4096, None)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint16, np.uint64, ">i4"])
def test_arrays_are_held_to_the_same_range(dtype):
    array = np.zeros((5, 9), dtype=dtype)
    array[3, 7] = array[4, 0] = 4096
    with pytest.raises(CodesError, match=r"^codes must lie in \[0, 4096\), got 4096 at row 3, column 7$"):
        check_codes(array, 4096, None)
    if array.dtype.kind == "i":
        array[1, 2] = -1
        with pytest.raises(CodesError, match="got -1 at row 1, column 2"):
            check_codes(array, 4096, None)


@pytest.mark.parametrize(
    "dtype", [bool, np.float32, np.float64, complex, object, "U3", "M8[s]", [("a", "u2")]]
)
def test_arrays_of_other_than_integers_are_refused(dtype):
    with pytest.raises(CodesError, match="codes must be integers, got an array of"):
        check_codes(np.zeros((5, 9), dtype=dtype), 4096, None)


def test_a_mask_hides_no_code():
    with pytest.raises(CodesError, match="got 9999 at row 0, column 1"):
        check_codes(np.ma.masked_equal([[1, 9999]], 9999), 4096, None)


@pytest.mark.parametrize("value", [None, 7, 7.0, "[[7]]", b"\0\0", {}, iter([[7]])])
def test_what_is_neither_list_nor_array_is_refused(value):
    with pytest.raises(CodesError, match="codes must be nested lists or a NumPy integer array, got"):
        check_codes(value, 4096, None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "codes must not be empty, got shape 0x0"),
        ([[], []], "codes must not be empty, got shape 2x0"),
        ([[[], []]], "codes must not be empty, got shape 1x2x0"),
        ([1, 2], "codes must be a list of rows, got 1 for row 0"),
        ([[1], "2"], "codes must be a list of rows, got '2' for row 1"),
        ([[1, 2], [3]], "codes must be rectangular: row 0 has 2 columns, row 1 has 1"),
        ([[1, [2]]], "codes must be integers, got a value of type list at row 0, column 1"),
        ([[[1, 2], 3]], "codes must have depth 2 everywhere, got 3 at row 0, column 1"),
        ([[[1, 2], [3]]], "codes must have depth 2 everywhere, got depth 1 at row 0, column 1"),
        ([[[1, 2], [3, True]]], "codes must be integers, got True at row 0, column 1, layer 1"),
        ([[[1, 2]], [[3, 9]]], r"codes must lie in \[0, 9\), got 9 at row 1, column 0, layer 1"),
        (np.array([[[1, 2]], [[3, 9]]]), r"codes must lie in \[0, 9\), got 9 at row 1, column 0, layer 1"),
        ([[[[1], [2]]]], "codes must be integers, got a value of type list at row 0, column 0, layer 0"),
        ([[[1]]], r"depth must lie in \[2, 255\], got shape 1x1x1; codes of depth one are \(h, w\)"),
        ([[[1] * 256]], r"depth must lie in \[2, 255\], got shape 1x1x256"),
        (np.zeros(3, int), r"codes must be \(h, w\), or \(h, w, d\) for depth d, got 1 dimensions"),
        (np.zeros((1, 1, 2, 2), int), "got 4 dimensions"),
        (np.zeros((0, 4), int), "codes must not be empty, got shape 0x4"),
    ],
)
def test_codes_must_be_a_full_rectangle(value, message):
    with pytest.raises(CodesError, match=message):
        check_codes(value, 9, None)


def test_a_bad_code_is_found_before_anything_is_allocated():
    rows = [[0] * 1000] * 999 + [[0] * 999 + [4096]]
    array = np.array(rows)
    for value in (rows, array):
        tracemalloc.start()
        with pytest.raises(CodesError, match="got 4096 at row 999, column 999"):
            check_codes(value, 4096, None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100_000  # the codes would take 2 MB


@pytest.mark.parametrize("value", [[[1, 2, 3]], np.ones((1, 3), int), np.ones((2, 2, 2), int)])
def test_codes_must_fill_the_grid(value):
    with pytest.raises(
        CodesError, match=r"must fill the grid ceil\(size / f\) = 2x3 \(height x width\), got"
    ):
        check_codes(value, 9, (2, 3))


@given(
    st.recursive(st.none() | st.integers() | st.floats() | st.booleans() | st.text(), st.lists, max_leaves=20)
)
def test_any_json_value_is_codes_or_a_codes_error(value):
    try:
        codes = check_codes(value, 16, None)
    except CodesError:
        return
    assert codes.tolist() == value


def test_a_grid_keeps_its_own_read_only_codes():
    array = np.zeros((2, 3), np.uint16)
    view = array.view()
    view.flags.writeable = False
    for codes in (array, view):
        grid = grid_of(codes)
        array[:] = 5
        assert not grid.codes.any()
        assert not grid.codes.flags.writeable
        array[:] = 0


def test_codes_that_are_already_read_only_and_owned_are_not_copied():
    grid = grid_of(np.zeros((2, 3), np.uint16))
    assert grid_of(grid.codes).codes is grid.codes


def test_copied_and_pickled_grids_are_equal_and_read_only():
    grid = grid_of(np.arange(6).reshape(2, 3))
    for twin in (copy.deepcopy(grid), pickle.loads(pickle.dumps(grid))):
        assert twin == grid
        assert hash(twin) == hash(grid)
        assert not twin.codes.flags.writeable


def test_grids_differ_by_codes_size_and_space():
    grid = CodeGrid([[1, 2]], 16, 8, SPACE)
    assert grid == CodeGrid(np.array([[1, 2]]), 16, 8, SPACE)
    assert grid != CodeGrid([[1, 3]], 16, 8, SPACE)
    assert grid != CodeGrid([[1, 2]], 15, 8, SPACE)
    assert grid != CodeGrid([[1, 2]], 16, 7, SPACE)
    assert grid != CodeGrid([[1, 2]], 16, 8, CodeSpace("photo-f8", "0" * 64, 4096, 8))
    assert grid != "a grid"


def test_a_grid_tells_people_what_it_is():
    assert repr(CodeGrid(np.zeros((31, 32), int), 250, 243, SPACE)) == (
        "CodeGrid(photo-f8@1a2b3c4d5e6f, 32x31 codes of 4096, 250x243 pixels)"
    )
    assert "1x1x4 codes of 4096" in repr(grid_of([[[1, 2, 3, 4]]]))


def test_bits_per_pixel_counts_every_layer_by_log2_of_the_codebook():
    assert grid_of([[1, 2]]).bits_per_pixel == 2 * 12 / (16 * 8)
    assert grid_of([[[1, 2, 3, 4]]]).bits_per_pixel == 4 * 12 / 64
    assert CodeGrid([[1]], 1, 1, SPACE).bits_per_pixel == 12
    assert grid_of([[1]], CodeSpace("m", FINGERPRINT, 3, 8)).bits_per_pixel == pytest.approx(
        1.584962500721156 / 64
    )


@pytest.mark.parametrize(
    ("size", "grid"),
    [((1, 1), (1, 1)), ((8, 9), (2, 1)), ((250, 333), (42, 32)), ((2**32 - 1, 7), (1, 2**29))],
)
def test_the_grid_is_the_size_over_f_rounded_up(size, grid):
    assert SPACE.grid_of(*size) == grid


@pytest.mark.parametrize("side", [0, -1, 2**32, 8.0, True, None, "8"])
def test_sides_are_positive_integers(side):
    with pytest.raises(CodesError, match=r"^width must be an integer in \[1, 4294967295\], got"):
        CodeGrid([[1]], side, 8, SPACE)
    with pytest.raises(CodesError, match=r"^height must be an integer"):
        CodeGrid([[1]], 8, side, SPACE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("model", name) for name in ("", "-a", "a b", "a/b", "a\n", "é", "a" * 65, None, 7)),
        *(
            ("fingerprint", text)
            for text in ("", FINGERPRINT[1:], FINGERPRINT.upper(), "g" * 64, FINGERPRINT + "\n", None)
        ),
        *(("codebook_size", size) for size in (1, 0, -2, 2**32 + 1, 4096.0, True, None)),
        *(("downsample_factor", f) for f in (0, -8, 2**32, 8.0, True, None)),
    ],
)
def test_a_code_space_off_its_rule_is_refused_by_field(field, value):
    fields = {"model": "m", "fingerprint": FINGERPRINT, "codebook_size": 2, "downsample_factor": 1}
    with pytest.raises(CodesError, match=f"^{field} must"):
        CodeSpace(**(fields | {field: value}))


def test_a_code_space_has_a_short_name_for_people():
    assert SPACE.short == "photo-f8@1a2b3c4d5e6f"
