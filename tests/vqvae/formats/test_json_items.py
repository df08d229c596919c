"""Codes as JSON: items that stand alone, and errors that say which of them and where in it."""

import base64

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.errors import CodesError, FingerprintError, FormatError
from vqvae.formats.json_items import from_item, is_failed, read_document, to_document, to_item

SPACE = CodeSpace("photo-f8", "ab" * 32, 4096, 8)
GRID = CodeGrid([[17, 901, 4095], [0, 1, 2]], 17, 16, SPACE)
DEEP = CodeGrid(np.arange(24).reshape(2, 3, 4), 17, 16, SPACE)
WIDE = CodeGrid([[70000, 0]], 2, 1, CodeSpace("wide", "cd" * 32, 2**17, 1))

ITEM = {
    "index": 3,
    "model": "photo-f8",
    "fingerprint": "ab" * 32,
    "codes": [[17, 901, 4095], [0, 1, 2]],
    "dtype": "uint16",
    "grid": {"height": 2, "width": 3},
    "original_size": {"width": 17, "height": 16},
    "codebook_size": 4096,
    "downsample_factor": 8,
}
PACKED = {key: value for key, value in ITEM.items() if key != "codes"} | {"codes_b64": "EQCFA/8PAAABAAIA"}


def without(*keys, item=ITEM):
    return {key: value for key, value in item.items() if key not in keys}


def test_an_item_has_the_form_that_is_promised():
    assert to_item(GRID, 3) == ITEM
    assert to_item(GRID, 3, "base64") == PACKED
    assert list(to_item(GRID)) == list(ITEM)


@pytest.mark.parametrize("encoding", ["list", "base64"])
@pytest.mark.parametrize("grid", [GRID, DEEP, WIDE])
def test_codes_survive_json(grid, encoding):
    (item,) = read_document(orjson.dumps(to_document([to_item(grid, encoding=encoding)])))
    assert from_item(item) == grid


def test_base64_is_little_endian_in_raster_order():
    raw = base64.b64decode(to_item(WIDE, encoding="base64")["codes_b64"])
    assert raw == (70000).to_bytes(4, "little") + bytes(4)


@pytest.mark.parametrize("encoding", ["list", "base64"])
def test_a_document_counts_images_codes_and_failures(encoding):
    failed = {"index": 1, "error": {"title": "no image"}}
    items = [to_item(GRID, 0, encoding), failed, to_item(DEEP, 2, encoding), to_item(WIDE, 3, encoding)]
    document = to_document(items)
    assert document["counts"] == {"images": 4, "codes": 6 + 24 + 2, "failed": 1}
    assert document["data"] == items


def test_failed_items_pass_through_unchanged():
    failed = {"index": 1, "error": {"title": "no image"}, "note": [1, None]}
    items = read_document(orjson.dumps({"data": [ITEM, failed]}))
    assert items == [ITEM, failed]
    assert [is_failed(item) for item in items] == [False, True]
    with pytest.raises(CodesError, match=r"^data\[1\] carries an error, not codes$"):
        from_item(items[1], path="data[1]")


def test_unknown_keys_and_nulls_are_ignored():
    assert from_item(ITEM | {"id": "mine", "error": None, "codes_b64": None}) == GRID
    assert from_item(without("index", "dtype", "grid")) == GRID
    assert from_item(without("index", "grid", item=PACKED)) == GRID


def test_a_known_space_supplies_what_the_item_leaves_out():
    bare = without("codebook_size", "downsample_factor")
    assert from_item(bare, [WIDE.space, SPACE]) == GRID
    assert from_item(ITEM, [WIDE.space]) == GRID
    with pytest.raises(CodesError, match=r"^item.codebook_size is missing$"):
        from_item(bare)
    with pytest.raises(FingerprintError) as caught:
        from_item(bare, [WIDE.space])
    assert (caught.value.expected, caught.value.actual) == ("cd" * 32, "ab" * 32)


def test_an_item_that_contradicts_its_known_space_is_refused():
    with pytest.raises(CodesError, match=r"^item.codebook_size must be 4096, got 8192$"):
        from_item(ITEM | {"codebook_size": 8192}, [SPACE])
    with pytest.raises(CodesError, match=r"^item.downsample_factor must be 8, got 16$"):
        from_item(ITEM | {"downsample_factor": 16}, [SPACE])


@pytest.mark.parametrize(
    "key", ["model", "fingerprint", "codes", "original_size", "codebook_size", "downsample_factor"]
)
def test_a_misspelt_key_is_named_as_missing(key):
    item = without(key) | {key.upper(): ITEM[key]}
    with pytest.raises(CodesError, match=rf"^data\[2\]\.{key} is missing"):
        from_item(item, path="data[2]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": 7}, "item.model must be a string, got 7"),
        ({"model": "../x"}, "item: model must match"),
        ({"fingerprint": "AB" * 32}, "item: fingerprint must be 64 lower-case hex digits"),
        ({"fingerprint": "ab" * 10**6}, "got a string of 2000000 characters"),
        ({"codebook_size": 4096.0}, "item.codebook_size must be an integer, got 4096.0"),
        ({"codebook_size": True}, "item.codebook_size must be an integer, got True"),
        ({"codebook_size": 1}, "item: codebook_size must be an integer in"),
        ({"downsample_factor": 0}, "item: downsample_factor must be an integer in"),
        ({"original_size": [17, 16]}, "item.original_size must be an object, got a value of type list"),
        ({"original_size": {"width": 17}}, "item.original_size.height is missing"),
        (
            {"original_size": {"width": "17", "height": 16}},
            "item.original_size.width must be an integer, got '17'",
        ),
        ({"original_size": {"width": 0, "height": 16}}, "item.original_size: width must be an integer in"),
        (
            {"original_size": {"width": 25, "height": 16}},
            r"item.grid must be ceil\(size / f\) = 2x4 .*, got 2x3",
        ),
        ({"grid": {"height": 3, "width": 2}}, r"item.grid must be ceil\(size / f\) = 2x3 .*, got 3x2"),
        ({"grid": {"height": 2}}, "item.grid.width is missing"),
        ({"grid": "2x3"}, "item.grid must be an object, got '2x3'"),
        ({"dtype": "uint32"}, "item.dtype must be uint16 where K = 4096, got 'uint32'"),
        ({"dtype": 16}, "item.dtype must be uint16 where K = 4096, got 16"),
        ({"codes_b64": "EQCFA/8PAAABAAIA"}, "item must hold either codes or codes_b64, got both"),
        ({"codes": "EQCFA/8PAAABAAIA"}, "item.codes: codes must be nested lists"),
        (
            {"codes": [[17, 901, 4096], [0, 1, 2]]},
            r"item.codes: codes must lie in \[0, 4096\), got 4096 at row 0, column 2",
        ),
        ({"codes": [[17, 901, 4095]]}, "item.codes: codes must fill the grid .* = 2x3 .*, got 1x3"),
    ],
)
def test_what_is_wrong_with_an_item_is_said_with_its_path(change, message):
    with pytest.raises(CodesError, match=message):
        from_item(ITEM | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes_b64": [17]}, "item.codes_b64 must be a string, got a value of type list"),
        (
            {"codes_b64": ""},
            "item.codes_b64: a grid of 2x3 uint16 codes takes 12 bytes a layer, got 0 characters",
        ),
        ({"codes_b64": "EQCFA/8PAAAB"}, "takes 12 bytes a layer, got 12 characters of base64 for 9 bytes"),
        ({"codes_b64": "EQCFA/8PAAABAAIA\n"}, "takes 12 bytes a layer, got 17 characters"),
        ({"codes_b64": "EQCFA_8PAAABAAIA"}, "not valid base64"),
        ({"codes_b64": "EQCFA/8PAAABAA\n="}, "takes 12 bytes a layer"),
        ({"codes_b64": "EQCF\u00e9/8PAAABAAIA"}, "not valid base64"),
        (
            {"codes_b64": "EQCFA/8PAAABABAQ"},
            r"item.codes_b64: codes must lie in .*, got 4112 at row 1, column 2",
        ),
        ({"dtype": None}, "item.dtype is missing"),
    ],
)
def test_base64_is_strict_and_its_length_must_fit_the_grid(change, message):
    with pytest.raises(CodesError, match=message):
        from_item(PACKED | change)


@given(st.text(alphabet="AB=\n", max_size=40))
def test_any_base64_like_text_is_codes_or_a_codes_error(text):
    item = PACKED | {"codes_b64": text, "grid": None, "original_size": {"width": 1, "height": 1}}
    try:
        codes = from_item(item).codes
    except CodesError:
        return
    assert codes.size * 2 == len(base64.b64decode(text))


@pytest.mark.parametrize("item", [None, 7, "codes", [], [[1]]])
def test_an_item_must_be_an_object(item):
    with pytest.raises(CodesError, match=r"^item must be an object, got"):
        from_item(item)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[NaN]",
        b'{"data": [Infinity]}',
        b"\xff",
        b"[" * 100_000,
        "{'data': []}",
        b'{"data": [1]}x',
    ],
)
def test_what_is_no_json_is_a_format_error(data):
    with pytest.raises(FormatError, match=r"^not valid JSON: "):
        read_document(data)


@pytest.mark.parametrize(
    "data", [b"null", b"[]", b"{}", b'{"data": {}}', b'{"data": []}', b'{"Data": [1]}', None, ITEM]
)
def test_a_document_must_hold_a_list_of_items(data):
    with pytest.raises(FormatError, match='an object whose "data" is a list'):
        read_document(data)


def test_parsed_documents_are_read_like_text():
    assert read_document({"data": [ITEM], "counts": "whatever"}) == [ITEM]


@given(
    st.dictionaries(
        st.sampled_from([*ITEM, "codes_b64", "error"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["width", "height"]), inner),
            max_leaves=8,
        ),
    )
)
def test_any_change_to_an_item_is_read_or_a_codes_error(change):
    try:
        grid = from_item(ITEM | change)
    except CodesError:
        return
    assert from_item(to_item(grid)) == grid
