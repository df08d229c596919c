"""A finished set of codes, to be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vqvae.bulk.manifest import Manifest, read_manifest
from vqvae.bulk.plan import shard_names
from vqvae.bulk.records import DATA, ShardRecord, finished_record, sha256_of
from vqvae.bulk.rows import Row
from vqvae.bulk.shard_files import read_rows
from vqvae.errors import BulkError, FormatError


@dataclass(frozen=True, slots=True)
class CodeSet:
    """Where it is, what it is, and what each of its shards holds."""

    folder: Path
    manifest: Manifest
    records: tuple[ShardRecord, ...]

    def rows(self) -> Iterator[Row]:
        """All rows in order, the bad images' too; FormatError where a shard is not what was written."""
        for record in self.records:
            path = self.folder / DATA / record.file
            if sha256_of(path) != record.sha256:
                raise FormatError(f"{path} is damaged: its SHA-256 is not the one in its record")
            yield from read_rows(path, self.manifest)


def open_code_set(folder: str | Path) -> CodeSet:
    """A set by its folder; BulkError where it is none, or not finished."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    names = shard_names(manifest)
    records = tuple(record for name in names if (record := finished_record(folder, name)))
    if len(records) < len(names):
        raise BulkError(
            f"{folder} is not finished: {len(names) - len(records)} of {len(names)} shards are missing; "
            "`vqvae bulk encode` goes on with it"
        )
    return CodeSet(folder, manifest, records)
