import io

import numpy as np
import pytest
from PIL import Image

from vqvae.quality.drawing import (
    GAP,
    HEAD_HEIGHT,
    LABEL_HEIGHT,
    LABEL_WIDTH,
    SheetRow,
    about_of,
    cut,
    draw_sheet,
)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.fixture
def crops():
    """Two rows of two, the first 100 high, the columns 90 and 70 wide."""
    random = np.random.default_rng(0)
    return [
        [random.integers(0, 255, (height, width, 3), dtype=np.uint8) for width in (90, 70)]
        for height in (100, 80)
    ]


@pytest.mark.parametrize("heads", [(), (("original",), ("faithful", "photo-f8"))])
def test_sheet_shows_the_crops_in_a_grid_beside_labels_and_below_heads(crops, heads):
    rows = [SheetRow((name, "", "1 bits/pixel"), tuple(row)) for name, row in zip("ab", crops, strict=True)]
    sheet = pixels(draw_sheet(rows, heads))
    start = HEAD_HEIGHT if heads else 0
    assert sheet.shape == (start + 100 + GAP + 80, LABEL_WIDTH + 90 + GAP + 70, 3)
    for row, top, height in zip(crops, (start, start + 100 + GAP), (100, 80), strict=True):
        for crop, left in zip(row, (LABEL_WIDTH, LABEL_WIDTH + 90 + GAP), strict=True):
            assert np.array_equal(sheet[top : top + height, left : left + crop.shape[1]], crop)
        label = sheet[top : top + height, :LABEL_WIDTH]
        assert label.min() < 100
        assert (label[:, -4:] == 255).all()
    if heads:
        assert (sheet[:start, :LABEL_WIDTH] == 255).all()
        assert sheet[:start, LABEL_WIDTH : LABEL_WIDTH + 90].min() < 100


def test_a_row_is_as_high_as_its_label_at_least(crops):
    rows = [SheetRow(("a", "b", "c"), tuple(crop[:20] for crop in row)) for row in crops]
    assert pixels(draw_sheet(rows)).shape[0] == 2 * LABEL_HEIGHT + GAP


def test_a_line_travels_along_unseen(crops):
    rows = [SheetRow(("a",), tuple(row)) for row in crops]
    plain, with_line = draw_sheet(rows), draw_sheet(rows, about="what it shows")
    assert (about_of(plain), about_of(with_line)) == ("", "what it shows")
    assert np.array_equal(pixels(plain), pixels(with_line))


def test_cut_is_from_a_corner_or_the_middle_and_never_more_than_there_is():
    rgb = np.random.default_rng(0).integers(0, 255, (8, 10, 3), dtype=np.uint8)
    assert np.array_equal(cut(rgb, 3, 2, (4, 5)), rgb[5:7, 4:7])
    assert np.array_equal(cut(rgb, 4, 2), rgb[3:5, 3:7])
    assert np.array_equal(cut(rgb, 40, 2), rgb[3:5])
