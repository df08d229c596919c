"""A model as tables: what it is and costs, and what flat grounds and text come back as.

Shapes: K codebook size, D code dim, f downsample factor.
"""

import math
from collections.abc import Mapping

from vqvae.model.cost import SIDE, Cost
from vqvae.quality.figures import Appearance, ModelFacts
from vqvae.quality.tables import Row, Table


def facts_table(model: ModelFacts) -> Table:
    """What a model is and what it costs."""
    size, f = model.codebook_size, model.downsample_factor
    facts = {
        "fingerprint": f"`{model.model}@{model.fingerprint[:12]}`",
        "codes": f"K = {size}, code dimension {model.codebook_dim}, f = {f}: {(-(-SIDE // f)) ** 2} codes "
        f"for {SIDE}x{SIDE} pixels, {math.log2(size) / f**2:.4g} bits per pixel",
        "encoder": f"{_cost(model.encoder)}; a code depends on {_square(model.encoder)} pixels",
        **{
            f"decoder `{name}`": f"{_cost(decoder.cost)}; a pixel depends on at most {_square(decoder.cost)} "
            "codes"
            for name, decoder in model.decoders.items()
        },
        "stored": f"float16, {model.stored_bytes / 1e6:.1f} MB; the rounded values are the model, which "
        "computes in float32",
        "pixels": f"version {model.pixels_version} (orientation, colour, mode, alpha over white)",
    }
    return Table(
        heads=("", model.model),
        rows=tuple(map(Row, facts.items())),
        note="GFLOP count two operations for a multiply-add of the convolutions, and nothing else.",
    )


def appearance_table(model: ModelFacts, page_read: Mapping[str, float | None]) -> Table:
    """What flat grounds and text come back as, a column a decoder."""
    columns = [_cells(decoder.appearance) for decoder in model.decoders.values()]
    of_pages = ", ".join(f"{_share(share)} with capitals of {height}" for height, share in page_read.items())
    return Table(
        heads=("", *(f"{model.model}, {decoder}" for decoder in model.decoders)),
        rows=tuple(Row((label, *(column[label] for column in columns))) for label in columns[0]),
        note="Flat means an endless image of one colour; what comes back of it is told in 255ths of the "
        "range. The worst error is that of an image's mean in one channel. The standard deviation and the "
        "amplitudes of patterns are within one image: all that is not flat there is the decoder's own. Text "
        "is a page in black on white, of which tesseract reads that share of the characters; of the page "
        f"itself it reads {of_pages}.",
    )


def _cost(cost: Cost) -> str:
    return f"{cost.parameters / 1e6:.1f} million parameters, {cost.gflop:.1f} GFLOP for {SIDE}x{SIDE}"


def _square(cost: Cost) -> str:
    return f"{cost.receptive_field}x{cost.receptive_field}"


def _cells(appearance: Appearance) -> dict[str, str]:
    """Label -> cell."""
    cells: dict[str, str] = {}
    for name, flats in (("greys", appearance.greys), ("random colours", appearance.colours)):
        periods = ", ".join(flats.worst_patterns)
        cells |= {
            f"{flats.num_images} flat {name}: mean error": f"{flats.mean_error:.1f}",
            f"{flats.num_images} flat {name}: worst error": f"{flats.worst_error:.1f}",
            f"{flats.num_images} flat {name}: worst standard deviation": f"{flats.worst_std:.2f}",
            f"{flats.num_images} flat {name}: worst patterns of {periods} pixels": ", ".join(
                f"{amplitude:.2f}" for amplitude in flats.worst_patterns.values()
            ),
        }
    for height, share in appearance.text_read.items():
        cells[f"text with capitals of {height} pixels: read"] = _share(share)
    return cells


def _share(share: float | None) -> str:
    return "not measured" if share is None else f"{share:.0%}"
