"""The same intake as the service's, without it: an image file to a code file by calling the library."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from contenders import Work
from siege import photograph

from service.settings import Settings
from vqvae.formats import to_code_file
from vqvae.pixels import decode_image, encode_image
from vqvae.tokenizer import Tokenizer

JPEG = "image/jpeg"
CODE_FILE = "application/vnd.vqvae.codes"
QUALITY = 90  # of the JPEG files


def jpegs(num_files: int, side: int) -> list[bytes]:
    """Drawn photographs as files."""
    rng = np.random.default_rng(0)
    return [encode_image(photograph(rng, side, side), JPEG, QUALITY) for _ in range(num_files)]


def library(model: str, files: Sequence[bytes]) -> Mapping[str, Work]:
    """The work `encode`: the next one of these files to its code file, in the service's tiles."""
    tokenizer = Tokenizer.load(model, tile_size=Settings.model_fields["tile_pixels"].default)
    endless = itertools.cycle(files)
    return {"encode": lambda: to_code_file(tokenizer.encode_rgb8(decode_image(next(endless))))}
