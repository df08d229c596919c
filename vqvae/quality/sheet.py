"""The contact sheet: crops of a few images at full resolution, above what models and JPEG make of them.

A row is a way of storing the images, a column an image. Crops are S pixels a side.
"""

from collections.abc import Sequence
from pathlib import Path

from vqvae.checkpoint import load_card
from vqvae.pixels import RGB8, decode_image
from vqvae.quality.codecs import JPEG, CodedImage, pixels_of
from vqvae.quality.drawing import SheetRow, cut, draw_sheet
from vqvae.sources import Source
from vqvae.tokenizer import Tokenizer

SIDE = 208  # S
NUM_COLUMNS = 4

TELLING = {  # key of a Kodak image -> (left, top) of a crop that says something
    "kodim04.png": (178, 296),  # a face
    "kodim23.png": (436, 96),  # fine lines and strong colours
    "kodim19.png": (30, 440),  # a fence, as regular as can be
    "kodim05.png": (300, 150),  # everything at once
}


def contact_sheet(models: Sequence[Path], source: Source) -> bytes:
    """A PNG: originals, every decoder of the models, and JPEG at the bytes of the first model."""
    return draw_sheet(sheet_rows(models, source))


def sheet_rows(models: Sequence[Path], source: Source) -> list[SheetRow]:
    """The sheet's rows; the images are those of TELLING, or a source's first where it has none of them."""
    keys = [key for key in TELLING if key in source.keys] or list(source.keys[:NUM_COLUMNS])
    images = [decode_image(source.read(key)) for key in keys]
    num_pixels = sum(rgb.shape[0] * rgb.shape[1] for rgb in images)

    def row(name: str, detail: str, bits: float, pictures: Sequence[RGB8]) -> SheetRow:
        crops = tuple(
            cut(picture, SIDE, SIDE, TELLING.get(key)) for key, picture in zip(keys, pictures, strict=True)
        )
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
