"""Positions are cells of a grid (h, w)."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from vqvae.model import Span
from vqvae.tiling import Tile, tiles

plans = st.tuples(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.integers(1, 25), st.integers(0, 12))


@given(plans)
@example(((1, 1), 1, 0))
@example(((60, 1), 1, 12))
def test_cores_partition_the_grid(plan):
    grid, size, halo = plan
    times_covered = np.zeros(grid, int)
    for tile in tiles(grid, size, halo):
        rows, columns = tile.core
        times_covered[rows.start : rows.stop, columns.start : columns.stop] += 1
        assert rows.start < rows.stop
        assert columns.start < columns.stop
    assert (times_covered == 1).all()


@given(plans)
def test_a_window_holds_its_core_and_a_halo_or_the_border(plan):
    grid, size, halo = plan
    for tile in tiles(grid, size, halo):
        for core, window, length in zip(tile.core, tile.window, grid, strict=True):
            assert 0 <= window.start <= core.start
            assert core.stop <= window.stop <= length
            assert window.start == 0 or core.start - window.start >= halo
            assert window.stop == length or window.stop - core.stop >= halo


@given(plans)
def test_all_windows_of_a_plan_have_one_size(plan):
    grid, size, halo = plan
    sizes = {tuple(span.stop - span.start for span in tile.window) for tile in tiles(grid, size, halo)}
    ((height, width),) = sizes
    assert height <= min(grid[0], size + 2 * halo)
    assert width <= min(grid[1], size + 2 * halo)


@given(plans)
def test_windows_overlap_by_their_halos_and_hardly_more(plan):
    grid, size, halo = plan
    plan = tiles(grid, size, halo)
    for axis, length in enumerate(grid):
        windows = {(tile.window[axis].start, tile.window[axis].stop) for tile in plan}
        read = sum(stop - start for start, stop in windows)
        assert length + 2 * halo * (len(windows) - 1) <= read < length + (2 * halo + 1) * len(windows)


@given(plans)
def test_no_plan_is_longer_than_its_cores_are_small(plan):
    grid, size, halo = plan
    at_most = [max(1, -(-(length - 2 * halo) // size)) for length in grid]
    assert len(tiles(grid, size, halo)) == at_most[0] * at_most[1]


def test_a_plan_worked_by_hand():
    # All but the outermost cells, 13 of them, have a halo on both sides: four cores of at most four. Windows
    # of 4 + 2 * 1 = 6 cells begin at 0, 4, 8 and, held back by the border, at 9.
    assert [(tile.core[0], tile.window[0]) for tile in tiles((15, 6), 4, 1)] == [
        (Span(0, 5), Span(0, 6)),
        (Span(5, 9), Span(4, 10)),
        (Span(9, 13), Span(8, 14)),
        (Span(13, 15), Span(9, 15)),
    ]


def test_tiles_are_as_even_as_they_can_be():
    # 96 cells by 64 at a time with a halo of 6: two windows of 54, not one of 76 and most of it once more
    assert [(tile.core[0], tile.window[0]) for tile in tiles((96, 1), 64, 6)] == [
        (Span(0, 48), Span(0, 54)),
        (Span(48, 96), Span(42, 96)),
    ]


def test_tiles_come_in_raster_order():
    corners = [(tile.core[0].start, tile.core[1].start) for tile in tiles((20, 30), 6, 2)]
    assert corners == sorted(corners)
    assert len(corners) > 9


def test_a_small_grid_is_one_tile():
    assert tiles((5, 7), 128, 6) == [Tile((Span(0, 5), Span(0, 7)), (Span(0, 5), Span(0, 7)))]


def test_a_core_is_found_in_its_window_at_any_scale():
    tile = Tile((Span(4, 7), Span(0, 4)), (Span(3, 8), Span(0, 5)))
    assert tile.core_in_window() == (slice(1, 4), slice(0, 4))
    assert tile.core_in_window(8) == (slice(8, 32), slice(0, 32))
