"""Reconstruction losses.

Shapes: B batch, H W image height and width.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]

PHOTOGRAPH_VARIANCE = 0.25  # of pixels in [-1, 1] over the corpus: an L2 loss of 1 says nothing was learnt


def l2(x_hat: Tensor, images: Tensor) -> Tensor:
    """Mean squared error over the variance of photographs; both (B, 3, H, W)."""
    return F.mse_loss(x_hat.float(), images) / PHOTOGRAPH_VARIANCE


RECONSTRUCTION: dict[str, Loss] = {"l2": l2}
