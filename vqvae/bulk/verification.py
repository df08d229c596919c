"""Whether a set of codes is what its manifest says: every file, every row, and a sample encoded once more."""

import hashlib
import heapq
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vqvae.bulk.apart import ENDED, unpacking_apart
from vqvae.bulk.manifest import Manifest, read_keys, read_manifest
from vqvae.bulk.plan import Shard, shards_of
from vqvae.bulk.preparing import prepare, unpack
from vqvae.bulk.records import DATA, read_record, sha256_of
from vqvae.bulk.rows import Row
from vqvae.bulk.shard import encode_images, threads
from vqvae.bulk.shard_files import read_rows
from vqvae.errors import BulkError, CodesError, FormatError, VqvaeError
from vqvae.sources import Source
from vqvae.tokenizer import Tokenizer

# Between kinds of machines a code may differ where two code vectors are equally near: of photographs at most
# one in 100,000 on CPUs, and one in 1000 with a GPU on one side. Another model differs almost everywhere.
NEAR_TIES = 1e-3


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at, and what is wrong."""

    num_shards: int
    num_images: int  # rows that were read
    num_codes: int
    num_sampled: int  # images that were encoded once more
    num_sampled_codes: int
    num_differing_codes: int  # among them
    problems: tuple[str, ...]  # none: all is well


@dataclass(frozen=True, slots=True)
class Sample:
    """What to encode once more, and with what."""

    source: Source
    tokenizer: Tokenizer
    num_images: int


def verify(
    folder: Path, sample: Sample | None = None, *, on_shard: Callable[[], None] | None = None
) -> Verified:
    """Read all of a set of codes, and compare; BulkError where there is none, or no sound manifest.

    Args:
        sample: without it nothing is encoded. Its images are chosen by hashes of their keys: always the same.
        on_shard: called after each shard, for progress.
    """
    manifest = read_manifest(folder)
    check = _Check(folder, manifest, sample)
    shards = shards_of(manifest, read_keys(folder, manifest))
    check.choose([key for shard in shards for key in shard.keys])
    for shard in shards:
        check.shard(shard)
        if on_shard is not None:
            on_shard()
    check.strangers({shard.name for shard in shards})
    return check.result(len(shards))


class _Check:
    """What has been seen so far."""

    def __init__(self, folder: Path, manifest: Manifest, sample: Sample | None) -> None:
        self.folder, self.manifest, self.sample = folder, manifest, sample
        self.problems: list[str] = []
        self.chosen: set[str] = set()
        self.num_images = self.num_codes = self.num_sampled = self.num_sampled_codes = self.num_differing = 0
        if sample is not None and sample.tokenizer.space.fingerprint != manifest.space.fingerprint:
            raise BulkError(
                f"{folder} holds codes of {manifest.space.short}, the model is "
                f"{sample.tokenizer.space.short}; give the model that made them"
            )

    def choose(self, keys: Sequence[str]) -> None:
        """Choose the keys of the sample."""
        if self.sample is None:
            return
        in_source = set(self.sample.source.keys)
        gone = [key for key in keys if key not in in_source]
        if gone:
            self.problems.append(f"{len(gone)} images are no longer in the source, {gone[0]} the first")
        self.chosen = set(
            heapq.nsmallest(
                self.sample.num_images,
                (key for key in keys if key in in_source),
                key=lambda key: hashlib.sha256(key.encode()).digest(),
            )
        )

    def shard(self, shard: Shard) -> None:
        """Look at a shard: its record, its file, its rows."""
        path = self.folder / DATA / shard.name
        try:
            record = read_record(self.folder, shard.name)
            if record is None:
                raise BulkError(f"{path} is not finished: it has no done record")
            if not path.is_file():
                raise BulkError(f"{path} is missing")
            if sha256_of(path) != record.sha256:
                raise BulkError(f"{path} is damaged: its SHA-256 is not the one in its record")
            found = self._rows(path, shard.keys)
        except (VqvaeError, OSError) as error:
            self.problems.append(str(error))
            return
        for name, value in {**found, "fingerprint": self.manifest.space.fingerprint}.items():
            if getattr(record, name) != value:
                self.problems.append(f"{path}: {name} is {value}, its record says {getattr(record, name)}")
        self.num_images += found["num_images"]
        self.num_codes += found["num_codes"]

    def strangers(self, names: Collection[str]) -> None:
        """Find files that the manifest does not know: who reads the folder would take them for a part."""
        for path in sorted((self.folder / DATA).glob("[!.]*")):
            if path.name not in names:
                self.problems.append(f"{path} is no shard of this set; remove it")

    def result(self, num_shards: int) -> Verified:
        """What was found."""
        if self.num_differing > NEAR_TIES * self.num_sampled_codes:
            self.problems.append(
                f"{self.num_differing} of {self.num_sampled_codes} codes of the sample are not those that "
                f"{self.manifest.space.short} gives; another model made them, or other options"
            )
        return Verified(
            num_shards,
            self.num_images,
            self.num_codes,
            self.num_sampled,
            self.num_sampled_codes,
            self.num_differing,
            tuple(self.problems),
        )

    def _rows(self, path: Path, keys: Sequence[str]) -> dict[str, int]:
        """Hold each row to the listing and to the contract of codes; returns what a record counts."""
        found = dict.fromkeys(("num_images", "num_errors", "num_codes", "num_pixels"), 0)
        for number, row in enumerate(read_rows(path, self.manifest)):
            place = f"{path}, row {number}"
            if row.key != (expected := keys[number] if number < len(keys) else "no image"):
                raise BulkError(f"{place} is of {row.key}; by the listing it should be {expected}")
            if (row.codes is None) != (row.error is not None):
                raise FormatError(f"{place}: an image has either codes or an error")
            found["num_images"] += 1
            found["num_errors"] += row.error is not None
            if row.codes is not None:
                try:
                    grid = row.code_grid(self.manifest.space)
                except CodesError as error:
                    raise CodesError(f"{place}: {error}") from error
                found["num_codes"] += grid.codes.size
                found["num_pixels"] += grid.width * grid.height
            if row.key in self.chosen:
                self._again(row)
        if found["num_images"] != len(keys):
            raise BulkError(f"{path} has {found['num_images']} rows; by the listing it should be {len(keys)}")
        return found

    def _again(self, row: Row) -> None:
        """Encode an image once more."""
        assert self.sample is not None
        with unpacking_apart() if row.error == ENDED else nullcontext(unpack) as unpacking:
            image = prepare(self.sample.source, row.key, self.manifest.options, unpacking)
        self.num_sampled += 1
        if image.sha256 != row.source_sha256:
            self.problems.append(f"{row.key} is not the image any more that was encoded: its SHA-256 differs")
        elif (image.error is None) != (row.error is None):
            then, now = row.error or "it had codes", image.error or "it can be encoded"
            self.problems.append(f"{row.key} is otherwise than its row: {then}; now {now}")
        elif image.rgb is not None and row.codes is not None:
            with threads(self.manifest.made_with.threads):
                (grid,) = encode_images(self.sample.tokenizer, [image.rgb])
            self.num_sampled_codes += grid.codes.size
            fits = grid.codes.shape == row.codes.shape
            self.num_differing += int(np.sum(grid.codes != row.codes)) if fits else grid.codes.size
