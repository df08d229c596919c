"""Shapes: I side of an interior."""

import numpy as np
import pytest

from vqvae import Tokenizer
from vqvae.quality.appearance import (
    INTERIOR,
    NUM_COLOURS,
    NUM_GREYS,
    PERIODS,
    amplitude,
    appearance,
    colours,
    flat_figures,
    greys,
    interiors,
)
from vqvae.quality.text import pages_read


@pytest.fixture(scope="module")
def tokenizer(weights):
    return Tokenizer.load(weights / "tiny")


def test_an_interior_is_the_middle_of_a_large_image(tokenizer):
    colour = (200, 90, 30)
    rgb = np.full((256 + INTERIOR, 256 + INTERIOR, 3), colour, np.uint8)  # it reads 36 pixels and 5 codes far
    x_hat = np.asarray(tokenizer.reconstruct(rgb))[128 : 128 + INTERIOR, 128 : 128 + INTERIOR]
    assert np.abs(x_hat - interiors(tokenizer, np.array([colour]))[0]).max() < 0.51  # rounding


def test_a_wave_has_its_amplitude_along_rows_and_columns():
    wave = 3 * np.cos(2 * np.pi * np.arange(INTERIOR) / 8 + 1)
    images = np.broadcast_to(100 + wave[None, :, None, None], (1, INTERIOR, INTERIOR, 3))
    for along in (images, images.swapaxes(1, 2)):
        assert [amplitude(along, period) for period in PERIODS] == pytest.approx([0, 3, 0])


def test_figures_are_of_the_mean_the_worst_channel_and_the_worst_image():
    of_colours = np.array([[10, 20, 30], [100, 100, 100]])
    images = np.broadcast_to(of_colours[:, None, None].astype(float), (2, INTERIOR, INTERIOR, 3)).copy()
    images[1, ..., 2] -= 6
    images[0, ::2, :, 0] += 1
    images[0, 1::2, :, 0] -= 1
    figures = flat_figures(images, of_colours)
    assert figures.num_images == 2
    assert figures.mean_error == pytest.approx((6 + 1) / 6)  # six channels of two images
    assert figures.worst_error == pytest.approx(6)
    assert figures.worst_std == pytest.approx(1)
    assert figures.worst_patterns == pytest.approx(dict.fromkeys(map(str, PERIODS), 0), abs=1e-9)


def test_greys_are_grey_from_black_to_white_and_colours_are_not():
    assert (greys() == greys()[:, :1]).all()
    assert (greys()[0, 0], greys()[-1, 0], len(greys())) == (0, 255, NUM_GREYS)
    assert len(colours()) == NUM_COLOURS
    assert np.ptp(colours(), axis=1).min() > 0
    assert np.array_equal(colours(), colours())


@pytest.mark.usefixtures("one_page")
def test_appearance_is_of_greys_colours_and_pages(tokenizer):
    found = appearance(tokenizer)
    assert found.greys == flat_figures(interiors(tokenizer, greys()), greys())
    assert (found.greys.num_images, found.colours.num_images) == (NUM_GREYS, NUM_COLOURS)
    assert found.text_read == pages_read(lambda rgb: np.asarray(tokenizer.reconstruct(rgb)))
