"""The facade on a tiny real model: f = 8, K = 64. The shipped weights have a module of their own.

Shapes: B batch, H W image height and width, f downsample factor, h w grid height and width, K codebook size.
"""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from vqvae import CodeGrid, CodeSpace, Tokenizer
from vqvae.errors import CodesError, ConfigError, FingerprintError, ImageError, ModelError
from vqvae.model import Span
from vqvae.pixels import encode_image

SIZES = [(1, 1), (7, 9), (250, 333), (4096, 16), (1536, 1024)]  # width, height
TILES = (8, 72, 1024)  # pixels; the first is a single cell


@pytest.fixture(scope="module")
def tokenizer(weights):
    return Tokenizer.load(weights / "tiny")


def picture(width, height, seed=0):
    """Smooth colours with noise on them, so that neighbouring codes differ."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin((a * x + b * y) / 40 + c) for a, b, c in random.uniform(-2, 2, (3, 3))]
    noise = random.integers(-30, 30, (height, width, 1))
    return (np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8)


def images_of(*rgbs):
    """RGB8 arrays of one size -> (B, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(np.stack(rgbs)).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_codes_and_pixels_are_the_same_for_any_tile_size(weights, tokenizer, width, height):
    rgb = picture(width, height)
    grid = tokenizer.encode(rgb)
    assert (grid.width, grid.height) == (width, height)
    assert grid.grid == (-(-height // 8), -(-width // 8))
    pixels = tokenizer.decode_rgb8(grid)
    assert pixels.shape == (height, width, 3)
    for tile_size in TILES if width * height < 10**5 else (200, 456):
        tiled = Tokenizer.load(weights / "tiny", tile_size=tile_size)
        assert tiled.encode(rgb) == grid
        assert np.array_equal(tiled.decode_rgb8(grid), pixels)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_decoding_codes_is_reconstructing(tokenizer, width, height):
    photo = Image.fromarray(picture(width, height))
    reconstruction = tokenizer.reconstruct(photo)
    assert reconstruction.size == (width, height)
    assert np.array_equal(reconstruction, tokenizer.decode(tokenizer.encode(photo)))


def test_the_codes_of_an_image_do_not_depend_on_its_batch(tokenizer):
    rgbs = [picture(96, 64, seed) for seed in range(8)]
    together = tokenizer.encode(images_of(*rgbs))
    assert together.shape == (8, 8, 12)
    assert together.dtype == torch.int64
    assert len(together.unique()) > 30
    for rgb, codes in zip(rgbs, together, strict=True):
        assert torch.equal(tokenizer.encode(images_of(rgb))[0], codes)
        assert np.array_equal(tokenizer.encode(rgb).codes, codes.numpy())


def test_codes_do_not_depend_on_memory_layout(tokenizer):
    images = images_of(*[picture(96, 64, seed) for seed in range(2)])
    codes = tokenizer.encode(images.contiguous())
    assert torch.equal(codes, tokenizer.encode(images.contiguous(memory_format=torch.channels_last)))
    rgb = picture(96, 64)
    assert tokenizer.encode(np.asfortranarray(rgb)) == tokenizer.encode(rgb)
    assert tokenizer.encode(rgb[::-1]) == tokenizer.encode(rgb[::-1].copy())


def test_codes_do_not_depend_on_the_number_of_threads(tokenizer):
    rgb = picture(333, 250)
    num_threads = torch.get_num_threads()
    try:
        grids = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            grids.append(tokenizer.encode(rgb))
    finally:
        torch.set_num_threads(num_threads)
    assert grids[0] == grids[1]


def test_a_crop_aligned_to_f_has_the_interior_codes_of_the_whole(tokenizer):
    rgb = picture(320, 240)
    whole = tokenizer.encode(rgb).codes
    halo = -(tokenizer.encoder.reads(Span(0, 1)).start // 8)
    rows, columns = slice(3, 25), slice(5, 37)
    crop = tokenizer.encode(rgb[8 * 3 : 8 * 25, 8 * 5 : 8 * 37]).codes
    inside = slice(halo, -halo)
    assert crop[inside, inside].size > 50
    assert np.array_equal(crop[inside, inside], whole[rows, columns][inside, inside])


def test_padding_is_by_the_edge_at_right_and_bottom(tokenizer):
    rgb = picture(21, 13)
    padded = np.pad(rgb, ((0, 3), (0, 3), (0, 0)), mode="edge")
    assert np.array_equal(tokenizer.encode(rgb).codes, tokenizer.encode(padded).codes)
    reconstruction = np.asarray(tokenizer.reconstruct(padded))
    assert np.array_equal(tokenizer.reconstruct(rgb), reconstruction[:13, :21])


def test_an_image_is_the_same_by_any_way_in(tokenizer, tmp_path):
    rgb = picture(40, 30)
    data = encode_image(rgb)
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    grid = tokenizer.encode(rgb)
    assert grid == tokenizer.encode(data) == tokenizer.encode(path) == tokenizer.encode(str(path))
    assert grid == tokenizer.encode(Image.fromarray(rgb)) == tokenizer.encode(Image.open(io.BytesIO(data)))
    assert tokenizer.encode([rgb, data, path]) == [grid] * 3
    assert tokenizer.encode((path,)) == [grid]
    assert tokenizer.encode([]) == []


def test_lists_and_images_come_back_as_they_went_in(tokenizer):
    rgbs = [picture(40, 30), picture(9, 50)]
    grids = tokenizer.encode(rgbs)
    images = tokenizer.decode(grids)
    assert [image.size for image in images] == [(40, 30), (9, 50)]
    assert all(np.array_equal(a, b) for a, b in zip(images, tokenizer.reconstruct(rgbs), strict=True))


def test_tensors_and_images_agree(tokenizer):
    rgb = picture(96, 64)
    images = images_of(rgb)
    codes = tokenizer.encode(images)
    x_hat = tokenizer.decode(codes)
    assert x_hat.shape == images.shape
    assert x_hat.dtype == torch.float32
    assert x_hat.abs().max() <= 1
    assert torch.equal(x_hat, tokenizer.reconstruct(images))
    pixels = ((x_hat[0].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8)
    assert np.array_equal(pixels, tokenizer.decode_rgb8(tokenizer.encode(rgb)))


def test_lookup_gives_the_code_vectors(tokenizer):
    codes = torch.tensor([[[0, 63], [5, 5]]])
    z_q = tokenizer.lookup(codes)
    assert z_q.shape == (1, 4, 2, 2)
    assert torch.equal(z_q[0, :, 0, 1], tokenizer.quantizer.codebook[63])
    assert torch.equal(tokenizer.decode(codes), tokenizer.decode_latents(z_q).clamp(-1, 1))


def test_gradients_pass_through_decoding(tokenizer):
    z_q = tokenizer.lookup(
        torch.randint(64, (1, 3, 4), generator=torch.Generator().manual_seed(0))
    ).requires_grad_()
    direction = torch.randn(z_q.shape, generator=torch.Generator().manual_seed(1))
    loss = tokenizer.decode_latents(z_q).square().sum()
    (gradient,) = torch.autograd.grad(loss, z_q)
    assert (gradient != 0).all()
    with torch.no_grad():  # along a direction, what autograd says is what a small step does
        step = 1e-3
        ahead, behind = (
            tokenizer.decode_latents(z_q + s * direction).double().square().sum() for s in (step, -step)
        )
    slope = (ahead - behind) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum().double(), slope, rtol=0.01, atol=0)


@pytest.mark.parametrize(("shape", "grid"), [((0, 3, 16, 16), (0, 2, 2)), ((2, 3, 0, 16), (2, 0, 2))])
def test_no_images_have_no_codes(tokenizer, shape, grid):
    codes = tokenizer.encode(torch.zeros(shape))
    assert codes.shape == grid
    assert codes.dtype == torch.int64


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            torch.zeros(3, 16, 16),
            r"images must be \(B, 3, H, W\) with H and W multiples of 8, got \(3, 16, 16\)",
        ),
        (torch.zeros(1, 1, 16, 16), r"images must be \(B, 3, H, W\)"),
        (torch.zeros(1, 3, 16, 17), r"multiples of 8, got \(1, 3, 16, 17\); pad them"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), "images must be float32 in .-1, 1., got torch.uint8"),
        (torch.full((1, 3, 16, 16), 255.0), r"images must lie in \[-1, 1\], got values from 255 to 255"),
        (
            torch.full((1, 3, 16, 16), float("nan")),
            r"images must lie in \[-1, 1\], got values from nan to nan",
        ),
    ],
)
def test_tensors_that_are_no_images_are_rejected(tokenizer, images, message):
    with pytest.raises(ImageError, match=message):
        tokenizer.encode(images)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (
            torch.zeros(2, 2, dtype=torch.int64),
            r"codes must be int64 \(B, h, w\), got torch.int64 of shape \(2, 2\)",
        ),
        (torch.zeros(1, 2, 2, dtype=torch.int32), r"codes must be int64 \(B, h, w\), got torch.int32"),
        (torch.tensor([[[3, 64]]]), r"codes must lie in \[0, 64\), got values from 3 to 64"),
        (torch.tensor([[[-1, 6]]]), r"codes must lie in \[0, 64\), got values from -1 to 6"),
    ],
)
def test_tensors_that_are_no_codes_are_rejected(tokenizer, codes, message):
    with pytest.raises(CodesError, match=message):
        tokenizer.decode(codes)


def test_no_codes_have_no_images(tokenizer):
    assert tokenizer.lookup(torch.zeros(0, 2, 2, dtype=torch.int64)).shape == (0, 4, 2, 2)


def test_what_is_no_image_is_rejected(tokenizer, tmp_path):
    with pytest.raises(ImageError, match="an image is a PIL image, an RGB8 array, a path or bytes, got int"):
        tokenizer.encode(3)
    with pytest.raises(ImageError, match=r"nowhere.png cannot be read: No such file"):
        tokenizer.encode(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="uint8"):
        tokenizer.encode(np.zeros((4, 4, 3)))
    with pytest.raises(ImageError):
        tokenizer.encode(b"no image")


def test_codes_of_another_model_are_not_decoded(weights, tokenizer):
    other = Tokenizer.load(weights / "other")
    grid = other.encode(picture(16, 16))
    with pytest.raises(
        FingerprintError, match=f"{other.space.short}, this model has {tokenizer.space.short}"
    ):
        tokenizer.decode(grid)
    same_space = CodeSpace("renamed", tokenizer.space.fingerprint, 64, 8)
    tokenizer.decode(CodeGrid(grid.codes, 16, 16, same_space))  # a name is a label


def test_codes_that_claim_another_shape_of_space_are_not_decoded(tokenizer):
    claimed = CodeSpace("tiny", tokenizer.space.fingerprint, 128, 8)
    with pytest.raises(CodesError, match="have K = 64 and f = 8, got K = 128 and f = 8"):
        tokenizer.decode(CodeGrid(np.zeros((2, 2), np.uint16), 16, 16, claimed))


def test_codes_of_another_depth_are_not_decoded(tokenizer):
    grid = CodeGrid(np.zeros((2, 2, 3), np.uint16), 16, 16, tokenizer.space)
    with pytest.raises(CodesError, match="have depth 1, got depth 3"):
        tokenizer.decode(grid)


def test_parts_that_were_left_on_disk_are_named(weights, tokenizer):
    rgb = picture(40, 30)
    grid = tokenizer.encode(rgb)
    encoder = Tokenizer.load(weights / "tiny", parts="encoder")
    decoder = Tokenizer.load(weights / "tiny", parts="decoder")
    assert encoder.encode(rgb) == grid
    assert np.array_equal(decoder.decode_rgb8(grid), tokenizer.decode_rgb8(grid))
    with pytest.raises(ModelError, match=r"was loaded without its decoder; load it with parts='all'"):
        encoder.decode(grid)
    with pytest.raises(ModelError, match=r"was loaded without its encoder; load it with parts='all'"):
        decoder.encode(rgb)


def test_a_tile_has_at_least_a_pixel(weights):
    with pytest.raises(ConfigError, match="tile_size must be at least 1 pixel, got 0"):
        Tokenizer.load(weights / "tiny", tile_size=0)


def test_tiles_run_in_any_order(weights):
    tokenizer = Tokenizer.load(weights / "tiny", tile_size=24)
    rgb = picture(150, 110)
    grid = tokenizer.encode_rgb8(rgb)
    jobs = tokenizer.encoding(rgb), tokenizer.decoding(grid)
    for job in jobs:
        assert job.num_tiles > 4
        for i in np.random.default_rng(0).permutation(job.num_tiles):
            job.run(int(i))
    assert jobs[0].result() == grid
    assert np.array_equal(jobs[1].result(), tokenizer.decode_rgb8(grid))


def test_a_name_is_loaded_from_the_environments_folder(weights, monkeypatch):
    monkeypatch.setenv("VQVAE_WEIGHTS", str(weights))
    tokenizer = Tokenizer.load("tiny")
    assert tokenizer.card.training_data == [{"name": "noise", "licence": "CC0-1.0"}]
    assert tokenizer.decoder_name == "faithful"
    assert repr(tokenizer) == f"Tokenizer({tokenizer.space.short}, f=8, K=64, cpu)"


def test_moving_a_tokenizer_moves_all_of_it(weights):
    tokenizer = Tokenizer.load(weights / "tiny").to("meta")  # which every machine has beside cpu
    assert tokenizer.device.type == "meta"
    assert {p.device.type for part in (tokenizer.encoder, tokenizer.decoder) for p in part.parameters()} == {
        "meta"
    }


def test_a_patch_is_the_middle_of_a_large_grid_of_its_code(tokenizer):
    patches = tokenizer.code_patches()
    assert patches.shape == (64, 8, 8, 3)
    assert len(np.unique(patches.reshape(64, -1), axis=0)) > 32
    halo = tokenizer.decoder_halo
    middle = slice(halo * 8, halo * 8 + 8)
    for code in (0, 17, 63):
        grid = np.full((2 * halo + 1, 2 * halo + 1), code, np.uint16)
        side = 8 * len(grid)
        whole = tokenizer.decode_rgb8(CodeGrid(grid, side, side, tokenizer.space))
        assert np.abs(whole[middle, middle].astype(int) - patches[code]).max() <= 1  # rounding


def test_patches_do_not_depend_on_how_many_are_made_at_a_time(weights, tokenizer):
    job = Tokenizer.load(weights / "tiny", tile_size=40).patching()
    assert job.num_tiles == 3  # of 25 codes, the last of 14
    for i in reversed(range(job.num_tiles)):
        job.run(i)
    assert np.abs(job.result().astype(int) - tokenizer.code_patches()).max() <= 1  # rounding


def test_making_patches_leaves_the_decoder_as_it_is(tokenizer):
    grid = tokenizer.encode(picture(96, 64))
    before, job = tokenizer.decode_rgb8(grid), tokenizer.patching()
    job.run(0)
    assert np.array_equal(tokenizer.decode_rgb8(grid), before)


def test_code_vectors_are_the_codebook(tokenizer):
    vectors = tokenizer.code_vectors()
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, tokenizer.quantizer.codebook.numpy())
    vectors[:] = 0
    assert tokenizer.code_vectors().any()


def test_no_code_beyond_the_halo_reaches_a_pixel(tokenizer):
    halo, random = tokenizer.decoder_halo, np.random.default_rng(0)
    side = 2 * halo + 3
    codes = random.integers(64, size=(side, side))
    changed = random.integers(64, size=(side, side))
    changed[1:-1, 1:-1] = codes[1:-1, 1:-1]
    first, second = (
        tokenizer.decode_rgb8(CodeGrid(grid, 8 * side, 8 * side, tokenizer.space))
        for grid in (codes, changed)
    )
    middle = slice(8 * (halo + 1), 8 * (halo + 2))
    assert np.array_equal(first[middle, middle], second[middle, middle])
    assert not np.array_equal(first, second)


def test_a_models_decoders_share_its_encoder_and_codebook(two_decoders):
    faithful, vivid = Tokenizer.load_decoders(two_decoders)
    assert (faithful.decoder_name, vivid.decoder_name) == ("faithful", "vivid")
    assert faithful.encoder is vivid.encoder
    assert faithful.quantizer is vivid.quantizer
    grid = faithful.encode(np.full((16, 24, 3), 99, np.uint8))
    for each in (faithful, vivid):
        alone = Tokenizer.load(two_decoders, decoder=each.decoder_name)
        assert np.array_equal(each.decode_rgb8(grid), alone.decode_rgb8(grid))
