import pytest
import torch

from vqvae.model import Decoder, DecoderConfig, Encoder, EncoderConfig, Span
from vqvae.model.cost import cost_of_decoder, cost_of_encoder


def of_convolutions(convolutions):
    """(channels in, channels out, area of the kernel, side of the plane) of each -> parameters, GFLOP."""
    parameters = sum(i * o * area + o for i, o, area, _ in convolutions)
    return parameters, sum(2 * i * o * area * side**2 for i, o, area, side in convolutions) / 1e9


def test_an_encoders_cost_is_that_of_its_convolutions():
    cost = cost_of_encoder(EncoderConfig(patch=4, widths=(8, 12), blocks=(1, 1)), 4)
    convolutions = [
        *((48, 8, 9, 64), (8, 8, 9, 64), (8, 8, 9, 64)),
        *((32, 12, 1, 32), (12, 12, 9, 32), (12, 12, 9, 32), (12, 4, 1, 32)),
    ]
    assert (cost.parameters, cost.gflop) == pytest.approx(of_convolutions(convolutions))
    # a code's own 8 pixels, and on either side one cell for each 3x3: two of 8 pixels, three of 4
    assert cost.receptive_field == 8 + 2 * (2 * 8 + 3 * 4)


def test_a_decoders_cost_is_that_of_its_convolutions():
    cost = cost_of_decoder(DecoderConfig(patch=4, widths=(8, 12), blocks=(1, 1), full_width=6), 4)
    convolutions = [
        *((4, 12, 1, 32), (12, 12, 9, 32), (12, 12, 9, 32), (12, 32, 1, 32)),
        *((8, 8, 9, 64), (8, 8, 9, 64), (8, 96, 1, 64), (6, 3, 9, 256)),
    ]
    assert (cost.parameters, cost.gflop) == pytest.approx(of_convolutions(convolutions))


@pytest.mark.parametrize("norm", ["none", "position"])
def test_cost_is_that_of_the_network_itself(norm):
    encoder = Encoder(EncoderConfig(patch=3, widths=(4, 5, 6), blocks=(0, 1, 2), norm=norm), 2)
    decoder = Decoder(DecoderConfig(patch=3, widths=(4, 5, 6), blocks=(2, 1, 0), norm=norm), 2)
    of_encoder, of_decoder = cost_of_encoder(encoder.config, 2), cost_of_decoder(decoder.config, 2)
    assert of_encoder.parameters == sum(parameter.numel() for parameter in encoder.parameters())
    assert of_decoder.parameters == sum(parameter.numel() for parameter in decoder.parameters())
    for start in range(12):
        field = decoder.reads(Span(start, start + 1))
        assert field.stop - field.start <= of_decoder.receptive_field


def test_counting_leaves_the_random_numbers_alone():
    state = torch.get_rng_state()
    cost_of_encoder(EncoderConfig(), 8)
    assert torch.equal(state, torch.get_rng_state())


def test_the_default_networks_cost_what_their_configurations_say():
    assert round(cost_of_encoder(EncoderConfig(), 8).gflop, 1) == 8.0
    assert round(cost_of_decoder(DecoderConfig(), 8).gflop, 1) == 15.3
