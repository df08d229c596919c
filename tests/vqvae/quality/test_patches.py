from collections import Counter

import numpy as np
import pytest
import torch

from vqvae.metrics import psnr
from vqvae.pixels import encode_image
from vqvae.quality.patches import VARIANCE_KEPT, fit_patch_codebook, sample_patches


class Greys:
    """Photographs of one level each, as files by key."""

    def __init__(self, levels: dict[str, int]) -> None:
        self.levels = levels
        self.keys = sorted(levels)

    def read(self, key: str) -> bytes:
        return encode_image(np.full((24, 40, 3), self.levels[key], np.uint8))


def patches_of(rgb, side):
    """All aligned patches of an image (H, W, 3): (N, P) uint8."""
    h, w = rgb.shape[0] // side, rgb.shape[1] // side
    cells = rgb.reshape(h, side, w, side, 3).swapaxes(1, 2)
    return torch.tensor(cells.reshape(h * w, -1))


def test_patches_that_are_the_codebook_come_back_exactly(cat):
    codebook = fit_patch_codebook(patches_of(cat, side=8), 17 * 16, seed=0)
    assert np.array_equal(codebook.reconstruct(cat), cat)


def test_one_code_is_the_mean_patch(cat):
    patches = patches_of(cat, side=4)
    mean = patches.float().mean(0).round().to(torch.uint8).view(4, 4, 3).numpy()
    codebook = fit_patch_codebook(patches, 1, seed=0)
    assert np.array_equal(codebook.reconstruct(cat), np.tile(mean, (32, 34, 1)))


def test_more_codes_are_nearer(cat):
    patches = patches_of(cat, side=8)
    found = [psnr(cat, fit_patch_codebook(patches, k, seed=0).reconstruct(cat)) for k in (2, 8, 32, 128)]
    assert found == sorted(found)
    assert found[-1] > found[0] + 4


def test_any_size_comes_back_in_its_size(cat):
    odd = cat[:21, :35]
    codebook = fit_patch_codebook(patches_of(cat, side=8), 64, seed=0)
    assert codebook.reconstruct(odd).shape == odd.shape
    assert np.array_equal(codebook.reconstruct(odd)[:16, :32], codebook.reconstruct(odd[:16, :32]))


def test_axes_are_orthonormal_and_no_more_than_the_variance_asks_for(cat):
    patches = patches_of(cat, side=8)
    axes = fit_patch_codebook(patches, 8, seed=0).axes
    centred = patches.float() - patches.float().mean(0)
    kept = [float((centred @ axes[:, :c]).square().sum() / centred.square().sum()) for c in (-1, None)]
    torch.testing.assert_close(axes.T @ axes, torch.eye(axes.shape[1]))
    assert kept[0] < VARIANCE_KEPT <= kept[1] + 1e-6


def test_sampled_patches_are_pieces_of_the_photographs(photographs):
    patches = sample_patches(photographs, 8, 1000, seed=0)
    assert (patches.shape, patches.dtype) == ((1000, 192), torch.uint8)
    assert len(torch.unique(patches, dim=0)) > 990


def test_sampling_is_by_source_rather_than_by_photograph():
    # five photographs of one source and one of another: weights 5 ** 0.5 and 1
    levels = {f"many__{i}.png": 10 for i in range(5)} | {"one__0.png": 200}
    patches = sample_patches(Greys(levels), 8, 1000, seed=0)
    counts = Counter(patches[:, 0].tolist())
    assert set(counts) == {10, 200}
    assert counts[10] / counts[200] == pytest.approx(5**0.5, rel=0.05)


def test_photographs_smaller_than_a_patch_are_enlarged_to_one():
    patches = sample_patches(Greys({"a.png": 7}), 32, 10, seed=0)
    assert patches.shape == (10, 3 * 32 * 32)
    assert set(patches.flatten().tolist()) == {7}


def test_seed_decides_all(photographs):
    first, again, other = (sample_patches(photographs, 8, 300, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    codebooks = [fit_patch_codebook(first, 16, seed=seed).patches for seed in (1, 1, 2)]
    assert torch.equal(codebooks[0], codebooks[1])
    assert not torch.equal(codebooks[0], codebooks[2])
