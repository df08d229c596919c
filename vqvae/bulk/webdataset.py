"""Rows as a WebDataset shard: a tar file whose bytes follow from the rows alone.

An image `a/b.jpg` is the sample `a/b`: `a/b.codes.npy` with its codes (h, w), of a bad image (0, 0), for
readers want all samples to have the same files; then `a/b.json` with the rest, as the columns of the Parquet
shards, and the fingerprint. Readers also take what follows the first dot of a name for the kind of a file, so
dots within a sample's name become underscores.

Shapes: h w grid height and width.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from vqvae.bulk.manifest import Manifest
from vqvae.bulk.rows import Row
from vqvae.errors import ConfigError, FormatError
from vqvae.sources import IMAGE_SUFFIXES

CODES, FACTS = ".codes.npy", ".json"


class TarWriter:
    """Rows to a file, one after another."""

    def __init__(self, file: BinaryIO, manifest: Manifest) -> None:
        self._fingerprint = manifest.space.fingerprint
        self._no_codes = np.empty((0, 0), manifest.space.dtype)
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - see close

    def write(self, row: Row) -> None:
        """Add one row."""
        sample = sample_of(row.key)
        array = io.BytesIO()
        np.save(array, self._no_codes if row.codes is None else row.codes)
        self._add(sample + CODES, array.getvalue())
        facts = {
            "key": row.key,
            "grid_h": row.grid[0],
            "grid_w": row.grid[1],
            "width": row.width,
            "height": row.height,
            "source_sha256": row.source_sha256,
            "status": row.status,
            "error": row.error,
            "fingerprint": self._fingerprint,
        }
        self._add(sample + FACTS, json.dumps(facts).encode())

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()

    def _add(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)  # whose time is 0 and whose owner is nobody
        member.size, member.mode = len(data), 0o644
        self._tar.addfile(member, io.BytesIO(data))


def sample_of(key: str) -> str:
    """The name of an image's sample: its key without the suffix of an image, without a dot, not absolute."""
    path = PurePosixPath(key.lstrip("/"))
    name = path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
    return str(path.with_name(name.replace(".", "_"))) if name != ".." else str(path)


def check_samples(keys: Sequence[str]) -> None:
    """ConfigError where two images would be one sample, or one would lie outside of the shard's own tree."""
    taken: dict[str, str] = {}
    for key in keys:
        sample = sample_of(key)
        if ".." in PurePosixPath(sample).parts:
            raise ConfigError(f"{key} climbs out of its folder, which no tar file may hold; ask for parquet")
        if sample in taken:
            raise ConfigError(
                f"{taken[sample]} and {key} would both be the sample {sample}; rename one, or ask for parquet"
            )
        taken[sample] = key


def read_tar(path: Path) -> Iterator[Row]:
    """The rows of a file in order; FormatError where it is damaged."""
    codes = None
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                file = tar.extractfile(member)
                data = b"" if file is None else file.read()
                if member.name.endswith(CODES):
                    codes = np.load(io.BytesIO(data), allow_pickle=False)
                    continue
                facts = json.loads(data)
                names = ("key", "source_sha256", "width", "height", "error")
                yield Row(
                    codes=None if facts["status"] == "error" else codes,
                    **{name: facts[name] for name in names},
                )
    except (tarfile.TarError, OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path} is damaged: {error}") from error
