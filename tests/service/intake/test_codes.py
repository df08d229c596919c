"""Codes in bodies, below HTTP."""

import tracemalloc

import orjson
import pytest

from service.errors import TooLarge
from service.intake import read_codes
from service.schemas.options import DecodeOptions
from service.settings import Settings
from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.formats import to_document, to_item

SPACE = CodeSpace("model", "1a" * 32, 64, 8)


def read(body, **settings):
    return read_codes(body, "application/json", DecodeOptions(), [SPACE], Settings(threads=1, **settings))


@pytest.mark.parametrize("value", [b"{}", b"[]", b"0", b'"text"'])
def test_json_of_many_more_values_than_codes_is_refused_before_they_are_in_memory(value):
    body = b'{"data":[%b]}' % b",".join([value] * 500_000)
    tracemalloc.start()
    with pytest.raises(TooLarge, match=r"^the body has 500000 values; the limit is 1300$"):
        read(body, codes_per_request=1000, images_per_request=3)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000


def test_as_many_codes_as_are_allowed_are_read():
    grids = [CodeGrid([[7] * 10] * 10, 80, 80, SPACE) for _ in range(3)]
    body = orjson.dumps(to_document(map(to_item, grids)))
    assert read(body, codes_per_request=300, images_per_request=3) == grids
    with pytest.raises(TooLarge, match=r"^the request has 300 codes; the limit is 299$"):
        read(body, codes_per_request=299, images_per_request=3)
