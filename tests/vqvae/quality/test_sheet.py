import numpy as np
import pytest

from vqvae.pixels import decode_image, encode_image
from vqvae.quality.codecs import JPEG, CodedImage, pixels_of
from vqvae.quality.sheet import SIDE, TELLING, contact_sheet, sheet_rows
from vqvae.sources import open_source
from vqvae.tokenizer import Tokenizer


@pytest.fixture
def large(bench):
    return open_source(bench / "large")


def middle(rgb):
    height, width = rgb.shape[:2]
    top, left = max(0, height - SIDE) // 2, max(0, width - SIDE) // 2
    return rgb[top : top + SIDE, left : left + SIDE]


def test_rows_are_originals_every_decoder_and_jpeg_at_the_first_models_bytes(two_decoders, weights, large):
    rows = sheet_rows([two_decoders, weights / "other"], large)
    assert [row.label[:2] for row in rows] == [
        ("original", ""),
        ("two", "faithful"),
        ("two", "vivid"),
        ("other", "faithful"),
        ("JPEG", "at two's bytes"),
    ]
    assert [row.label[2] for row in rows[:4]] == ["24 bits/pixel", *["0.09375 bits/pixel"] * 3]
    images = [decode_image(large.read(key)) for key in large.keys]
    vivid = Tokenizer.load(two_decoders, decoder="vivid")
    for column, rgb in enumerate(images):
        jpeg = pixels_of(CodedImage(JPEG, rgb).file_within(rgb.size / 3 * 6 / 64 / 8))
        assert np.array_equal(rows[0].crops[column], middle(rgb))
        assert np.array_equal(rows[2].crops[column], middle(np.asarray(vivid.reconstruct(rgb))))
        assert np.array_equal(rows[4].crops[column], middle(jpeg))


def test_kodak_is_cut_where_it_tells_most(tmp_path, weights):
    rgb = np.random.default_rng(0).integers(0, 256, (512, 768, 3), dtype=np.uint8)
    for name in ("kodim01.png", "kodim05.png"):
        (tmp_path / name).write_bytes(encode_image(rgb))
    original = sheet_rows([weights / "tiny"], open_source(tmp_path))[0]
    left, top = TELLING["kodim05.png"]
    assert len(original.crops) == 1
    assert np.array_equal(original.crops[0], rgb[top : top + SIDE, left : left + SIDE])


def test_telling_crops_lie_in_kodak_images(kodak):
    for key, (left, top) in TELLING.items():
        height, width = decode_image((kodak / key).read_bytes()).shape[:2]
        assert left + SIDE <= width
        assert top + SIDE <= height


def test_sheet_is_the_same_for_the_same_models_and_images(weights, large):
    first, again = (contact_sheet([weights / "tiny"], large) for _ in range(2))
    assert first == again
