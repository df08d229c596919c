"""A plane that closes on itself: how a network sees an endless image of which one period is there.

Where opposite edges meet, an image of one cell of the code grid is endlessly many of that cell, however far
the network reads.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from vqvae.model.blocks import Conv


@contextmanager
def closed_plane(model: nn.Module) -> Iterator[None]:
    """Meanwhile the convolutions of a model pad circularly, as on a plane whose opposite edges meet."""
    convolutions = [module for module in model.modules() if isinstance(module, Conv)]
    for convolution in convolutions:
        convolution.padding_mode = "circular"
    try:
        yield
    finally:
        for convolution in convolutions:
            convolution.padding_mode = "zeros"
