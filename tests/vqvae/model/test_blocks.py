"""Shapes: B batch, C channels, H W height and width."""

import pytest
import torch
import torch.nn.functional as F

from vqvae.model.blocks import (
    Chain,
    Conv,
    Local,
    PositionNorm,
    ReLU,
    ResidualBlock,
    Shuffle,
    Span,
    Unshuffle,
    stage,
    up,
)


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_convolution_computes_the_same_in_training_and_evaluation(kernel_size):
    conv = Conv(3, 5, kernel_size)
    images = torch.randn(2, 3, 9, 11)
    expected = F.conv2d(images, conv.weight, conv.bias, padding=kernel_size // 2)
    torch.testing.assert_close(conv.train()(images), expected)
    torch.testing.assert_close(conv.eval()(images), expected)


def test_a_convolution_in_evaluation_lets_gradients_through():
    conv = Conv(3, 5, 3)
    images = torch.randn(2, 3, 9, 11, requires_grad=True)
    gradients = [
        torch.autograd.grad(mode(images).square().sum(), images)[0] for mode in (conv.eval(), conv.train())
    ]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_a_position_gets_the_same_bits_in_any_surroundings(kernel_size):
    conv = Conv(8, 16, kernel_size).eval()
    images = torch.randn(4, 8, 40, 40).contiguous(memory_format=torch.channels_last)
    whole = conv(images)
    for size in (3, 5, 8, 17):
        window = images[1:2, :, 10 : 10 + size, 12 : 12 + size]
        inside = slice(1, size - 1)  # the window's border has zeros beside it
        rows, columns = slice(11, 9 + size), slice(13, 11 + size)
        assert torch.equal(conv(window)[:, :, inside, inside], whole[1:2, :, rows, columns])


def test_pieces_know_what_they_read():
    assert Conv(1, 1, 5).reads(Span(3, 4)) == Span(1, 6)
    assert ReLU().reads(Span(3, 4)) == Span(3, 4)
    assert Unshuffle(4).reads(Span(2, 3)) == Span(8, 12)
    assert Shuffle(4).reads(Span(8, 12)) == Span(2, 3)
    assert Shuffle(4).reads(Span(7, 9)) == Span(1, 3)
    assert Shuffle(4).reads(Span(-1, 1)) == Span(-1, 1)
    assert ResidualBlock(2).reads(Span(0, 1)) == Span(-2, 3)
    # 3 cells of the block's output are 7 of its input, whose 28 pixels and one more on either side are read
    assert Chain(Conv(1, 1, 3), Unshuffle(4), ResidualBlock(16)).reads(Span(0, 3)) == Span(-9, 21)
    assert isinstance(Chain(), Local)


def test_a_position_is_normalised_by_its_own_channels_alone():
    x = torch.tensor([[3.0, 0.0], [4.0, 2.0]]).view(1, 2, 1, 2)  # two channels, two positions
    y = PositionNorm(2, eps=0.0)(x)
    # roots of the mean squares: sqrt(25 / 2) and sqrt(4 / 2)
    torch.testing.assert_close(y[0, :, 0, 0], torch.tensor([3.0, 4.0]) / 12.5**0.5)
    torch.testing.assert_close(y[0, :, 0, 1], torch.tensor([0.0, 2.0]) / 2**0.5)
    assert PositionNorm(2).reads(Span(3, 4)) == Span(3, 4)
    assert ResidualBlock(2, "position").reads(Span(0, 1)) == ResidualBlock(2).reads(Span(0, 1))


def test_a_residual_block_starts_as_the_identity():
    images = torch.randn(1, 6, 5, 5)
    for block in stage(6, 3):
        assert torch.equal(block(images), images)


def test_unshuffle_and_shuffle_are_inverses():
    images = torch.randn(2, 3, 12, 8)
    assert torch.equal(Shuffle(4)(Unshuffle(4)(images)), images)


@pytest.mark.parametrize("factor", [2, 4])
def test_upsampling_starts_without_a_checkerboard(factor):
    mix, shuffle = up(5, 3, factor)
    positions = torch.randn(2, 5, 4, 6)
    pixels = shuffle(mix(positions))
    # every position becomes a patch of equal pixels: a nearest-neighbour enlargement
    assert torch.equal(pixels, F.interpolate(pixels[:, :, ::factor, ::factor], scale_factor=factor))
    assert pixels.std() > 0.1


def test_weights_lie_channels_last_and_so_does_what_flows():
    images = torch.randn(2, 8, 6, 6).contiguous(memory_format=torch.channels_last)
    for conv in (Conv(8, 4, 3).train(), Conv(8, 4, 3).eval()):
        assert conv.weight.is_contiguous(memory_format=torch.channels_last)
        assert conv(images).is_contiguous(memory_format=torch.channels_last)
