"""Bulk: what `vqvae bulk encode` gets through, beside the library's encoding of the same pictures.

The command has two turns in a round: one on a picture for each worker, which is its start, and one on many
more. The rest of its time went into the rest of the pictures, with reading, hashing, unpacking, framing and
writing. The library has as many threads as the command has workers, and nothing to do but to encode: pixels
that are in memory, and in a turn of its own JPEG files that are in memory.
"""

import itertools
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from contenders import Contender, Work
from figures import Goal, Row, Spread, Table
from machine import machine
from numpy.typing import NDArray
from paired import paired

from service.settings import usable_cpus
from tables.in_process import JPEG, QUALITY
from vqvae.bulk import Options
from vqvae.bulk.preparing import unpack
from vqvae.pixels import RGB8, decode_image, encode_image
from vqvae.tokenizer import Tokenizer

logger = logging.getLogger("benchmarks")

MODEL = "photo-f8"
GOAL = Goal("at least", 90)  # per cent
ROOT = Path(__file__).parents[3]
PHOTOGRAPHS = ROOT / "tests" / "images"
PATCH_SIDE = 192
CALL_PIXELS = 2**20  # of a call to the library, about
ROUND_S = 1.0
WAYS = ("one by one", "in batches")

Codes = Sequence[NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Case:
    """Pictures, and what is made of them."""

    width: int
    height: int
    size: int  # of the square that is encoded; 0: pictures as they are
    num_more: int  # pictures a worker, beyond the first

    @property
    def per_call(self) -> int:
        """Pictures in a call to the library."""
        return max(1, CALL_PIXELS // (self.size**2 or self.width * self.height))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}" + (f" to {self.size}²" if self.size else "")


FULL = (Case(1152, 896, size=0, num_more=6), Case(500, 375, size=256, num_more=80))
QUICK = (Case(64, 48, size=32, num_more=3),)


def bulk(num_rounds: int, *, quick: bool) -> Table:
    """`vqvae bulk encode`, JPEG files and all, over encoding in process."""
    crews = [1] if quick else sorted({1, usable_cpus()})
    rows = [_row(case, crew, num_rounds) for case in (QUICK if quick else FULL) for crew in crews]
    notes = (
        f"{MODEL}. The command is `vqvae bulk encode` on a folder of JPEG files of quality {QUALITY}, put "
        f"together from patches of {PATCH_SIDE}x{PATCH_SIDE} pixels of tests/images, as they are or with "
        "`--size 256`. Every worker has a process, a shard, one thread, and one more that unpacks the next "
        "pictures. A start is the whole command on one picture a worker. Its rate is of the pictures beyond "
        "those, in the time beyond that, with all that the command does: reading, hashing, unpacking, "
        "framing, encoding, and writing shards and records.",
        "Encoding alone is the library in one process with as many threads as the command has workers, on "
        "pixels that are unpacked and framed: in batches of about 2^20 pixels, or one by one in the "
        "library's tiles, whichever is faster at a first look. JPEG and encoding is that with each picture "
        "unpacked and framed first, in the same loop. The goal is the stricter one: JPEG files on one side, "
        "ready pixels on the other. Where processors outnumber workers, those that are left unpack.",
        machine("pyarrow"),
    )
    heads = (
        "a start, s",
        "bulk, images/s",
        "JPEG and encoding, images/s",
        "encoding alone, images/s",
        "bulk over JPEG and encoding, %",
        "bulk over encoding alone, %",
    )
    return Table("bulk", ("pictures", "workers", "the library encodes"), heads, tuple(rows), notes)


def write_pictures(folder: Path, case: Case, num_pictures: int) -> None:
    """The first so many pictures of a case: patches of photographs side by side, none of them enlarged."""
    photographs = [decode_image(path.read_bytes()) for path in sorted(PHOTOGRAPHS.glob("*.png"))]
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(num_pictures):
        rgb = np.empty((case.height, case.width, 3), np.uint8)
        for top in range(0, case.height, PATCH_SIDE):
            for left in range(0, case.width, PATCH_SIDE):
                photograph = photographs[rng.integers(len(photographs))]
                y, x = rng.integers(np.subtract(photograph.shape[:2], PATCH_SIDE - 1))
                place = rgb[top : top + PATCH_SIDE, left : left + PATCH_SIDE]
                place[:] = photograph[y : y + place.shape[0], x : x + place.shape[1]]
        (folder / f"{i:06}.jpg").write_bytes(encode_image(rgb, JPEG, QUALITY))


def library(folder: Path, case: Case) -> Mapping[str, Work]:
    """Works `alone WAY` and `JPEG WAY`: the next few of a folder's pictures to their codes."""
    tokenizer = Tokenizer.load(MODEL, parts="encoder")
    options = Options(size=case.size)
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    ready = itertools.cycle([unpack(file, options) for file in files])
    unpacked = (unpack(file, options) for file in itertools.cycle(files))

    def one_by_one(images: Sequence[RGB8]) -> Codes:
        return [tokenizer.encode_rgb8(rgb).codes for rgb in images]

    def in_batches(images: Sequence[RGB8]) -> Codes:
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        return list(tokenizer.encode(batch).numpy())

    def work(images: Iterable[RGB8], encode: Callable[[Sequence[RGB8]], Codes]) -> Codes:
        return encode(list(itertools.islice(images, case.per_call)))

    return {
        f"{what} {way}": partial(work, images, encode)
        for what, images in (("alone", ready), ("JPEG", unpacked))
        for way, encode in zip(WAYS, (one_by_one, in_batches), strict=True)
    }


def _row(case: Case, workers: int, num_rounds: int) -> Row:
    """A crew of so many workers on the pictures of a case."""
    logger.info("%s, workers: %d", case, workers)
    num_more = workers * case.num_more
    with TemporaryDirectory() as name:
        first, everything = Path(name, "first"), Path(name, "everything")
        write_pictures(first, case, workers)
        write_pictures(everything, case, workers + num_more)
        with Contender(library, everything, case, threads=workers) as in_process:
            way = _faster_way(in_process)
            measures: dict[str, Callable[[], float]] = {
                "start": partial(_command_s, first, case, workers, shard_size=1),
                "command": partial(_command_s, everything, case, workers, shard_size=1 + case.num_more),
                "JPEG": in_process.timer(f"JPEG {way}", ROUND_S),
                "alone": in_process.timer(f"alone {way}", ROUND_S),
            }
            seconds = {what: Spread.of(values) for what, values in paired(measures, num_rounds).items()}
    of_bulk = seconds["command"].minus(seconds["start"]).map(lambda second: num_more / second)
    jpeg, alone = (seconds[what].map(lambda second: case.per_call / second) for what in ("JPEG", "alone"))
    figures = (seconds["start"], of_bulk, jpeg, alone, of_bulk.over(jpeg).times(100))
    return Row((str(case), str(workers), way), (*figures, of_bulk.over(alone).times(100)), GOAL)


def _faster_way(in_process: Contender) -> str:
    """In which the library encodes."""
    for way in WAYS:
        in_process.warm(f"alone {way}")
    return min(WAYS, key=lambda way: in_process.warm(f"alone {way}"))


def _command_s(source: Path, case: Case, workers: int, *, shard_size: int) -> float:
    """Seconds of the whole command into a new folder, a shard for each worker."""
    options = {"model": MODEL, "workers": workers, "shard-size": shard_size}
    if case.size:
        options["size"] = case.size
    words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
    with TemporaryDirectory() as name:
        command = [sys.executable, "-m", "vqvae", "bulk", "encode", *words, str(source), f"{name}/codes"]
        began = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"vqvae bulk encode ended with {done.returncode}:\n{done.stderr}")
    return seconds
