"""What the shipped weights promise, on the images in tests/images and, with --kodak, on Kodak's.

Shapes: H W image height and width, h w grid height and width, f downsample factor, K codebook size.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from vqvae import Tokenizer
from vqvae.formats.code_file import from_code_file, to_code_file
from vqvae.metrics import psnr
from vqvae.model import Span

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "tests" / "images"
NEAR_TIE = 1e-5  # a margin that another machine's rounding may overcome: photo-f16 has one on astronaut.png
NAMES = sorted(path.stem for path in IMAGES.glob("*.png"))


class Promise(NamedTuple):
    """What a model is described as."""

    downsample_factor: int
    codebook_size: int
    kodak_psnr: float  # dB, at least


PROMISES = {"photo-f8": Promise(8, 4096, 26.3), "photo-f16": Promise(16, 16384, 24.0)}


@pytest.fixture(scope="module", params=PROMISES)
def tokenizer(request):
    return Tokenizer.load(ROOT / "weights" / request.param)


@pytest.fixture(scope="module")
def f(tokenizer):
    return tokenizer.space.downsample_factor


def image(name, f):
    """An image of tests/images, cut to multiples of f."""
    rgb = np.asarray(Image.open(IMAGES / f"{name}.png").convert("RGB"))
    height, width = (side // f * f for side in rgb.shape[:2])
    return np.ascontiguousarray(rgb[:height, :width])


def mosaic(width, height):
    """As many pixels as are wanted, of real photographs."""
    squares = [image(name, 8)[:240, :240] for name in NAMES]
    tile = np.concatenate([np.concatenate(row, axis=1) for row in (squares, squares[::-1])])
    repeats = -(-height // tile.shape[0]), -(-width // tile.shape[1]), 1
    return np.ascontiguousarray(np.tile(tile, repeats)[:height, :width])


def encode_with_threads(tokenizer, rgbs, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return [tokenizer.encode(rgb).codes for rgb in rgbs]
    finally:
        torch.set_num_threads(before)


def test_the_model_is_the_one_that_is_described(tokenizer):
    space, card = tokenizer.space, tokenizer.card
    promise = PROMISES[space.model]
    assert space.downsample_factor == promise.downsample_factor
    assert space.codebook_size == promise.codebook_size
    assert card.training_data
    assert all(entry["name"] and entry["licence"] for entry in card.training_data)
    assert card.figures


@pytest.mark.parametrize("threads", [1, 2])
def test_golden_images_have_their_codes(tokenizer, f, threads):
    with np.load(IMAGES / f"golden-{tokenizer.space.model}.npz") as golden:
        assert golden["fingerprint"] == tokenizer.space.fingerprint, "new weights? run tests/images/golden.py"
        rgbs = [image(name, f) for name in NAMES]
        for name, codes in zip(NAMES, encode_with_threads(tokenizer, rgbs, threads), strict=True):
            margins = golden[f"{name}.margins"]
            near_ties = margins < NEAR_TIE
            assert near_ties.sum() <= 1
            differ = (codes != golden[f"{name}.codes"]) & ~near_ties
            assert not differ.any(), (
                f"{name}: {differ.sum()} codes differ, their margins are {margins[differ]}"
            )


@pytest.mark.parametrize("name", NAMES)
def test_decoding_codes_is_reconstructing(tokenizer, f, name):
    rgb = image(name, f)[: 10 * f, : 7 * f]
    grid = tokenizer.encode(rgb)
    assert np.array_equal(tokenizer.decode(grid), tokenizer.reconstruct(rgb))
    images = torch.tensor(rgb)[None].permute(0, 3, 1, 2).float() / 127.5 - 1
    assert torch.equal(tokenizer.decode(tokenizer.encode(images)), tokenizer.reconstruct(images))


@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (7, 9), (250, 333), (4096, 16), (1536, 1024), pytest.param(6000, 4000, marks=pytest.mark.slow)],
)
def test_any_size_comes_back(tokenizer, f, width, height):
    rgb = mosaic(width, height)
    grid = from_code_file(to_code_file(tokenizer.encode(rgb)))
    assert grid.grid == (-(-height // f), -(-width // f))
    x_hat = tokenizer.decode_rgb8(grid)
    assert x_hat.shape == rgb.shape
    assert psnr(rgb, x_hat) > 16


def test_the_codes_of_an_image_do_not_depend_on_its_batch(tokenizer, f):
    rgbs = [image(name, f)[top : top + 96, 64:160] for name in NAMES for top in (0, 112)]
    images = torch.from_numpy(np.stack(rgbs)).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert len(images) == 8
    for rgb, one, codes in zip(rgbs, images.split(1), tokenizer.encode(images), strict=True):
        assert torch.equal(tokenizer.encode(one)[0], codes)
        assert np.array_equal(tokenizer.encode(rgb).codes, codes)


@pytest.mark.parametrize("tile_size", [40, 88, 120])
def test_codes_and_pixels_do_not_depend_on_tiles(tokenizer, tile_size):
    rgb = mosaic(497, 413)
    grid = tokenizer.encode(rgb)
    tiled = Tokenizer.load(ROOT / "weights" / tokenizer.space.model, tile_size=tile_size)
    assert tiled.encoding(rgb).num_tiles > 1
    assert tiled.encode(rgb) == grid
    assert np.array_equal(tiled.decode_rgb8(grid), tokenizer.decode_rgb8(grid))


def test_nothing_outside_a_latents_field_changes_it(tokenizer):
    rgb = mosaic(512, 512)
    field = tokenizer.encoder.reads(Span(15, 17))
    assert 0 < field.start < field.stop < 512
    inside = (slice(field.start, field.stop),) * 2
    other = 255 - rgb
    other[inside] = rgb[inside]
    images = torch.from_numpy(np.stack([rgb, other])).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        before, after = tokenizer.encoder(images)
    assert torch.equal(before[:, 15:17, 15:17], after[:, 15:17, 15:17])
    assert not torch.equal(before[:, 8], after[:, 8])


def test_nothing_outside_a_pixels_field_changes_it(tokenizer, f):
    codes = torch.from_numpy(tokenizer.encode(mosaic(32 * f, 32 * f)).codes.astype(np.int64))
    field = tokenizer.decoder.reads(Span(15 * f, 17 * f))
    assert 0 < field.start < field.stop < 32
    inside = (slice(field.start, field.stop),) * 2
    other = codes.flip(0)
    other[inside] = codes[inside]
    with torch.no_grad():
        before, after = tokenizer.decode(torch.stack([codes, other]))
    pixels = slice(15 * f, 17 * f)
    assert torch.equal(before[:, pixels, pixels], after[:, pixels, pixels])
    assert not torch.equal(before[:, 0], after[:, 0])


def test_a_crop_aligned_to_f_has_the_interior_codes_of_the_whole(tokenizer, f):
    rgb = mosaic(40 * f, 32 * f)
    whole = tokenizer.encode(rgb).codes
    crop = tokenizer.encode(rgb[3 * f :, 2 * f : 32 * f]).codes
    halo = -(tokenizer.encoder.reads(Span(0, 1)).start // f)
    inside = slice(halo, -halo)
    assert crop[inside, inside].size > 200
    assert np.array_equal(crop[inside, inside], whole[3:, 2:32][inside, inside])


@pytest.fixture(scope="module")
def kodak_codes(kodak, tokenizer):
    """Kodak's 24 images with their codes."""
    rgbs = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(kodak.glob("kodim*.png"))]
    return rgbs, [tokenizer.encode(rgb) for rgb in rgbs]


def test_kodak_comes_back_as_promised(tokenizer, kodak_codes):
    figures = [psnr(rgb, tokenizer.decode_rgb8(grid)) for rgb, grid in zip(*kodak_codes, strict=True)]
    assert np.mean(figures) >= PROMISES[tokenizer.space.model].kodak_psnr


def test_of_kodaks_codes_at_most_one_in_100_000_depends_on_the_number_of_threads(tokenizer, kodak_codes):
    rgbs, grids = kodak_codes
    other_threads = 1 if torch.get_num_threads() > 1 else 2
    others = encode_with_threads(tokenizer, rgbs, other_threads)
    num_differ = sum(int((grid.codes != codes).sum()) for grid, codes in zip(grids, others, strict=True))
    assert num_differ <= 1e-5 * sum(codes.size for codes in others)
