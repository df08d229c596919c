"""A picture of codes: every code a square of its own colour, the same colour wherever it comes up.

The colour of code c is, in OKLCH, where {v} is the fractional part of v:

    lightness = 0.48 + 0.40 {c * 0.7548776662466927}
    chroma    = 0.025 + 0.085 {c * 0.5698402909980532}
    hue       = c * 2.399963229728653 radians

and from there sRGB as B. Ottosson gives it (https://bottosson.github.io/posts/oklab/), its channels cut to
[0, 1] and rounded to 8 bits. Codes that follow each other differ most, none is glaring, and those of 0 to
K - 1 lie evenly over the colours whatever K is: the hue turns by the golden angle, and the other two factors
are 1/p and 1/p^2 for p^3 = p + 1. The service's web page draws the same colours. A colour says which code it
is and no more: codes of like colours need not be alike.

Shapes: h w grid height and width, d depth, K codebook size.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vqvae.pixels import RGB8

GOLDEN_ANGLE = 2.399963229728653
LIGHTNESS_FACTOR, CHROMA_FACTOR = 0.7548776662466927, 0.5698402909980532

PICTURE_SIDE = 512  # pixels: the longer side of a picture comes near to it from below

# (lightness, a, b) of OKLab -> cube roots of cone responses -> linear sRGB
_TO_CONES = np.array(
    [
        [1, 0.3963377774, 0.2158037573],
        [1, -0.1055613458, -0.0638541728],
        [1, -0.0894841775, -1.2914855480],
    ]
)
_TO_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def colours_of(codes: npt.NDArray[np.integer[Any]]) -> RGB8:
    """The colour of each code: any shape -> (..., 3) uint8."""
    numbers = codes.astype(np.float64)
    lightness = 0.48 + 0.40 * (numbers * LIGHTNESS_FACTOR % 1)
    chroma = 0.025 + 0.085 * (numbers * CHROMA_FACTOR % 1)
    hue = numbers * GOLDEN_ANGLE
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    linear = np.clip((lab @ _TO_CONES.T) ** 3 @ _TO_LINEAR.T, 0, 1)
    companded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    rgb: RGB8 = np.rint(255 * companded).astype(np.uint8)
    return rgb


def squares_of(codes: npt.NDArray[np.integer[Any]]) -> tuple[RGB8, int]:
    """Codes (h, w) or (h, w, d) as a pixel each, and the side in pixels that a square should be drawn with.

    The layers of a residual model stand side by side, a white line between them. Of a grid too large for a
    picture every n-th row and column is kept, for the least n that makes it fit.
    """
    layers = codes.reshape(*codes.shape[:2], -1)
    h, w, depth = layers.shape
    step = -(-max(h, w * depth + depth - 1) // PICTURE_SIDE)
    drawn = colours_of(layers[::step, ::step])
    line = np.full((drawn.shape[0], 1, 3), 255, np.uint8)
    pieces = [piece for layer in range(depth) for piece in (line, drawn[:, :, layer])][1:]
    picture: RGB8 = np.concatenate(pieces, axis=1)
    return picture, max(1, PICTURE_SIDE // max(picture.shape[:2]))
