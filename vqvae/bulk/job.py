"""A whole data set of images to a set of codes: planned, begun or gone on with, and brought to its end.

What is planned can be told before anything is written; running it is left to an engine.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from vqvae.bulk.card import CARD, card_of
from vqvae.bulk.durable import locked, make_folder, remove_leftovers, whole_file
from vqvae.bulk.engines import Engine
from vqvae.bulk.manifest import (
    LISTING,
    MANIFEST,
    MadeWith,
    Manifest,
    Options,
    check_same,
    listing_of,
    make_manifest,
    read_manifest,
)
from vqvae.bulk.plan import Shard, shards_of
from vqvae.bulk.records import DATA, DONE, NUM_FIRST_ERRORS, ShardRecord, finished_record
from vqvae.bulk.shard import NOTHING, ShardWork, Tally
from vqvae.bulk.webdataset import check_samples
from vqvae.checkpoint import load_card
from vqvae.errors import BulkError
from vqvae.sources import Source, open_source

MAX_ERROR_RATE = 0.01


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done, all of it."""

    folder: Path
    source: Source
    listing: bytes  # `listing.jsonl`
    manifest: Manifest
    shards: tuple[Shard, ...]

    def finished(self) -> list[ShardRecord]:
        """The records of the shards that are done already."""
        records = (finished_record(self.folder, shard.name) for shard in self.shards)
        return [record for record in records if record is not None]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    num_images: int  # of the whole job
    done: Tally  # in this run and in those before it
    here: Tally  # in this run
    seconds: float  # of this run

    @property
    def seconds_left(self) -> float | None:
        """By the pace of this run; None before its first image."""
        if not self.here.num_images:
            return None
        return self.seconds / self.here.num_images * (self.num_images - self.done.num_images)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left behind, with what those before it had done."""

    num_shards: int
    num_finished: int  # shards; all of them, unless the run was stopped
    num_images: int  # in the finished shards
    num_errors: int
    num_codes: int
    num_bytes: int
    first_errors: tuple[str, ...]  # "key: reason", three at most

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.num_finished == self.num_shards


def plan_job(
    source: str | Path,
    folder: str | Path,
    *,
    model: str | Path = "photo-f8",
    options: Options | None = None,
    device: str = "cpu",
) -> Job:
    """List the source and say what is to be done; nothing is written.

    BulkError where the folder holds something else, or was begun with another model, other options, versions
    or images; DataError for a bad source.
    """
    folder, options = Path(folder), options or Options()
    if folder.resolve().is_relative_to(Path(source).resolve()):
        raise BulkError(f"{folder} lies in {source}, whose images it would join; choose a folder elsewhere")
    images = open_source(source)
    if options.format == "webdataset":
        check_samples(images.keys)
    listing = listing_of(images)
    manifest = make_manifest(str(source), listing, load_card(model).space, options, MadeWith.here(device))
    job = Job(folder, images, listing, manifest, tuple(shards_of(manifest, images.keys)))
    _check_folder(job)
    return job


def run_job(
    job: Job,
    engine: Engine,
    *,
    max_error_rate: float = MAX_ERROR_RATE,
    on_progress: Callable[[Progress], None] | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Do what is left of a job.

    BulkError where another run is at it, where the machine fails, or where so many images are bad that the
    whole has more than `max_error_rate` of them; what is finished stays all the same.

    Args:
        is_stopped: asked before each shard; once it says so, those under way are finished, and no more.
    """
    num_images = job.manifest.source.num_images
    make_folder(job.folder)
    with locked(job.folder):
        _begin(job)
        records = {record.file: record for record in job.finished()}
        _check_errors(job, records, max_error_rate)
        done_before, done = _tally(records), set(records)
        num_errors = done_before.num_errors
        started, here = time.monotonic(), NOTHING

        def tell(tally: Tally) -> None:
            nonlocal here
            here += tally
            if on_progress is not None:
                seconds = time.monotonic() - started
                on_progress(Progress(num_images, done_before + here, here, seconds))

        def work() -> Iterator[ShardWork]:
            for shard in job.shards:
                if shard.name in done:
                    continue
                if is_stopped() or num_errors / num_images > max_error_rate:
                    return
                yield ShardWork(job.folder, job.manifest, shard, job.source.part(shard.keys))

        tell(NOTHING)
        with closing(engine.run(work(), tell)) as finished:
            for record in finished:
                records[record.file] = record
                num_errors += record.num_errors
        _clear_away(job.folder)
        _check_errors(job, records, max_error_rate)
    return Outcome(
        num_shards=len(job.shards),
        num_finished=len(records),
        num_images=sum(record.num_images for record in records.values()),
        num_errors=sum(record.num_errors for record in records.values()),
        num_codes=sum(record.num_codes for record in records.values()),
        num_bytes=sum(record.size for record in records.values()),
        first_errors=_first_errors(records),
    )


def _check_folder(job: Job) -> None:
    """BulkError unless a folder can be begun in, or is this very job's."""
    if (job.folder / MANIFEST).exists():
        check_same(read_manifest(job.folder), job.manifest, job.folder, job.listing)
    elif job.folder.is_dir() and any(path.name[:1] != "." for path in job.folder.iterdir()):
        raise BulkError(f"{job.folder} holds other files, and no codes; choose an empty folder or a new one")
    elif job.folder.exists() and not job.folder.is_dir():
        raise BulkError(f"{job.folder} is no folder; choose another name")


def _begin(job: Job) -> None:
    """Write what stands beside the shards, the manifest first, and clear away what kills have left."""
    _check_folder(job)
    for name, content in (
        (MANIFEST, job.manifest.to_json()),
        (LISTING, job.listing),
        (CARD, card_of(job.manifest).encode()),
    ):
        if not (job.folder / name).exists():
            with whole_file(job.folder / name) as file:
                file.write(content)
    for name in (DATA, DONE):
        make_folder(job.folder / name)
    _clear_away(job.folder)


def _clear_away(folder: Path) -> None:
    """Remove what kills have left."""
    for each in (folder, folder / DATA, folder / DONE):
        remove_leftovers(each)


def _tally(records: dict[str, ShardRecord]) -> Tally:
    tallies = (Tally(each.num_images, each.num_errors, each.num_pixels) for each in records.values())
    return sum(tallies, NOTHING)


def _check_errors(job: Job, records: dict[str, ShardRecord], max_error_rate: float) -> None:
    """BulkError where the whole will have more than its share, even if no other image is bad."""
    tally, num_images = _tally(records), job.manifest.source.num_images
    if tally.num_errors / num_images > max_error_rate:
        raise BulkError(
            f"{tally.num_errors} of {tally.num_images} images so far are bad, more than {max_error_rate:g} "
            f"of all {num_images}: {'; '.join(_first_errors(records))}. Their rows are written; with a "
            "higher --max-error-rate the same command goes on"
        )


def _first_errors(records: dict[str, ShardRecord]) -> tuple[str, ...]:
    errors = [error for name in sorted(records) for error in records[name].first_errors]
    return tuple(errors[:NUM_FIRST_ERRORS])
