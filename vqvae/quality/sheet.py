"""The contact sheet: crops of a few images at full resolution, above what models and JPEG make of them.

A row is a way of storing the images, a column an image. Crops are S pixels a side.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vqvae.checkpoint import load_card
from vqvae.pixels import RGB8, decode_image
from vqvae.quality.codecs import JPEG, CodedImage, pixels_of
from vqvae.sources import Source
from vqvae.tokenizer import Tokenizer

SIDE = 208  # S
NUM_COLUMNS = 4
GAP = 6
LABEL_WIDTH = 124
INK, PALE, PAPER = "#24292f", "#656d76", "#ffffff"

TELLING = {  # key of a Kodak image -> (left, top) of a crop that says something
    "kodim04.png": (178, 296),  # a face
    "kodim23.png": (436, 96),  # fine lines and strong colours
    "kodim19.png": (30, 440),  # a fence, as regular as can be
    "kodim05.png": (300, 150),  # everything at once
}


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One way of storing the images, and what their crops look like."""

    label: tuple[str, ...]  # lines; the first is the row's name
    crops: tuple[RGB8, ...]  # (S, S, 3) or smaller


def contact_sheet(models: Sequence[Path], source: Source) -> bytes:
    """A PNG: originals, every decoder of the models, and JPEG at the bytes of the first model."""
    return draw_sheet(sheet_rows(models, source))


def sheet_rows(models: Sequence[Path], source: Source) -> list[SheetRow]:
    """The sheet's rows; the images are those of TELLING, or a source's first where it has none of them."""
    keys = [key for key in TELLING if key in source.keys] or list(source.keys[:NUM_COLUMNS])
    images = [decode_image(source.read(key)) for key in keys]
    num_pixels = sum(rgb.shape[0] * rgb.shape[1] for rgb in images)

    def row(name: str, detail: str, bits: float, pictures: Sequence[RGB8]) -> SheetRow:
        crops = tuple(_crop(picture, TELLING.get(key)) for key, picture in zip(keys, pictures, strict=True))
        return SheetRow((name, detail, f"{bits / num_pixels:.4g} bits/pixel"), crops)

    rows = [row("original", "", 24 * num_pixels, images)]
    max_bits: list[float] = []
    for folder in models:
        card = load_card(folder)
        for decoder in card.decoders:
            tokenizer = Tokenizer.load(folder, decoder=decoder)
            grids = [tokenizer.encode_rgb8(rgb) for rgb in images]
            bits = [grid.bits_per_pixel * grid.width * grid.height for grid in grids]
            max_bits = max_bits or bits
            rows.append(row(card.name, decoder, sum(bits), [tokenizer.decode_rgb8(grid) for grid in grids]))
    files = [CodedImage(JPEG, rgb).file_within(bits / 8) for rgb, bits in zip(images, max_bits, strict=True)]
    at_whose = f"at {rows[1].label[0]}'s bytes"
    rows.append(row(JPEG.name, at_whose, 8 * sum(map(len, files)), [pixels_of(file) for file in files]))
    return rows


def draw_sheet(rows: Sequence[SheetRow]) -> bytes:
    """Rows of crops with their labels at the left, as a PNG."""
    num_columns = max(len(row.crops) for row in rows)
    size = LABEL_WIDTH + num_columns * (SIDE + GAP) - GAP, len(rows) * (SIDE + GAP) - GAP
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, row in enumerate(rows):
        top = i * (SIDE + GAP)
        for j, crop in enumerate(row.crops):
            sheet.paste(Image.fromarray(crop), (LABEL_WIDTH + j * (SIDE + GAP), top))
        name, *details = filter(None, row.label)
        draw.text((0, top + 4), name, INK, _font("DejaVuSans-Bold", 14))
        draw.text((0, top + 26), "\n".join(details), PALE, _font("DejaVuSans", 12), spacing=5)
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def _crop(rgb: RGB8, corner: tuple[int, int] | None) -> RGB8:
    """S x S pixels from a corner (left, top), by default of the middle; smaller where the image is."""
    height, width = rgb.shape[:2]
    left, top = corner or (max(0, width - SIDE) // 2, max(0, height - SIDE) // 2)
    return np.ascontiguousarray(rgb[top : top + SIDE, left : left + SIDE])


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that matplotlib brings along: the same on every machine."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"), size)
