"""A plane that closes on itself."""

import pytest
import torch

from vqvae.model import Autoencoder, AutoencoderConfig, DecoderConfig, EncoderConfig, closed_plane
from vqvae.model.blocks import Conv
from vqvae.quantizers import EmaQuantizerConfig


@pytest.fixture
def model():
    """A small model of which every weight counts."""
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


@pytest.mark.parametrize("training", [True, False])
def test_one_cell_of_a_closed_plane_is_the_middle_of_a_large_image(model, training):
    model.float().train(training)
    colours = 2 * torch.rand(3, 3, 1, 1, generator=torch.Generator().manual_seed(1)) - 1
    images = colours.repeat(1, 1, 8, 8)
    with closed_plane(model):
        small = model(images)
    large = model(images.repeat(1, 1, 33, 33))
    middle = slice(16 * 8, 17 * 8)
    torch.testing.assert_close(small.z_e, large.z_e[..., 16:17, 16:17])
    torch.testing.assert_close(small.x_hat, large.x_hat[..., middle, middle])
    assert small.x_hat.std((2, 3)).min() > 1e-3  # there is a pattern to unlearn


@torch.no_grad()
def test_on_a_closed_plane_of_any_height_what_is_shifted_comes_back_shifted(model):
    z_q = torch.randn(1, 8, 20, 3, generator=torch.Generator().manual_seed(2))
    decoder = model.eval().decoder
    with closed_plane(decoder):
        x_hat, shifted = decoder(z_q), decoder(z_q.roll(7, 2))
    torch.testing.assert_close(shifted, x_hat.roll(7 * 8, 2))


def test_afterwards_the_plane_is_open_again(model):
    with pytest.raises(ZeroDivisionError), closed_plane(model):
        raise ZeroDivisionError
    assert {module.padding_mode for module in model.modules() if isinstance(module, Conv)} == {"zeros"}
