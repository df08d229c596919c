"""Unpacking in another process: the same pixels and errors, and images that end it."""

import pytest

from vqvae.bulk import Options
from vqvae.bulk.apart import unpacking_apart
from vqvae.bulk.preparing import unpack
from vqvae.errors import BulkError, ImageError, LimitError
from vqvae.pixels import encode_image


def test_pixels_and_errors_are_those_of_unpacking_here(files):
    with unpacking_apart() as apart:
        for options in (Options(), Options(size=16)):
            assert (apart(files["a/5.png"], options) == unpack(files["a/5.png"], options)).all()
        with pytest.raises(ImageError, match="its first bytes are of none"):
            apart(files["b/bad.png"], Options())
        with pytest.raises(LimitError) as error:
            apart(encode_image(unpack(files["a/0.png"], Options(size=1001))), Options(max_megapixels=1))
        assert error.value.limit == 10**6


def test_a_crash_is_the_image_s_error_and_the_next_image_is_unpacked(files, picture, deadly, monkeypatch):
    monkeypatch.syspath_prepend(deadly)
    with unpacking_apart() as apart:
        with pytest.raises(ImageError, match="image cannot be decoded: its decoder crashed"):
            apart(encode_image(picture(13, 13, seed=0)), Options())
        assert apart(files["a/0.png"], Options()).shape == (24, 40, 3)


def test_a_kill_is_the_machine_s_error(picture, deadly, monkeypatch):
    monkeypatch.syspath_prepend(deadly)
    with unpacking_apart() as apart, pytest.raises(BulkError, match="ended with -9; if memory ran out"):
        apart(encode_image(picture(11, 11, seed=0)), Options())
