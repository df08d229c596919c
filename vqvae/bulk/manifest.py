"""What a set of codes is made of and with: `manifest.json`, written before all else and never changed.

Two runs with one manifest write the same bytes, so a run goes on only where its manifest is the one that is
there. The source's listing stands beside it in `listing.jsonl`, a line an image in the order of the rows:
`["key", size in bytes]`, of Parquet the bytes that the images of a row group take there.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import vqvae
from vqvae.code_grid import CodeSpace
from vqvae.config import from_dict, require, to_dict
from vqvae.errors import BulkError, DataError, VqvaeError
from vqvae.pixels import PIXELS_VERSION
from vqvae.sources import Source

FORMAT_VERSION = 1
MANIFEST, LISTING = "manifest.json", "listing.jsonl"
THREADS = 1  # of torch, whatever the number of workers: codes are the same only for one number of threads


@dataclass(frozen=True, slots=True)
class Options:
    """What is chosen for a set of codes, and changes its bytes."""

    format: Literal["parquet", "webdataset"] = "parquet"
    size: int = 0  # pixels: the centre of each image as a square of this side; 0 keeps images as they are
    shard_size: int = 4096  # images
    max_megapixels: int = 200  # an image of more is a bad one; unpacked it takes 3 bytes a pixel

    def __post_init__(self) -> None:
        require(self.size >= 0, "size must be at least 1 pixel, or 0 to keep images as they are", self.size)
        require(self.shard_size >= 1, "shard_size must be at least 1 image", self.shard_size)
        require(self.max_megapixels >= 1, "max_megapixels must be at least 1", self.max_megapixels)


@dataclass(frozen=True, slots=True)
class Listed:
    """The source as it was listed."""

    path: str  # as it was given; it may move, if what is there stays the same
    num_images: int
    sha256: str  # of listing.jsonl


@dataclass(frozen=True, slots=True)
class MadeWith:
    """Programs and numerics; codes, or the bytes around them, may differ with others."""

    device: str  # cpu or cuda
    threads: int
    pixels_version: int
    vqvae: str
    torch: str
    numpy: str
    pillow: str
    pyarrow: str

    @classmethod
    def here(cls, device: str) -> "MadeWith":
        """What this process has."""
        names = ("torch", "numpy", "pillow", "pyarrow")
        versions = {name: version(name) for name in names}
        return cls(device.split(":", maxsplit=1)[0], THREADS, PIXELS_VERSION, vqvae.__version__, **versions)


@dataclass(frozen=True, slots=True)
class Manifest:
    """`manifest.json` as data."""

    format_version: int
    space: CodeSpace
    source: Listed
    options: Options
    made_with: MadeWith

    def to_json(self) -> bytes:
        """The file's bytes."""
        return json.dumps(to_dict(self), indent=1).encode() + b"\n"


def listing_of(source: Source) -> bytes:
    """`listing.jsonl` of a source; DataError for a key that is no text."""
    lines = []
    for key in source.keys:
        try:
            key.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{key!r} is no name in UTF-8; rename it") from error
        lines.append(json.dumps([key, source.mark(key)]))
    return "\n".join([*lines, ""]).encode()


def make_manifest(
    path: str, listing: bytes, space: CodeSpace, options: Options, made_with: MadeWith
) -> Manifest:
    """The manifest of the codes of a listed source."""
    listed = Listed(path, listing.count(b"\n"), hashlib.sha256(listing).hexdigest())
    return Manifest(FORMAT_VERSION, space, listed, options, made_with)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a set of codes; BulkError where a folder has none, or a damaged one."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BulkError(f"{folder} holds no codes of `vqvae bulk encode`: there is no {MANIFEST}")
    try:
        data = json.loads(path.read_bytes())
        if data["format_version"] != FORMAT_VERSION:
            raise BulkError(
                f"{path} is of format version {data['format_version']}, this package reads {FORMAT_VERSION}"
            )
        return from_dict(Manifest, data)
    except BulkError:
        raise
    except (OSError, ValueError, KeyError, TypeError, VqvaeError) as error:
        raise BulkError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def read_keys(folder: Path, manifest: Manifest) -> list[str]:
    """The keys of `listing.jsonl`; BulkError where it is not the one that the manifest was made of."""
    path = folder / LISTING
    try:
        listing = path.read_bytes()
    except OSError as error:
        raise BulkError(f"{path} cannot be read: {error.strerror}") from error
    if hashlib.sha256(listing).hexdigest() != manifest.source.sha256:
        raise BulkError(f"{path} is damaged: its SHA-256 is not the one in {MANIFEST}")
    return [key for key, _ in _entries(listing)]


def check_same(then: Manifest, now: Manifest, folder: Path, listing: bytes) -> None:
    """BulkError that names what differs, unless what is made now goes with what is in a folder."""
    changes = [
        change
        for part in ("space", "options", "made_with")
        for change in _changes(part, getattr(then, part), getattr(now, part))
    ]
    if then.source.sha256 != now.source.sha256:
        changes.append(f"the source changed: {_change(folder / LISTING, listing)}")
    if changes:
        raise BulkError(
            f"{folder} was begun otherwise: {'; '.join(changes)}. Go on as it was begun, or choose another "
            "folder"
        )


def check_made_with(then: MadeWith, device: str) -> None:
    """BulkError that names what differs, unless this process has the same, as a cluster's may not."""
    changes = list(_changes("made_with", then, MadeWith.here(device)))
    if changes:
        raise BulkError(f"this process would make other codes: {'; '.join(changes)}; install what was there")


def _changes(part: str, then: object, now: object) -> Iterator[str]:
    after = to_dict(now)
    for name, value in to_dict(then).items():
        if value != after[name]:
            yield f"{part}.{name} was {value}, now {after[name]}"


def _change(before: Path, listing: bytes) -> str:
    """How a listing differs from the one in a file, in a few words."""
    try:
        old = dict(_entries(before.read_bytes()))
    except (OSError, ValueError):
        return f"{before} tells no more what it was"
    new = dict(_entries(listing))
    first = next((key for key in new if key not in old), None)
    if first is not None:
        return f"{len(new.keys() - old.keys())} images are new, {first} the first"
    first = next((key for key in old if key not in new), None)
    if first is not None:
        return f"{len(old.keys() - new.keys())} images are gone, {first} the first"
    first = next((key for key in new if new[key] != old[key]), None)
    if first is not None:
        return f"{first} had {old[first]} bytes, now {new[first]}"
    return "the images are in another order"


def _entries(listing: bytes) -> Iterator[tuple[str, int | None]]:
    for line in listing.splitlines():
        key, size = json.loads(line)
        yield key, size
