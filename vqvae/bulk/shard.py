"""One shard of work, which any engine can do: images in, a shard and its done record out.

What is written depends on nothing but the work: not on the process, nor on the number of workers or readers.
Images of one size that follow each other are encoded together; which ones depends on the shard alone.

Shapes: B images a batch, H W image height and width, h w grid height and width, f downsample factor.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vqvae.bulk.apart import unpacking_apart
from vqvae.bulk.durable import whole_file
from vqvae.bulk.manifest import Manifest, check_made_with
from vqvae.bulk.plan import Shard
from vqvae.bulk.preparing import Prepared, prepare, unpack
from vqvae.bulk.records import DATA, NUM_FIRST_ERRORS, ShardRecord, sha256_of, write_record
from vqvae.bulk.rows import Row
from vqvae.bulk.shard_files import row_writer
from vqvae.code_grid import CodeGrid
from vqvae.errors import FingerprintError
from vqvae.pixels import RGB8, pad_to_multiple
from vqvae.sources import Source
from vqvae.tokenizer import Tokenizer

BATCH_PIXELS = 2**20  # as many as a tile has: 16 images of 256x256


@dataclass(frozen=True, slots=True)
class ShardWork:
    """All that a process needs to make one shard, but for the model; it can be pickled."""

    folder: Path  # of the set of codes
    manifest: Manifest
    shard: Shard
    source: Source  # the shard's images
    apart: bool = False  # images are unpacked in a process apart, for one may have ended two workers


@dataclass(frozen=True, slots=True)
class Tally:
    """Images that were worked on."""

    num_images: int
    num_errors: int
    num_pixels: int  # that were encoded

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.num_images + other.num_images,
            self.num_errors + other.num_errors,
            self.num_pixels + other.num_pixels,
        )

    def __neg__(self) -> "Tally":
        return Tally(-self.num_images, -self.num_errors, -self.num_pixels)


NOTHING = Tally(0, 0, 0)


def encode_shard(
    work: ShardWork,
    tokenizer: Tokenizer,
    *,
    readers: int = 1,
    on_images: Callable[[Tally], None] | None = None,
) -> ShardRecord:
    """Write a shard, then its record.

    FingerprintError for a model other than the manifest's, BulkError for other versions or another device.

    Args:
        readers: threads that read and unpack images while others are encoded.
        on_images: called as images are done, for progress.
    """
    space = work.manifest.space
    if tokenizer.space.fingerprint != space.fingerprint:
        raise FingerprintError(
            f"{work.folder} is for codes of {space.short}, the model is {tokenizer.space.short}",
            expected=space.short,
            actual=tokenizer.space.short,
        )
    check_made_with(work.manifest.made_with, tokenizer.device.type)
    path = work.folder / DATA / work.shard.name
    total, num_codes = NOTHING, 0
    first_errors: list[str] = []
    with (
        threads(work.manifest.made_with.threads),
        whole_file(path) as file,
        closing(row_writer(file, work.manifest)) as writer,
    ):
        for rows in _encoded(work, tokenizer, readers):
            tally = Tally(
                len(rows),
                sum(row.error is not None for row in rows),
                sum((row.width or 0) * (row.height or 0) for row in rows),
            )
            for row in rows:
                writer.write(row)
                num_codes += 0 if row.codes is None else row.codes.size
                if row.error is not None and len(first_errors) < NUM_FIRST_ERRORS:
                    first_errors.append(f"{row.key}: {row.error}")
            total += tally
            if on_images is not None:
                on_images(tally)
    record = ShardRecord(
        file=work.shard.name,
        sha256=sha256_of(path),
        size=path.stat().st_size,
        fingerprint=space.fingerprint,
        num_images=total.num_images,
        num_errors=total.num_errors,
        num_codes=num_codes,
        num_pixels=total.num_pixels,
        first_errors=tuple(first_errors),
    )
    write_record(work.folder, record)
    return record


def encode_images(tokenizer: Tokenizer, images: Sequence[RGB8]) -> list[CodeGrid]:
    """Images (H, W, 3) of one size to their codes, together."""
    if len(images) == 1:
        return [tokenizer.encode_rgb8(images[0])]  # in tiles, where it is large
    f = tokenizer.space.downsample_factor
    height, width = images[0].shape[:2]
    pixels = torch.from_numpy(np.stack([pad_to_multiple(rgb, f) for rgb in images])).to(tokenizer.device)
    codes = tokenizer.encode(pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)).cpu().numpy()
    return [CodeGrid(each.astype(tokenizer.space.dtype), width, height, tokenizer.space) for each in codes]


def _encoded(work: ShardWork, tokenizer: Tokenizer, readers: int) -> Iterator[list[Row]]:
    """The rows of a shard in order, a batch at a time."""
    f = tokenizer.space.downsample_factor
    waiting: list[Prepared] = []
    shape: tuple[int, ...] | None = None  # of the waiting images
    room = BATCH_PIXELS
    for image in _prepared(work, readers):
        if image.rgb is not None:
            h, w = tokenizer.space.grid_of(image.rgb.shape[1], image.rgb.shape[0])
            num_pixels = h * w * f**2
            if shape is not None and (image.rgb.shape != shape or num_pixels > room):
                yield _rows(waiting, tokenizer)
                waiting, room = [], BATCH_PIXELS
            shape, room = image.rgb.shape, room - num_pixels
        waiting.append(image)
    if waiting:
        yield _rows(waiting, tokenizer)


def _rows(images: Sequence[Prepared], tokenizer: Tokenizer) -> list[Row]:
    """Images of one size, and bad ones among them, to their rows."""
    good = [image.rgb for image in images if image.rgb is not None]
    grids = iter(encode_images(tokenizer, good) if good else [])
    rows = []
    for image in images:
        if image.rgb is None:
            rows.append(Row(image.key, image.sha256, None, None, None, image.error))
        else:
            grid = next(grids)
            rows.append(Row(image.key, image.sha256, grid.codes, grid.width, grid.height, None))
    return rows


def _prepared(work: ShardWork, readers: int) -> Iterator[Prepared]:
    """The shard's images in order; two for each reader are prepared ahead."""
    with unpacking_apart() if work.apart else nullcontext(unpack) as unpacking:
        pool = ThreadPoolExecutor(readers, thread_name_prefix="bulk-reader")
        ahead: deque[Future[Prepared]] = deque()
        try:
            for key in work.shard.keys:
                ahead.append(pool.submit(prepare, work.source, key, work.manifest.options, unpacking))
                if len(ahead) > 2 * readers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Within, torch computes with this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
