"""Images as image models are trained on: the shortest side to S pixels, then the middle S x S of the other.

Shapes: H W image height and width, S side of the square.
"""

import numpy as np
from PIL import Image

from vqvae.pixels import RGB8


def centre_square(rgb: RGB8, size: int) -> RGB8:
    """The middle of an image (H, W, 3), resized to (S, S, 3): bicubic, over all pixels that it shrinks."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    # the middle is what is resized, so that a strip of one pixel's height becomes no image of gigabytes
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(rgb).resize((size, size), Image.Resampling.BICUBIC, box))
