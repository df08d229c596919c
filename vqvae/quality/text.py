"""Pages of text, and how much of one tesseract still reads: what a person could, too.

tesseract is a program of its own (Debian's package tesseract-ocr); without it nothing is measured.
Shapes: H W height and width of a page.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vqvae.errors import ConfigError
from vqvae.pixels import RGB8, encode_image
from vqvae.training.fonts import PILLOWS

CAP_HEIGHTS = (11, 24, 48)  # pixels: body text, a title, a sign; Pillow's font has none of 12
PAGE = """\
A page of text, eight lines, no more:
the quick brown fox jumps over the
lazy dog; pack my box with five dozen
liquor jugs. How vexingly quick daft
zebras jump! Sphinx of black quartz,
judge my vow. In 1927 it cost 38.50
(about 64%) to send 10 letters by sea.
Was it read? Yes: every word of it."""


def page(cap_height: int) -> RGB8:
    """PAGE in black on white, its capitals so many pixels high: (H, W, 3)."""
    width, height, margin, spacing = (round(side * cap_height / 24) for side in (664, 448, 40, 16))
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.text((margin, margin), PAGE, "black", font_of(cap_height), spacing=spacing)
    return np.asarray(image)


@cache
def font_of(cap_height: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, which is the same everywhere, at the smallest size with such capitals."""
    return next(
        font
        for font in map(PILLOWS.sized, range(cap_height, 2 * cap_height))
        if font.getbbox("H")[3] - font.getbbox("H")[1] == cap_height
    )


def pages_read(shown: Callable[[RGB8], RGB8]) -> dict[str, float | None]:
    """Height of capitals -> the share of PAGE that is read of what `shown` makes of such a page."""
    return {str(cap_height): share_read(shown(page(cap_height))) for cap_height in CAP_HEIGHTS}


def share_read(rgb: RGB8) -> float | None:
    """The share of PAGE's characters read in a picture (H, W, 3), whatever the white space.

    None where tesseract is not installed; ConfigError where it is there and fails.
    """
    if shutil.which("tesseract") is None:
        return None
    text = _tesseract("-", "-", "--psm", "6", "-l", "eng", image=encode_image(rgb))
    read, wanted = (" ".join(each.split()) for each in (text, PAGE))
    return max(0.0, 1 - edit_distance(read, wanted) / len(wanted))


def tesseract_version() -> str:
    """What reads the pages."""
    if shutil.which("tesseract") is None:
        return "not installed"
    return _tesseract("--version").split()[1]


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Characters to insert, remove or replace to make the first from the second."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        corner, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            corner, row[j] = row[j], min(corner + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def _tesseract(*arguments: str, image: bytes = b"") -> str:
    # its threads wait for one another longer than they work
    environment = os.environ | {"OMP_THREAD_LIMIT": "1"}
    run = subprocess.run(
        ["tesseract", *arguments], input=image, env=environment, capture_output=True, check=False
    )
    if run.returncode:
        reason = " ".join(run.stderr.decode(errors="replace").split())
        raise ConfigError(f"tesseract cannot read English pages here, so repair or remove it: {reason}")
    return run.stdout.decode()
