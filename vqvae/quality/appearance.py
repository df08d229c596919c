"""What a person sees at once in a reconstruction: whether flat grounds are flat and text is legible.

A flat ground is taken without its border: in an endless image of one colour all codes are equal, and what is
not flat in what comes back is the decoder's own pattern. The interior of a large image, where no border
reaches, is part of such an image.

Shapes: N flat images, I side of an interior, f downsample factor, h w grid height and width.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vqvae.model import closed_plane
from vqvae.quality.figures import Appearance, FlatFigures
from vqvae.quality.text import pages_read
from vqvae.tokenizer import Tokenizer

INTERIOR = 32  # I, a multiple of every period
PERIODS = (4, 8, 16)  # of the patterns that decoders tend to make
NUM_GREYS, NUM_COLOURS = 32, 64

Colours = npt.NDArray[Any]  # (N, 3) in [0, 255]
Interiors = npt.NDArray[np.float64]  # (N, I, I, 3) in [0, 255], not rounded


def appearance(tokenizer: Tokenizer) -> Appearance:
    """What flat greys, flat colours and pages of text come back as."""
    return Appearance(
        greys=flat_figures(interiors(tokenizer, greys()), greys()),
        colours=flat_figures(interiors(tokenizer, colours()), colours()),
        text_read=pages_read(lambda rgb: np.asarray(tokenizer.reconstruct(rgb))),
    )


def greys() -> Colours:
    """32 of them from black to white: (N, 3)."""
    return np.rint(np.linspace(0, 255, NUM_GREYS))[:, None].repeat(3, axis=1)


def colours() -> Colours:
    """64 random ones, always the same: (N, 3)."""
    return np.random.default_rng(0).integers(256, size=(NUM_COLOURS, 3))


def interiors(tokenizer: Tokenizer, of_colours: Colours) -> Interiors:
    """What comes back of endless images of one colour: (N, 3) -> (N, I, I, 3).

    On a plane that closes on itself one cell of f x f pixels is such an image; it is repeated to an interior.
    """
    f = tokenizer.space.downsample_factor
    images = torch.tensor(of_colours / 127.5 - 1, dtype=torch.float32)[..., None, None].expand(-1, -1, f, f)
    encoder, decoder = tokenizer.encoder, tokenizer.decoder
    with torch.inference_mode(), closed_plane(encoder), closed_plane(decoder):
        codes = tokenizer.quantizer.nearest_codes(encoder(images))  # (N, 1, 1)
        cells = decoder(tokenizer.quantizer.lookup(codes)).clamp(-1, 1)  # (N, 3, f, f)
    num_cells = -(-INTERIOR // f)
    x_hat = cells.repeat(1, 1, num_cells, num_cells)[..., :INTERIOR, :INTERIOR]
    in_255ths: Interiors = x_hat.permute(0, 2, 3, 1).double().numpy() * 127.5 + 127.5
    return in_255ths


def flat_figures(images: Interiors, of_colours: Colours) -> FlatFigures:
    """How far interiors (N, I, I, 3) are from their colours (N, 3), and from flat."""
    return FlatFigures(
        num_images=len(images),
        mean_error=float(np.abs(images - of_colours[:, None, None]).mean()),
        worst_error=float(np.abs(images.mean((1, 2)) - of_colours).max()),
        worst_std=float(images.std((1, 2)).max()),
        worst_patterns={str(period): amplitude(images, period) for period in PERIODS},
    )


def amplitude(images: Interiors, period: int) -> float:
    """Of the wave of a period, root mean square over rows or columns; the worst of images (N, I, I, 3)."""
    spectra = (np.fft.rfft(images, axis=axis).take(INTERIOR // period, axis) for axis in (1, 2))
    power = max(float((np.abs(spectrum) ** 2).mean(1).max()) for spectrum in spectra)
    return 2 / INTERIOR * math.sqrt(power)
