"""Large images: what a hundred megapixels take in memory, and whether a megapixel of them takes longer.

A megapixel is 10^6 pixels here, so that the images are nearly square and have a size that no tile divides.
All rounds together are one pass over a large image: each works on the next few of its tiles.
"""

import itertools
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from contenders import Contender, Work
from figures import Goal, Row, Spread, Table
from machine import machine
from numpy.typing import NDArray
from paired import paired
from siege import photograph

from service.settings import usable_cpus
from vqvae.code_grid import CodeGrid
from vqvae.pixels import RGB8
from vqvae.tokenizer import TILE_SIZE, Tokenizer

logger = logging.getLogger("benchmarks")

MODEL = "photo-f8"
MB = 1e6
MEMORY_GOAL = Goal("at most", 700)  # MB above idle
FLAT_GOAL = Goal("at most", 1.25)  # the halos of tiles add a fifth
PATTERN_SIDE = 1024
WARM_SIDE = 256

Number = TypeVar("Number", np.uint8, np.uint16, np.uint32)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured."""

    megapixels: tuple[float, ...]
    tile_size: int


FULL = Sizes(megapixels=(1, 4, 16, 100), tile_size=TILE_SIZE)
QUICK = Sizes(megapixels=(0.02, 0.08), tile_size=64)


def large(num_rounds: int, *, quick: bool) -> Table:
    """100 megapixels: memory above idle; time per megapixel from 1 to 100."""
    sizes = QUICK if quick else FULL
    largest = sizes.megapixels[-1]
    rows: list[Row] = []
    with Contender(timed, sizes, num_rounds, threads=usable_cpus()) as contender:
        for what in ("encode", "decode"):
            logger.info("%s: time", what)
            measures = {
                f"{size:g}": partial(contender.result, f"{what} {size:g}") for size in sizes.megapixels
            }
            seconds = {size: Spread.of(values) for size, values in paired(measures, num_rounds).items()}
            rows += [Row((f"{what}, s a megapixel", size), (of_size,)) for size, of_size in seconds.items()]
            first, *_, last = seconds
            over_first = seconds[last].over(seconds[first])
            rows.append(Row((f"{what}, as a ratio", f"{last} over {first}"), (over_first,), FLAT_GOAL))
    for what in ("encode", "decode"):
        logger.info("%s: memory", what)
        with Contender(weighed, largest, threads=usable_cpus()) as contender:
            contender.warm("idle")
            peak = Spread.of([contender.peak_bytes(what) / MB])
        rows.append(Row((f"{what}, MB above idle", f"{largest:g}"), (peak,), MEMORY_GOAL))
    notes = (
        f"{MODEL} by the library at its defaults with {usable_cpus()} threads: RGB8 arrays to CodeGrids, and "
        "back. All rounds together are one pass over an image of many tiles. Above idle is the highest "
        f"resident set of a process that has the model and has worked on {WARM_SIDE}x{WARM_SIDE} pixels, "
        "less what was resident before, once for each; the pixels "
        f"themselves, {3 * largest:g} MB, are part of it, when they come as when they go. Tiles have halos, "
        f"which an image of one tile has none of, so up to {FLAT_GOAL.bound:g} times counts as flat. An MB "
        "is 10^6 bytes, a megapixel 10^6 pixels.",
        machine(),
    )
    return Table("large", ("what", "megapixels"), ("figure",), tuple(rows), notes)


def timed(sizes: Sizes, num_rounds: int) -> Mapping[str, Work]:
    """Works `encode SIZE` and `decode SIZE` that give seconds a megapixel."""
    tokenizer = Tokenizer.load(MODEL, tile_size=sizes.tile_size)
    works: dict[str, Work] = {}
    for size in sizes.megapixels:
        for what, plan in (
            ("encode", partial(tokenizer.encoding, pixels(size))),
            ("decode", partial(tokenizer.decoding, codes(tokenizer, size))),
        ):
            works[f"{what} {size:g}"] = _in_rounds(plan, tokenizer.space.downsample_factor, num_rounds)
    return works


def _in_rounds(plan: Callable[[], Any], f: int, num_rounds: int) -> Callable[[], float]:
    """A round's share of an image's tiles, or the whole where they are few, in seconds a megapixel.

    What planning takes is shared by all tiles; who has the last one finishes. No round begins cold.
    """
    plan().run(0)
    began = time.perf_counter()
    job = plan()
    plan_s = time.perf_counter() - began
    sizes = [f**2 * math.prod(span.stop - span.start for span in tile.core) for tile in job.tiles]
    n = job.num_tiles
    shares = [range(i * n // num_rounds, (i + 1) * n // num_rounds) for i in range(num_rounds)]
    turns = itertools.cycle(shares if n >= 2 * num_rounds else [range(n)])

    def work() -> float:
        share = next(turns)
        began = time.perf_counter()
        for i in share:
            job.run(i)
        if n - 1 in share:
            job.result()
        seconds = time.perf_counter() - began
        return 1e6 * (seconds / sum(sizes[i] for i in share) + plan_s / sum(sizes))

    return work


def weighed(megapixels: float) -> Mapping[str, Work]:
    """Works `encode` and `decode` of one size, which make what they need; `idle` comes before."""
    tokenizer = Tokenizer.load(MODEL)
    small = photograph(np.random.default_rng(0), WARM_SIDE, WARM_SIDE)
    return {
        "idle": lambda: tokenizer.decode_rgb8(tokenizer.encode_rgb8(small)),
        "encode": lambda: tokenizer.encode_rgb8(pixels(megapixels)),
        "decode": lambda: tokenizer.decode_rgb8(codes(tokenizer, megapixels)),
    }


def pixels(megapixels: float) -> RGB8:
    """A drawn photograph, over and over: (H, W, 3), nearly square."""
    pattern = photograph(np.random.default_rng(0), PATTERN_SIDE, PATTERN_SIDE)
    return _repeated(pattern, _size(megapixels))


def codes(tokenizer: Tokenizer, megapixels: float) -> CodeGrid:
    """The codes of a drawn photograph, over and over, for as large an image."""
    pattern = photograph(np.random.default_rng(0), WARM_SIDE, WARM_SIDE)
    height, width = _size(megapixels)
    space = tokenizer.space
    grid = _repeated(tokenizer.encode_rgb8(pattern).codes, space.grid_of(width, height))
    return CodeGrid(grid, width, height, space)


def _size(megapixels: float) -> tuple[int, int]:
    """Height and width."""
    height = round(math.sqrt(1e6 * megapixels))
    return height, round(1e6 * megapixels / height)


def _repeated(pattern: NDArray[Number], size: tuple[int, int]) -> NDArray[Number]:
    """A pattern side by side until it fills so many rows and columns."""
    whole = np.empty((*size, *pattern.shape[2:]), pattern.dtype)
    rows, columns = pattern.shape[:2]
    for top in range(0, size[0], rows):
        for left in range(0, size[1], columns):
            place = whole[top : top + rows, left : left + columns]
            place[:] = pattern[: place.shape[0], : place.shape[1]]
    return whole
