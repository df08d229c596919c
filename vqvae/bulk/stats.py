"""What is in a set of codes: how often each code occurs, which images are there twice.

Shapes: K codebook size, f downsample factor.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vqvae import metrics
from vqvae.bulk.code_set import open_code_set
from vqvae.code_grid import CodeSpace
from vqvae.pixels import RGB8

COLUMNS = 16  # of the picture
GAP = 2  # white pixels between two codes
PATCH_SIDE = 32  # pixels: codes are enlarged to at least that


@dataclass(frozen=True, slots=True, eq=False)
class Stats:
    """A set of codes in figures."""

    space: CodeSpace
    num_images: int
    num_errors: int
    num_codes: int
    num_pixels: int  # that the codes stand for
    counts: npt.NDArray[np.int64]  # (K,) how often each code occurs
    duplicates: tuple[tuple[str, ...], ...]  # keys of equal files, by SHA-256; in order, as their first

    @property
    def usage(self) -> float:
        """Share of K that occurs, in [0, 1]."""
        return metrics.usage(self.counts)

    @property
    def perplexity(self) -> float:
        """In [1, K]; DataError where there are no codes."""
        return metrics.perplexity(self.counts)

    @property
    def entropy_bits(self) -> float:
        """Bits a code, order 0; DataError where there are no codes."""
        return metrics.entropy_bits(self.counts)

    @property
    def num_duplicates(self) -> int:
        """Images that are there already."""
        return sum(len(keys) - 1 for keys in self.duplicates)

    def most_common(self, number: int) -> list[int]:
        """Codes that occur, the most common first; of equals the lower."""
        order = np.argsort(-self.counts, kind="stable")[:number]
        return [int(code) for code in order if self.counts[code]]

    def share_of_codes(self, share: float) -> int:
        """How many codes, the most common first, make up this share of all that occur."""
        ordered = np.cumsum(np.sort(self.counts)[::-1])
        return int(np.searchsorted(ordered, share * self.num_codes) + 1)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "model": self.space.model,
            "fingerprint": self.space.fingerprint,
            "codebook_size": self.space.codebook_size,
            "images": self.num_images,
            "errors": self.num_errors,
            "codes": self.num_codes,
            "pixels": self.num_pixels,
            "usage": self.usage,
            "perplexity": self.perplexity if self.num_codes else None,
            "entropy_bits": self.entropy_bits if self.num_codes else None,
            "duplicates": [list(keys) for keys in self.duplicates],
            "histogram": self.counts.tolist(),
        }


def stats_of(folder: str | Path) -> Stats:
    """Read a whole set of codes; BulkError where it is not finished, FormatError where it is damaged."""
    code_set = open_code_set(folder)
    space = code_set.manifest.space
    counts = np.zeros(space.codebook_size, np.int64)
    first: dict[bytes, str] = {}  # SHA-256 -> key
    repeated: dict[str, list[str]] = {}  # first key -> all keys
    for row in code_set.rows():
        if row.codes is not None:
            counts += np.bincount(row.codes.ravel(), minlength=space.codebook_size)
        if row.source_sha256 is not None:
            key = first.setdefault(bytes.fromhex(row.source_sha256), row.key)
            if key != row.key:
                repeated.setdefault(key, [key]).append(row.key)
    records = code_set.records
    return Stats(
        space,
        num_images=sum(record.num_images for record in records),
        num_errors=sum(record.num_errors for record in records),
        num_codes=int(counts.sum()),
        num_pixels=sum(record.num_pixels for record in records),
        counts=counts,
        duplicates=tuple(map(tuple, repeated.values())),
    )


def picture_of(codes: list[int], patches: npt.NDArray[np.uint8]) -> RGB8:
    """Codes in rows, each as what it decodes to alone: patches (K, f, f, 3) -> picture (H, W, 3)."""
    scale = -(-PATCH_SIDE // patches.shape[1])
    side = patches.shape[1] * scale
    columns = min(COLUMNS, max(1, len(codes)))
    rows = -(-max(1, len(codes)) // columns)
    canvas = np.full((rows * (side + GAP) - GAP, columns * (side + GAP) - GAP, 3), 255, np.uint8)
    for number, code in enumerate(codes):
        row, column = divmod(number, columns)
        top, left = row * (side + GAP), column * (side + GAP)
        canvas[top : top + side, left : left + side] = patches[code].repeat(scale, 0).repeat(scale, 1)
    return canvas
