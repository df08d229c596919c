"""The floor: what the plainest vector quantizer comes to, k-means on patches of pixels.

A model with one of K codes for S x S pixels earns nothing unless it beats a codebook of K patches of that
size, found by k-means on the photographs that the model was trained on.

Patches are compared by their leading principal components: that leaves out a fiftieth of the variance, raises
the floor by about 0.04 dB and makes the search many times faster. A code stands for the mean of the whole
patches that fell to it.

Shapes: N patches, S side of a patch, P = 3*S*S numbers a patch, C components, K codebook size.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vqvae.pixels import RGB8, decode_image, pad_to_multiple
from vqvae.quantizers import kmeans, nearest_codes
from vqvae.sources import Source, group_of

NUM_PATCHES = 2**18  # 64 for each of 4096 codes
ITERATIONS = 10  # twice as many gain a few hundredths of a dB
VARIANCE_KEPT = 0.98  # by the components; what k-means itself leaves out is five times the rest and more
MIN_SCALE = 0.4  # a photograph is shrunk by a factor of [MIN_SCALE, 1], and ...
BALANCE = 0.5  # ... one of n of its source has weight n ** (BALANCE - 1): both as in training
AT_ONCE = 2**14  # patches held as floats at a time


@dataclass(frozen=True, slots=True)
class PatchCodebook:
    """K patches, and how to find the nearest."""

    side: int  # S
    patches: Tensor  # (K, P) float32 in [0, 255]
    mean: Tensor  # (P,) of all patches
    axes: Tensor  # (P, C) the leading principal axes
    centres: Tensor  # (K, C) where k-means ended, along the axes

    def nearest_codes(self, patches: Tensor) -> Tensor:
        """(N, P) -> (N,) int64."""
        return nearest_codes((patches - self.mean) @ self.axes, self.centres)

    def reconstruct(self, rgb: RGB8) -> RGB8:
        """Every patch of an image (H, W, 3) replaced by the one that its code stands for."""
        height, width = rgb.shape[:2]
        padded = pad_to_multiple(rgb, self.side)
        h, w = padded.shape[0] // self.side, padded.shape[1] // self.side
        cells = padded.reshape(h, self.side, w, self.side, 3).swapaxes(1, 2)  # (h, w, S, S, 3)
        patches = torch.from_numpy(cells.reshape(h * w, -1)).float()
        chosen = self.patches[self.nearest_codes(patches)].round().clamp(0, 255).to(torch.uint8).numpy()
        cells = chosen.reshape(h, w, self.side, self.side, 3).swapaxes(1, 2)
        return np.ascontiguousarray(cells.reshape(padded.shape)[:height, :width])


def sample_patches(
    source: Source,
    side: int,
    num_patches: int,
    *,
    seed: int,
    on_photograph: Callable[[], None] = lambda: None,
) -> Tensor:
    """Patches of all photographs at random scales and places: (N, P) uint8."""
    random = np.random.default_rng(seed)
    sizes = Counter(group_of(key) for key in source.keys)
    weights = np.array([sizes[group_of(key)] ** (BALANCE - 1) for key in source.keys])
    patches = []
    for key, share in zip(source.keys, weights / weights.sum(), strict=True):
        image = Image.fromarray(decode_image(source.read(key)))
        scale = random.uniform(MIN_SCALE, 1)
        width, height = (max(side, round(scale * length)) for length in image.size)
        rgb = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
        windows = np.lib.stride_tricks.sliding_window_view(rgb, (side, side, 3))[:, :, 0]
        tops, lefts = (
            random.integers(length, size=math.ceil(share * num_patches)) for length in windows.shape[:2]
        )
        patches.append(windows[tops, lefts].reshape(len(tops), -1))
        on_photograph()
    rows = np.concatenate(patches)
    return torch.from_numpy(rows[random.permutation(len(rows))[:num_patches]])


@torch.no_grad()
def fit_patch_codebook(patches: Tensor, codebook_size: int, *, seed: int) -> PatchCodebook:
    """K-means on patches (N, P) uint8 of S x S pixels."""
    mean = patches.sum(0).float() / len(patches)
    axes = _leading_axes(patches, mean)
    components = torch.cat([(part.float() - mean) @ axes for part in torch.split(patches, AT_ONCE)])
    generator = torch.Generator().manual_seed(seed)
    centres = kmeans(components, codebook_size, generator=generator, iterations=ITERATIONS)
    codes = nearest_codes(components, centres)
    counts = torch.bincount(codes, minlength=codebook_size)[:, None]
    sums = torch.zeros(codebook_size, patches.shape[1])
    for part, fell_to in zip(torch.split(patches, AT_ONCE), torch.split(codes, AT_ONCE), strict=True):
        sums.index_add_(0, fell_to, part.float())
    unused = centres @ axes.T + mean  # a cluster that the last step left empty
    whole = torch.where(counts > 0, sums / counts.clamp(min=1), unused)
    return PatchCodebook(math.isqrt(patches.shape[1] // 3), whole, mean, axes, centres)


def _leading_axes(patches: Tensor, mean: Tensor) -> Tensor:
    """The principal axes that keep VARIANCE_KEPT: (N, P) and (P,) -> (P, C)."""
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for part in torch.split(patches, AT_ONCE):
        centred = part.double() - mean
        covariance += centred.T @ centred
    variances, axes = torch.linalg.eigh(covariance)  # from the smallest up
    kept = variances.flip(0).cumsum(0) / variances.sum()
    num_axes = min(int((kept < VARIANCE_KEPT).sum()) + 1, len(mean))
    leading: Tensor = axes.flip(1)[:, :num_axes].float()
    return leading
