import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vqvae.errors import DataError, ImageError
from vqvae.metrics import bits_per_pixel, entropy_bits, mean, ms_ssim, perplexity, psnr, ssim, usage

histograms = st.lists(st.integers(0, 1000), min_size=1, max_size=40).filter(any)


def by_scikit_image(a, b):
    return structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=2
    )


def by_torch(a, b):
    """MS-SSIM of two images (H, W, 3) by the paper's equations, as convolutions over all channels."""
    tap = torch.exp(-torch.linspace(-5, 5, 11, dtype=torch.float64).square() / 4.5)
    window = (tap[:, None] * tap / tap.sum() ** 2).expand(3, 1, 11, 11)
    x, y = (torch.tensor(image).permute(2, 0, 1)[None].double() / 255 for image in (a, b))
    result = torch.ones(3, dtype=torch.float64)
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        ex, ey, exx, eyy, exy = (F.conv2d(v, window, groups=3) for v in (x, y, x * x, y * y, x * y))
        similarity = (2 * (exy - ex * ey) + 0.03**2) / (exx - ex**2 + eyy - ey**2 + 0.03**2)
        if scale == 4:
            similarity = similarity * (2 * ex * ey + 0.01**2) / (ex**2 + ey**2 + 0.01**2)
        result = result * similarity.mean((0, 2, 3)).clamp(min=0) ** weight
    return float(result.mean())


def noisy(image, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(11, 11), (11, 40), (33, 12), (64, 96)])
def test_ssim_is_scikit_images_on_noise(size):
    a, b = np.random.default_rng(1).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    assert ssim(a, b) == pytest.approx(by_scikit_image(a, b), abs=1e-9)


@pytest.mark.parametrize("sigma", [1, 8, 40])
def test_ssim_and_psnr_are_scikit_images_on_a_photograph(sigma):
    cat = data.chelsea()
    other = noisy(cat, sigma)
    assert ssim(cat, other) == pytest.approx(by_scikit_image(cat, other), abs=1e-9)
    assert psnr(cat, other) == pytest.approx(peak_signal_noise_ratio(cat, other, data_range=255), abs=1e-9)


def test_ssim_of_flat_images_is_scikit_images():
    a, b = np.full((2, 16, 16, 3), [[[[100]]], [[[200]]]], dtype=np.uint8)
    # No variance: only the luminance term, (2ab + C1) / (a^2 + b^2 + C1) with C1 = 2.55^2.
    assert ssim(a, b) == pytest.approx((40000 + 6.5025) / (50000 + 6.5025), abs=1e-9)
    assert ssim(a, b) == pytest.approx(by_scikit_image(a, b), abs=1e-9)


def test_an_image_is_wholly_similar_to_itself():
    cat = data.chelsea()
    assert ssim(cat, cat) == pytest.approx(1, abs=1e-12)
    assert psnr(cat, cat) is None


def test_ssim_is_undefined_under_eleven_pixels():
    assert ssim(np.zeros((10, 50, 3), np.uint8), np.zeros((10, 50, 3), np.uint8)) is None
    assert ssim(np.zeros((50, 10, 3), np.uint8), np.ones((50, 10, 3), np.uint8)) is None


@pytest.mark.parametrize("size", [(176, 176), (179, 203)])
@pytest.mark.parametrize("sigma", [2, 30])
def test_ms_ssim_is_that_of_the_paper(size, sigma):
    cat = data.chelsea()[: size[0], : size[1]]
    assert ms_ssim(cat, noisy(cat, sigma)) == pytest.approx(by_torch(cat, noisy(cat, sigma)), abs=1e-9)


def test_ms_ssim_of_unrelated_images_is_that_of_the_paper():
    a, b = np.random.default_rng(1).integers(0, 256, (2, 180, 180, 3), dtype=np.uint8)
    assert ms_ssim(a, b) == pytest.approx(by_torch(a, b), abs=1e-9)


def test_ms_ssim_falls_as_noise_grows_and_minds_fine_noise_less_than_ssim():
    cat = data.chelsea()
    found = [ms_ssim(cat, noisy(cat, sigma)) for sigma in (0, 2, 8, 40)]
    assert found[0] == pytest.approx(1, abs=1e-12)
    assert found == sorted(found, reverse=True)
    assert found[-1] > ssim(cat, noisy(cat, 40)) + 0.2


def test_ms_ssim_of_flat_images_is_their_luminance_to_the_last_weight():
    a, b = np.full((2, 176, 176, 3), [[[[100]]], [[[200]]]], dtype=np.uint8)
    assert ms_ssim(a, b) == pytest.approx(((40000 + 6.5025) / (50000 + 6.5025)) ** 0.1333, abs=1e-9)


def test_ms_ssim_of_an_image_and_its_negative_is_nothing():
    cat = data.chelsea()
    assert ms_ssim(cat, 255 - cat) == 0


def test_ms_ssim_is_undefined_under_176_pixels():
    assert ms_ssim(np.zeros((175, 300, 3), np.uint8), np.zeros((175, 300, 3), np.uint8)) is None
    assert ms_ssim(np.zeros((300, 175, 3), np.uint8), np.ones((300, 175, 3), np.uint8)) is None


def test_psnr_by_hand():
    a = np.zeros((2, 2, 3), np.uint8)
    assert psnr(a, a + 1) == pytest.approx(20 * math.log10(255))
    assert psnr(a, a + 255) == pytest.approx(0)


@given(pair=st_numpy.arrays(np.uint8, (2, 12, 13, 3)))
def test_psnr_and_ssim_do_not_care_which_image_is_the_original(pair):
    a, b = pair
    assert psnr(a, b) == psnr(b, a)
    assert ssim(a, b) == pytest.approx(ssim(b, a), abs=1e-12)


def test_images_of_two_sizes_are_not_compared():
    with pytest.raises(ImageError, match="one size, got 4x5 and 5x4"):
        psnr(np.zeros((5, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(ImageError, match="float64"):
        ssim(np.zeros((20, 20, 3)), np.zeros((20, 20, 3)))


def test_usage_entropy_and_perplexity_by_hand():
    counts = np.array([2, 0, 1, 1])  # 1/2 at 1 bit, twice 1/4 at 2 bits
    assert usage(counts) == 0.75
    assert entropy_bits(counts) == pytest.approx(1.5)
    assert perplexity(counts) == pytest.approx(2**1.5)


@pytest.mark.parametrize("k", [1, 2, 512, 4096])
def test_equal_use_of_all_codes_is_the_most(k):
    assert usage(np.full(k, 7)) == 1
    assert entropy_bits(np.full(k, 7)) == pytest.approx(math.log2(k))
    assert perplexity(np.full(k, 7)) == pytest.approx(k)


def test_one_code_alone_has_no_entropy():
    counts = np.eye(1, 4096, 17)[0]
    assert str(entropy_bits(counts)) == "0.0"
    assert perplexity(counts) == 1
    assert usage(counts) == 1 / 4096


@given(counts=histograms)
def test_perplexity_is_e_to_the_entropy_in_nats_and_never_more_than_the_codes_used(counts):
    shares = np.array([count for count in counts if count]) / sum(counts)
    assert perplexity(counts) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()))
    assert perplexity(counts) <= usage(counts) * len(counts) * (1 + 1e-9)


def test_nothing_counted_has_no_entropy():
    assert usage([0, 0]) == 0
    with pytest.raises(DataError, match="all zero"):
        entropy_bits([0, 0])


def test_bits_per_pixel_by_hand():
    assert bits_per_pixel(64, 96, 1, 4096, width=768, height=512) == 12 / 64
    assert bits_per_pixel(1, 1, 1, 4096, width=1, height=1) == 12
    assert bits_per_pixel(2, 2, 3, 512, width=9, height=9) == pytest.approx(4 * 3 * 9 / 81)


def test_mean_is_of_what_is_defined():
    assert mean([1, None, 3]) == 2
    assert mean([None]) is None
    assert mean([]) is None
