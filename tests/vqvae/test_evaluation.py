import json
import math

import numpy as np
import pytest

from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.errors import DataError
from vqvae.evaluation import ImageFigures, SkippedImage, evaluate
from vqvae.pixels import encode_image
from vqvae.tokenizer import Tokenizer

SPACE = CodeSpace("by-hand", "ab" * 32, codebook_size=4, downsample_factor=8)


class Images:
    """Image files by key."""

    def __init__(self, **files: bytes) -> None:
        self.files = files
        self.keys = sorted(files)

    def read(self, key: str) -> bytes:
        if key == "gone":
            raise DataError("gone cannot be read")
        return self.files[key]


def grey(height: int, width: int, level: int) -> bytes:
    return encode_image(np.full((height, width, 3), level, np.uint8))


class ByHand:
    """A tokenizer whose codes are 0, but the last of several is 1, and that darkens level 100 by 1."""

    space = SPACE
    decoder_name = "faithful"

    def encode_rgb8(self, rgb):
        height, width = rgb.shape[:2]
        codes = np.zeros(SPACE.grid_of(width, height), np.uint16)
        codes[-1, -1] = codes.size > 1
        self.levels = rgb.copy()
        return CodeGrid(codes, width, height, SPACE)

    def decode_rgb8(self, grid):
        return self.levels - (self.levels == 100)


@pytest.fixture
def found():
    """Of a dark image of two codes that is kept, a small one of one code, a large one, and two bad ones."""
    images = Images(
        bad=b"hello", gone=b"", a=grey(8, 16, level=100), b=grey(4, 4, level=50), c=grey(16, 16, level=100)
    )
    return evaluate(ByHand(), images)


def test_codes_that_are_known_are_not_made_again(found):
    class Decoding(ByHand):
        def encode_rgb8(self, rgb):
            raise AssertionError

    images = Images(b=grey(4, 4, level=50))
    grids = {}
    first = evaluate(ByHand(), images, grids=grids)
    assert list(grids) == ["b"]
    decoding = Decoding()
    decoding.levels = np.full((4, 4, 3), 50, np.uint8)
    assert evaluate(decoding, images, grids=grids) == first


def test_rows_hold_each_image_in_the_order_of_the_keys(found):
    one_off = 20 * math.log10(255)  # an error of 1 in every pixel
    assert [(row.key, row.width, row.height) for row in found.images] == [
        ("a", 16, 8),
        ("b", 4, 4),
        ("c", 16, 16),
    ]
    assert [row.psnr for row in found.images] == [pytest.approx(one_off), None, pytest.approx(one_off)]
    assert [row.bits_per_pixel for row in found.images] == [4 / 128, 2 / 16, 8 / 256]


def test_means_leave_out_the_undefined(found):
    assert found.psnr == pytest.approx(20 * math.log10(255))
    assert [row.ssim is None for row in found.images] == [True, True, False]
    assert found.ssim == found.images[2].ssim
    assert found.ms_ssim is None


def test_ms_ssim_is_the_mean_of_images_large_enough():
    found = evaluate(
        ByHand(), Images(a=grey(176, 180, level=100), b=grey(176, 176, 50), c=grey(175, 176, 50))
    )
    assert [row.ms_ssim is None for row in found.images] == [False, False, True]
    assert found.images[1].ms_ssim == pytest.approx(1)
    assert found.ms_ssim == (found.images[0].ms_ssim + found.images[1].ms_ssim) / 2


def test_bits_per_pixel_are_all_bits_over_all_pixels(found):
    assert found.bits_per_pixel == pytest.approx(14 / (128 + 16 + 256))


def test_codebook_figures_are_of_the_whole_set(found):
    # counts 5 and 2 of 4
    entropy = -(5 / 7 * math.log2(5 / 7) + 2 / 7 * math.log2(2 / 7))
    assert found.num_codes == 7
    assert found.usage == 0.5
    assert found.perplexity == pytest.approx(2**entropy)
    assert found.entropy_bits_per_pixel == pytest.approx(entropy * 7 / 400)


def test_bad_images_are_skipped_and_named(found):
    assert [image.key for image in found.skipped] == ["bad", "gone"]
    assert found.skipped[1].reason == "gone cannot be read"


def test_nothing_defined_is_no_mean():
    found = evaluate(ByHand(), Images(b=grey(4, 4, level=50)))
    assert (found.psnr, found.ssim) == (None, None)


def test_json_has_the_promised_keys(found):
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(data) == {
        *(
            "psnr",
            "ssim",
            "ms_ssim",
            "bits_per_pixel",
            "entropy_bits_per_pixel",
            "usage",
            "perplexity",
            "images",
        ),
        *("model", "fingerprint", "decoder", "num_codes", "skipped"),
    }
    assert set(data["images"][0]) == {"key", "width", "height", "psnr", "ssim", "ms_ssim", "bits_per_pixel"}
    assert data["images"][1]["psnr"] is None
    assert data["skipped"][1] == {"key": "gone", "reason": "gone cannot be read"}


def test_every_image_is_told_as_it_is_done():
    told = []
    evaluate(ByHand(), Images(a=grey(8, 8, level=1), bad=b"hello"), told.append)
    assert [type(outcome) for outcome in told] == [ImageFigures, SkippedImage]


def test_pixels_of_every_image_that_can_be_read_are_handed_on():
    pairs = []
    images = Images(a=grey(16, 16, 100), b=b"no image", c=grey(8, 24, 7))
    evaluate(ByHand(), images, on_pixels=lambda *pair: pairs.append(pair))
    assert [(rgb.shape, rgb.max(), x_hat.max()) for rgb, x_hat in pairs] == [
        ((16, 16, 3), 100, 99),
        ((8, 24, 3), 7, 7),
    ]


def test_only_bad_images_are_an_error_that_names_the_first():
    with pytest.raises(DataError, match="none of the 2 images can be decoded; bad: image must be a JPEG"):
        evaluate(ByHand(), Images(bad=b"hello", gone=b""))


def test_real_model_is_measured_on_what_it_reconstructs(weights):
    tokenizer = Tokenizer.load(weights / "tiny")
    rgb = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    found = evaluate(tokenizer, Images(a=encode_image(rgb)))
    error = (rgb.astype(float) - np.asarray(tokenizer.reconstruct(rgb))) ** 2
    assert found.psnr == pytest.approx(10 * math.log10(255**2 / error.mean()))
    assert (found.model, found.fingerprint) == ("tiny", tokenizer.space.fingerprint)
    assert found.usage == len(np.unique(tokenizer.encode(rgb).codes)) / 64
    assert found.bits_per_pixel == 6 / 64
