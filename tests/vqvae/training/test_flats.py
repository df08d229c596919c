"""Flat images without a border."""

import torch

from vqvae.training.flats import GREYS, flat_images


def test_flat_images_are_flat_and_some_are_grey():
    images = flat_images(64, 8, torch.Generator().manual_seed(0))
    assert images.shape == (64, 3, 8, 8)
    assert images.abs().max() <= 1
    assert (images == images[:, :, :1, :1]).all()
    grey = (images == images[:, :1]).all((1, 2, 3))
    assert grey.sum() == GREYS * 64
