"""Shards as files: which format writes and reads them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from vqvae.bulk.manifest import Manifest
from vqvae.bulk.parquet import ParquetWriter, read_parquet
from vqvae.bulk.rows import Row
from vqvae.bulk.webdataset import TarWriter, read_tar


class RowWriter(Protocol):
    """Rows to an open file."""

    def write(self, row: Row) -> None:
        """Add one row."""

    def close(self) -> None:
        """Finish the file, which stays open."""


_WRITERS: dict[str, Callable[[BinaryIO, Manifest], RowWriter]] = {
    "parquet": ParquetWriter,
    "webdataset": TarWriter,
}
_READERS = {"parquet": read_parquet, "webdataset": read_tar}


def row_writer(file: BinaryIO, manifest: Manifest) -> RowWriter:
    """What writes the rows of a shard."""
    return _WRITERS[manifest.options.format](file, manifest)


def read_rows(path: Path, manifest: Manifest) -> Iterator[Row]:
    """The rows of a shard in order; FormatError where it is damaged."""
    return _READERS[manifest.options.format](path)
