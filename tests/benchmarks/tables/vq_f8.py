"""What `models` measures, beside VQ-f8: it has as many codes for an image as photo-f8."""

from figures import Table

from tables.models import DIRECTIONS, Match, beside
from tables.peers import VQ_F8


def vq_f8(num_rounds: int, *, quick: bool) -> Table:
    """Encode and decode against diffusers' VQModel as VQ-f8."""
    directions = DIRECTIONS[:1] if quick else DIRECTIONS
    return beside("vq_f8", Match(("photo-f8",), VQ_F8, {}, directions), num_rounds, quick=quick)
