"""Flat images without a border."""

import pytest
import torch

from vqvae.model import Autoencoder, AutoencoderConfig, DecoderConfig, EncoderConfig
from vqvae.model.blocks import Conv
from vqvae.quantizers import EmaQuantizerConfig
from vqvae.training.flats import GREYS, closed_plane, flat_images


@pytest.fixture
def model():
    """A small model in training, of which every weight counts."""
    torch.manual_seed(0)
    config = AutoencoderConfig(
        EncoderConfig(widths=(8, 12), blocks=(1, 1)),
        EmaQuantizerConfig(codebook_size=32),
        DecoderConfig(widths=(8, 12), blocks=(1, 1), full_width=4),
    )
    model = Autoencoder(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def test_flat_images_are_flat_and_some_are_grey():
    images = flat_images(64, 8, torch.Generator().manual_seed(0))
    assert images.shape == (64, 3, 8, 8)
    assert images.abs().max() <= 1
    assert (images == images[:, :, :1, :1]).all()
    grey = (images == images[:, :1]).all((1, 2, 3))
    assert grey.sum() == GREYS * 64


@pytest.mark.parametrize("training", [True, False])
def test_one_cell_of_a_closed_plane_is_the_middle_of_a_large_image(model, training):
    model.float().train(training)
    images = flat_images(3, 8, torch.Generator().manual_seed(1))
    with closed_plane(model):
        small = model(images)
    large = model(images.repeat(1, 1, 33, 33))
    middle = slice(16 * 8, 17 * 8)
    torch.testing.assert_close(small.z_e, large.z_e[..., 16:17, 16:17])
    torch.testing.assert_close(small.x_hat, large.x_hat[..., middle, middle])
    assert small.x_hat.std((2, 3)).min() > 1e-3  # there is a pattern to unlearn


def test_afterwards_the_plane_is_open_again(model):
    with pytest.raises(ZeroDivisionError), closed_plane(model):
        raise ZeroDivisionError
    assert {module.padding_mode for module in model.modules() if isinstance(module, Conv)} == {"zeros"}
