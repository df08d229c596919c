"""Endless flat images: one colour on a plane without a border, which should come back as flat as it went.

Where the plane closes on itself f x f pixels are such an image whole, however far the network reads: what is
not flat in what comes back is the decoder's own pattern. So one costs next to nothing, and a step sees many.
Shapes: B batch, H W image height and width, f downsample factor.
"""

import torch
from torch import Tensor

from vqvae.training.losses import root_l2

GREYS = 0.25  # share of the images that are grey, which random colours hardly ever are


def flat_images(num_images: int, side: int, generator: torch.Generator) -> Tensor:
    """Images (B, 3, side, side) in [-1, 1] of one random colour each, some of them grey."""
    colours = 2 * torch.rand(num_images, 3, generator=generator) - 1
    num_greys = int(GREYS * num_images)
    colours[:num_greys] = colours[:num_greys, :1]
    images = colours[:, :, None, None].expand(-1, -1, side, side)
    return images.contiguous(memory_format=torch.channels_last)


def flat_loss(x_hat: Tensor, images: Tensor) -> Tensor:
    """How far the colours (B, 3, H, W) that came back are off, and how far each is from even: a scalar."""
    colours = x_hat.to(images.dtype).mean((2, 3), keepdim=True).expand_as(images)
    # one root of both would hardly feel a pattern in a colour that is far off
    return root_l2(colours, images) + root_l2(x_hat, colours)
