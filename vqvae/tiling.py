"""Large images in exact tiles: what a tile contributes and what it has to read for that.

Positions are cells of the code grid. A tile reads a window around its core; the halo between them is at least
the network's reach, except at the image's own border, where the network pads the tile as it pads the whole.
All windows of one plan have one size, so that every tile runs the same kernels.
"""

from dataclasses import dataclass
from itertools import product
from math import ceil

from vqvae.model import Span


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: rows and columns of its core, and of the window that it reads, in cells."""

    core: tuple[Span, Span]
    window: tuple[Span, Span]

    def core_in_window(self, scale: int = 1) -> tuple[slice, slice]:
        """The core's rows and columns counted from the window's corner, in cells or `scale` times finer."""
        rows, columns = (
            slice((core.start - window.start) * scale, (core.stop - window.start) * scale)
            for core, window in zip(self.core, self.window, strict=True)
        )
        return rows, columns


def tiles(grid: tuple[int, int], size: int, halo: int) -> list[Tile]:
    """The tiles of a grid (h, w) in raster order: their cores partition it.

    Args:
        size: most cells along a side of a core within the image; one at the border, which needs no halo
            there, may be larger.
        halo: cells that a core needs around it.
    """
    axes = [_axis(length, size, halo) for length in grid]
    return [Tile(*zip(rows, columns, strict=True)) for rows, columns in product(*axes)]


def _axis(length: int, size: int, halo: int) -> list[tuple[Span, Span]]:
    """(core, window) spans along one axis."""
    if length > size + 2 * halo:  # as few tiles as that size allows, all of them alike
        size = ceil((length - 2 * halo) / ceil((length - 2 * halo) / size))
    reach = min(length, size + 2 * halo)
    starts = [min(start, length - reach) for start in range(0, max(1, length - reach + size), size)]
    stops = [start + reach - halo for start in starts[:-1]] + [length]
    return [
        (Span(begin, stop), Span(start, start + reach))
        for begin, stop, start in zip([0, *stops], stops, starts, strict=False)
    ]
