"""Sheets of pictures as PNG: rows of crops at their own size, labels at the left and heads above."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from vqvae.pixels import RGB8

GAP = 6
LABEL_WIDTH, LABEL_HEIGHT = 124, 64  # a row is as high as three lines at least
HEAD_HEIGHT = 44
INK, PALE, PAPER = "#24292f", "#656d76", "#ffffff"

Label = tuple[str, ...]  # lines; the first is the name, and empty ones are left out


@dataclass(frozen=True, slots=True)
class SheetRow:
    """Crops that stand beside one another."""

    label: Label
    crops: tuple[RGB8, ...]  # (H, W, 3) each


def draw_sheet(rows: Sequence[SheetRow], heads: Sequence[Label] = (), about: str = "") -> bytes:
    """Rows of crops, below the heads of their columns if they have any; a PNG.

    Args:
        about: a line that the file carries along unseen.
    """
    heights = [max(LABEL_HEIGHT, *(crop.shape[0] for crop in row.crops)) for row in rows]
    num_columns = max(len(row.crops) for row in rows)
    widths = [max(row.crops[j].shape[1] for row in rows if j < len(row.crops)) for j in range(num_columns)]
    tops = _starts(HEAD_HEIGHT if heads else 0, heights)
    lefts = _starts(LABEL_WIDTH, widths)
    sheet = Image.new("RGB", (lefts[-1] - GAP, tops[-1] - GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for head, left in zip(heads, lefts, strict=False):
        _write(draw, (left, 0), head)
    for row, top in zip(rows, tops, strict=False):
        _write(draw, (0, top + 4), row.label)
        for crop, left in zip(row.crops, lefts, strict=False):
            sheet.paste(Image.fromarray(crop), (left, top))
    info = PngInfo()
    if about:
        info.add_text("about", about)
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True, pnginfo=info)
    return file.getvalue()


def about_of(sheet: bytes) -> str:
    """The line that a sheet carries along; empty where it has none."""
    with Image.open(io.BytesIO(sheet)) as image:
        return str(image.info.get("about", ""))


def cut(rgb: RGB8, width: int, height: int, corner: tuple[int, int] | None = None) -> RGB8:
    """That many pixels from a corner (left, top), by default of the middle; fewer where there are less."""
    left, top = corner or (max(0, rgb.shape[1] - width) // 2, max(0, rgb.shape[0] - height) // 2)
    return np.ascontiguousarray(rgb[top : top + height, left : left + width])


def _starts(first: int, lengths: Sequence[int]) -> list[int]:
    """Where each length starts, and where one more would."""
    starts = [first]
    for length in lengths:
        starts.append(starts[-1] + length + GAP)
    return starts


def _write(draw: ImageDraw.ImageDraw, corner: tuple[int, int], label: Label) -> None:
    left, top = corner
    name, *details = filter(None, label)
    draw.text((left, top), name, INK, _font("DejaVuSans-Bold", 14))
    draw.text((left, top + 22), "\n".join(details), PALE, _font("DejaVuSans", 12), spacing=5)


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that matplotlib brings along: the same on every machine."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"), size)
