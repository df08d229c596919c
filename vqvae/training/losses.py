"""Reconstruction losses.

Each is divided by what it is where nothing was learnt, so that one commitment weight serves them all.
Shapes: B batch, H W image height and width.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]

# Of pixels in [-1, 1] over the corpus, about their mean
PHOTOGRAPH_VARIANCE = 0.25
PHOTOGRAPH_DEVIATION = 0.42
CHARBONNIER_WIDTH = 0.05  # errors far below it count by their square, far above it by their size
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, finest first
C1, C2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # of SSIM, for a range of 2
GAUSSIAN = [math.exp(-0.5 * ((tap - 5) / 1.5) ** 2) for tap in range(11)]
GAUSSIAN = [tap / sum(GAUSSIAN) for tap in GAUSSIAN]
GRID_FLOOR = 1e-8  # of a pattern's mean square: 0.01 / 255, far below what can be seen
ROOT_FLOOR = 2e-5  # of a crop's mean squared error, below which its root grows no steeper: 0.6 / 255


def l2(x_hat: Tensor, images: Tensor) -> Tensor:
    """Mean squared error over the variance of photographs; both (B, 3, H, W)."""
    return F.mse_loss(x_hat.to(images.dtype), images) / PHOTOGRAPH_VARIANCE


def l1(x_hat: Tensor, images: Tensor) -> Tensor:
    """Mean absolute error over the mean deviation of photographs; both (B, 3, H, W)."""
    return F.l1_loss(x_hat.to(images.dtype), images) / PHOTOGRAPH_DEVIATION


def charbonnier(x_hat: Tensor, images: Tensor) -> Tensor:
    """sqrt(error^2 + width^2) - width, a smooth L1, scaled like it; both (B, 3, H, W).

    Charbonnier et al., 1994 (https://doi.org/10.1109/ICIP.1994.413553).
    """
    squared: Tensor = (x_hat.to(images.dtype) - images).square()
    return ((squared + CHARBONNIER_WIDTH**2).sqrt() - CHARBONNIER_WIDTH).mean() / PHOTOGRAPH_DEVIATION


def root_l2(x_hat: Tensor, images: Tensor) -> Tensor:
    """Mean over the crops of the root of their mean squared error: between L2 and the PSNR's logarithm."""
    squared: Tensor = (x_hat.to(images.dtype) - images).square().mean((1, 2, 3))
    return ((squared + ROOT_FLOOR).sqrt() - math.sqrt(ROOT_FLOOR)).mean() / math.sqrt(PHOTOGRAPH_VARIANCE)


def grid_loss(x_hat: Tensor, images: Tensor, cell: int) -> Tensor:
    """Mean over the crops of the root of the squared pattern that repeats every `cell` pixels in the error.

    Both (B, 3, H, W), with sides that are multiples of the cell; divided as `root_l2`.
    """
    num_crops, channels, height, width = images.shape
    cells = (x_hat.to(images.dtype) - images).view(
        num_crops, channels, height // cell, cell, width // cell, cell
    )
    pattern = cells.mean((2, 4))
    pattern = pattern - pattern.mean((2, 3), keepdim=True)
    squared: Tensor = pattern.square().mean((1, 2, 3))
    return (squared + GRID_FLOOR).sqrt().mean() / math.sqrt(PHOTOGRAPH_VARIANCE)


def ms_ssim_loss(x_hat: Tensor, images: Tensor) -> Tensor:
    """1 - MS-SSIM, at as many of its five scales as there is room for; both (B, 3, H, W), sides from 11.

    Wang et al., 2003 (https://doi.org/10.1109/ACSSC.2003.1292216).
    """
    x, y = x_hat.to(images.dtype), images
    num_scales = min(len(SCALE_WEIGHTS), 1 + int(math.log2(min(x.shape[2:]) / len(GAUSSIAN))))
    weights = torch.tensor(SCALE_WEIGHTS[:num_scales], device=x.device)
    similarities = []
    for scale in range(num_scales):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        luminance, structure = _similarity(x, y)
        similarities.append(luminance * structure if scale == num_scales - 1 else structure)
    means = torch.stack([similarity.mean((1, 2, 3)) for similarity in similarities])  # (scales, B)
    # a structure may be negative where little was learnt, and has no root then
    return 1 - means.clamp(min=1e-3).pow((weights / weights.sum())[:, None]).prod(0).mean()


def _similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM's factors, luminance and contrast with structure, of every window: (B, 3, H - 10, W - 10)."""
    taps = torch.tensor(GAUSSIAN, device=x.device)
    moments = torch.cat([x, y, x * x, y * y, x * y])
    planes = moments.flatten(0, 1)[:, None]
    planes = F.conv2d(F.conv2d(planes, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
    mean_x, mean_y, xx, yy, xy = planes.view(*moments.shape[:2], *planes.shape[2:]).chunk(5)
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * (xy - mean_x * mean_y) + C2) / (xx - mean_x**2 + yy - mean_y**2 + C2)
    return luminance, structure


RECONSTRUCTION: dict[str, Loss] = {"l2": l2, "l1": l1, "charbonnier": charbonnier, "root_l2": root_l2}
