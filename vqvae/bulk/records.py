"""A shard's done record: written last, so that where it is, the shard is whole and on the disk."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from vqvae.bulk.durable import whole_file
from vqvae.config import from_dict, to_dict
from vqvae.errors import BulkError, VqvaeError

DATA, DONE = "data", "done"  # folders of shards and of their records
NUM_FIRST_ERRORS = 3


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What a finished shard holds."""

    file: str  # its name in `data`
    sha256: str
    size: int  # bytes
    fingerprint: str  # of the codes
    num_images: int  # rows, the bad images among them
    num_errors: int
    num_codes: int
    num_pixels: int  # that were encoded
    first_errors: tuple[str, ...]  # "key: reason", three at most


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_path(folder: Path, name: str) -> Path:
    """Where the record of a shard is."""
    return folder / DONE / f"{name}.json"


def write_record(folder: Path, record: ShardRecord) -> None:
    """Declare a shard finished."""
    with whole_file(record_path(folder, record.file)) as file:
        file.write(json.dumps(to_dict(record), indent=1).encode() + b"\n")


def read_record(folder: Path, name: str) -> ShardRecord | None:
    """The record of a shard, None where it is not finished; BulkError where the record is damaged."""
    path = record_path(folder, name)
    try:
        return from_dict(ShardRecord, json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, TypeError, VqvaeError) as error:
        raise BulkError(
            f"{path} is damaged: {error}; delete it, and `vqvae bulk encode` makes it anew"
        ) from error


def finished_record(folder: Path, name: str) -> ShardRecord | None:
    """The record of a shard whose file is there and as long as it should be; None otherwise."""
    record = read_record(folder, name)
    path = folder / DATA / name
    return record if record and path.is_file() and path.stat().st_size == record.size else None
