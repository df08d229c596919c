"""Flat images without a border."""

import torch

from vqvae.training.flats import GREYS, flat_images, flat_loss


def test_flat_images_are_flat_and_some_are_grey():
    images = flat_images(64, 8, torch.Generator().manual_seed(0))
    assert images.shape == (64, 3, 8, 8)
    assert images.abs().max() <= 1
    assert (images == images[:, :, :1, :1]).all()
    grey = (images == images[:, :1]).all((1, 2, 3))
    assert grey.sum() == GREYS * 64


def test_a_pattern_counts_as_much_in_a_colour_that_is_far_off():
    images = flat_images(4, 8, torch.Generator().manual_seed(0))
    stripes = 0.02 * torch.tensor([-1.0, 1.0]).repeat(4)  # (8,), along a row
    right, off = images, images + 0.3
    in_right, in_off = (flat_loss(x + stripes, images) - flat_loss(x, images) for x in (right, off))
    assert in_right > 0.02
    torch.testing.assert_close(in_off, in_right)
