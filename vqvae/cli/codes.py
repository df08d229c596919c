"""Files of codes as commands read them, and what they tell of them."""

from typing import TYPE_CHECKING, Any

from vqvae.cli.inputs import DASH, Input

if TYPE_CHECKING:
    from vqvae.code_grid import CodeGrid


def suffix_of_codes(item: Input, data: bytes) -> str:
    """What says how codes are kept: the file's own suffix, or that of what standard input begins like."""
    from vqvae.formats import suffix_of  # noqa: PLC0415

    return suffix_of(data) if item.word == DASH else item.suffix


def facts_of(grid: "CodeGrid") -> dict[str, Any]:
    """What --json tells of codes, whichever the command."""
    import numpy as np  # noqa: PLC0415

    h, w = grid.grid
    return {
        "model": grid.space.model,
        "fingerprint": grid.space.fingerprint,
        "codebook_size": grid.space.codebook_size,
        "downsample_factor": grid.space.downsample_factor,
        "original_size": {"width": grid.width, "height": grid.height},
        "grid": {"height": h, "width": w},
        "depth": grid.depth,
        "codes": grid.codes.size,
        "distinct_codes": len(np.unique(grid.codes)),
        "bits_per_pixel": grid.bits_per_pixel,
    }
