import io
from itertools import pairwise

import pytest
from PIL import Image, features

from vqvae.errors import ConfigError
from vqvae.metrics import psnr
from vqvae.quality.codecs import CODECS, JPEG, Codec, CodedImage, check_codecs, pixels_of

by_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


@pytest.fixture(scope="module")
def coded(cat):
    """Codec -> a photograph in its files."""
    return {codec: CodedImage(codec, cat) for codec in CODECS}


@by_codec
def test_a_file_is_of_its_kind_and_shows_the_image(codec, coded, cat):
    file = coded[codec].file(codec.curve[-1])
    with Image.open(io.BytesIO(file)) as image:
        assert image.format in {codec.name.upper(), "JPEG2000"}
    assert psnr(pixels_of(file), cat) > 25


@by_codec
def test_settings_of_the_curve_grow_the_file(codec, coded):
    sizes = [len(coded[codec].file(setting)) for setting in codec.curve]
    assert all(small <= large for small, large in pairwise(sizes))  # equal where all is headers
    assert sizes[-1] > 3 * sizes[0]


@by_codec
@pytest.mark.parametrize("max_bytes", [900, 2500.5])
def test_file_within_is_the_largest_that_fits(codec, coded, max_bytes):
    setting = coded[codec].setting_within(max_bytes)
    assert coded[codec].file_within(max_bytes) == coded[codec].file(setting)
    assert len(coded[codec].file(setting)) <= max_bytes < len(coded[codec].file(setting + 1))


@by_codec
def test_file_within_is_the_smallest_of_all_where_none_fits(codec, coded):
    assert coded[codec].file_within(1) == coded[codec].file(codec.settings[0])


def test_bisection_tries_few_settings_and_each_once(cat):
    tried = []

    def encode(_, setting):
        tried.append(setting)
        return bytes(setting)

    coded = CodedImage(Codec("", "", range(1, 1001), (), encode), cat)
    assert [len(coded.file_within(size)) for size in (700, 699.5, 2000, 0)] == [700, 699, 1000, 1]
    assert len(tried) == len(set(tried)) < 45


@pytest.mark.parametrize("quality", [1, 95])
def test_jpeg_is_the_smaller_of_sequential_and_progressive(cat, quality):
    sizes = []
    for progressive in (False, True):
        file = io.BytesIO()
        Image.fromarray(cat).save(file, "JPEG", quality=quality, optimize=True, progressive=progressive)
        sizes.append(file.tell())
    assert len(CodedImage(JPEG, cat).file(quality)) == min(sizes) < max(sizes)


def test_a_missing_codec_is_named(monkeypatch):
    check_codecs()
    monkeypatch.setattr(features, "check", lambda library: library != "avif")
    with pytest.raises(ConfigError, match="this Pillow was built without AVIF"):
        check_codecs()
