"""Codes as a small picture in a terminal: every code its own colour, two codes to a character.

The upper half block has its colour from the code above and its background from the one below. Where the
terminal does not say that it shows 24-bit colours, each is the nearest of the 240 that terminals with 256
colours agree on: a cube of six levels, and 24 greys.

Shapes: h w grid height and width, d depth; H W height and width of the picture, in codes.
"""

import os
import shutil
import sys
from itertools import product, zip_longest
from typing import TYPE_CHECKING

from vqvae.cli.terminal import has_colours

if TYPE_CHECKING:
    from vqvae.code_grid import CodeArray
    from vqvae.pixels import RGB8

ROWS = 20  # of characters
HALF_BLOCK = "▀"
LEVELS = (0, 95, 135, 175, 215, 255)
GREYS = range(8, 239, 10)


def picture_of(codes: "CodeArray") -> list[str]:
    """Lines for this terminal: codes (h, w), or the first layer of (h, w, d); none where it cannot show them.

    Of a grid too large every n-th row and column is kept, for the least n that makes it fit.
    """
    if not has_colours(sys.stdout) or not _can_write(HALF_BLOCK):
        return []

    from vqvae.code_picture import colours_of  # noqa: PLC0415

    layer = codes.reshape(*codes.shape[:2], -1)[:, :, 0]
    h, w = layer.shape
    step = max(-(-h // (2 * ROWS)), -(-w // shutil.get_terminal_size().columns))
    true_colour = os.environ.get("COLORTERM") in ("truecolor", "24bit")
    return half_blocks(colours_of(layer[::step, ::step]), true_colour=true_colour)


def half_blocks(rgb: "RGB8", *, true_colour: bool) -> list[str]:
    """(H, W, 3) uint8 -> ceil(H / 2) lines of W characters; below an odd last row stays what was there."""
    colours = _colours(rgb, true_colour=true_colour)
    lines = []
    for upper, lower in zip_longest(colours[::2], colours[1::2], fillvalue=[None] * rgb.shape[1]):
        line, before = "", None
        for pair in zip(upper, lower, strict=True):
            if pair != before:
                line += f"\x1b[38;{pair[0]}m" if pair[1] is None else f"\x1b[38;{pair[0]};48;{pair[1]}m"
            line, before = line + HALF_BLOCK, pair
        lines.append(f"{line}\x1b[0m")
    return lines


def _colours(rgb: "RGB8", *, true_colour: bool) -> list[list[str | None]]:
    """Every pixel as an escape code has it, after its 38 for the foreground or 48 for the background."""
    if true_colour:
        return [["2;" + ";".join(map(str, pixel)) for pixel in row] for row in rgb.tolist()]

    import numpy as np  # noqa: PLC0415

    palette = np.array([*product(LEVELS, repeat=3), *((grey, grey, grey) for grey in GREYS)])
    distances = ((rgb[:, :, None].astype(int) - palette) ** 2).sum(axis=-1)
    return [[f"5;{16 + number}" for number in row] for row in distances.argmin(axis=-1).tolist()]


def _can_write(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True
