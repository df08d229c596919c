"""How good a reconstruction is and how well a codebook is used, as plain functions of arrays.

Shapes: H, W image height and width, K codebook size. Images are RGB8, uint8 (H, W, 3).
"""

import math
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vqvae.errors import DataError, ImageError
from vqvae.pixels import RGB8, check_rgb8

Plane: TypeAlias = npt.NDArray[np.uint8]  # one channel (H, W)
Plane64: TypeAlias = npt.NDArray[np.float64]

_PEAK = 255

# SSIM by Wang et al., 2004 (https://doi.org/10.1109/TIP.2003.819861): an 11-tap Gaussian of sigma 1.5 and
# the constants C1 and C2.
_WINDOW = 11
_GAUSSIAN = np.exp(-0.5 * ((np.arange(_WINDOW) - _WINDOW // 2) / 1.5) ** 2)
_GAUSSIAN /= _GAUSSIAN.sum()
_C1 = (0.01 * _PEAK) ** 2
_C2 = (0.03 * _PEAK) ** 2

# MS-SSIM by Wang, Simoncelli and Bovik, 2003 (https://doi.org/10.1109/ACSSC.2003.1292216): the weights of the
# five scales, finest first. The coarsest still holds a window.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_MULTI_SCALE_SIDE = _WINDOW * 2 ** (len(_SCALE_WEIGHTS) - 1)  # 176


def psnr(a: RGB8, b: RGB8) -> float | None:
    """Peak signal-to-noise ratio in dB over all pixels and channels; None where the images are equal."""
    check_pair(a, b)
    squared_error = np.mean((a.astype(np.float64) - b) ** 2)
    return float(10 * np.log10(_PEAK**2 / squared_error)) if squared_error else None


def ssim(a: RGB8, b: RGB8) -> float | None:
    """Mean structural similarity over channels and windows in the image; None where a side is under 11.

    Equal to scikit-image's structural_similarity with gaussian_weights, sigma 1.5, use_sample_covariance
    False, data_range 255 and channel_axis 2.
    """
    check_pair(a, b)
    if min(a.shape[:2]) < _WINDOW:
        return None
    return float(np.mean([_ssim_of_channel(a[..., c], b[..., c]) for c in range(3)]))


def ms_ssim(a: RGB8, b: RGB8) -> float | None:
    """Multi-scale structural similarity, a mean over channels; None where a side is under 176.

    From one scale to the next, each 2x2 pixels become their mean; an odd last row or column is left out.
    """
    check_pair(a, b)
    if min(a.shape[:2]) < _MULTI_SCALE_SIDE:
        return None
    return float(np.mean([_ms_ssim_of_channel(a[..., c], b[..., c]) for c in range(3)]))


def usage(counts: npt.ArrayLike) -> float:
    """Share of the codebook that was used at least once, in [0, 1]; counts (K,)."""
    return float(np.mean(np.asarray(counts) > 0))


def entropy_bits(counts: npt.ArrayLike) -> float:
    """Empirical entropy in bits a code, in [0, log2 K]; counts (K,), DataError where they hold no code."""
    counts = np.asarray(counts, dtype=np.float64)
    total = counts.sum()
    if total == 0:
        raise DataError("entropy is of codes that were counted; the counts are all zero")
    shares = counts[counts > 0] / total
    return abs(float(np.sum(shares * np.log2(shares))))  # abs, not minus: one code alone gives 0.0, not -0.0


def perplexity(counts: npt.ArrayLike) -> float:
    """Number of equally used codes of the same entropy, in [1, K]; counts (K,)."""
    return float(2 ** entropy_bits(counts))


def bits_per_pixel(
    grid_h: int, grid_w: int, depth: int, codebook_size: int, *, width: int, height: int
) -> float:
    """Raw bits of a code grid for each pixel of the image's true size; depth is 1 but for residual models."""
    return grid_h * grid_w * depth * math.log2(codebook_size) / (width * height)


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the figures that are defined; None where none is."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def check_pair(a: RGB8, b: RGB8) -> None:
    """ImageError unless both are RGB8 arrays of one size."""
    if check_rgb8(a).shape != check_rgb8(b).shape:
        sizes = " and ".join(f"{image.shape[1]}x{image.shape[0]}" for image in (a, b))
        raise ImageError(f"images to compare must be of one size, got {sizes}")


def _ssim_of_channel(a: Plane, b: Plane) -> float:
    luminance, structure = _similarity(a.astype(np.float64), b.astype(np.float64))
    return float(np.mean(luminance * structure))


def _ms_ssim_of_channel(a: Plane, b: Plane) -> float:
    """Structure of every scale, and of the coarsest the luminance too, to the scales' weights."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    product = 1.0
    for weight in _SCALE_WEIGHTS[:-1]:
        # anticorrelated planes have a mean below 0, which has no power of this kind: no similarity
        product *= max(0.0, float(np.mean(_similarity(x, y)[1]))) ** weight
        x, y = _halve(x), _halve(y)
    luminance, structure = _similarity(x, y)
    return float(product * max(0.0, float(np.mean(luminance * structure))) ** _SCALE_WEIGHTS[-1])


def _similarity(x: Plane64, y: Plane64) -> tuple[Plane64, Plane64]:
    """Luminance and structure of every window in the plane: two of (H, W) -> two of (H - 10, W - 10)."""
    mean_x, mean_y = _smooth(x), _smooth(y)
    variance_x = _smooth(x * x) - mean_x * mean_x
    variance_y = _smooth(y * y) - mean_y * mean_y
    covariance = _smooth(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return luminance, structure


def _halve(plane: Plane64) -> Plane64:
    """Means of 2x2 pixels: (H, W) -> (H // 2, W // 2)."""
    height, width = (side // 2 * 2 for side in plane.shape)
    means: Plane64 = plane[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return means


def _smooth(plane: Plane64) -> Plane64:
    """Gaussian means of the windows that lie in the plane: (H, W) -> (H - 10, W - 10)."""
    rows = np.lib.stride_tricks.sliding_window_view(plane, _WINDOW, axis=0) @ _GAUSSIAN
    means: Plane64 = np.lib.stride_tricks.sliding_window_view(rows, _WINDOW, axis=1) @ _GAUSSIAN
    return means
