"""The quantizer alone beside vector-quantize-pytorch: latents to codes and code vectors, time and memory.

Shapes: D code dim, K codebook size, h w latent height and width.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from contenders import EXACT_MEMORY, Contender, Work
from figures import Goal, Row, Spread, Table
from machine import machine
from paired import paired
from torch import Tensor, nn

from vqvae.quantizers import EmaQuantizer, EmaQuantizerConfig

logger = logging.getLogger("benchmarks")

CODEBOOK_DIM = 8
TIME_GOAL = Goal("at least", 1.5)
MEMORY_GOAL = Goal("at least", 4)
MB = 1e6


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured."""

    codebook_sizes: tuple[int, ...]
    side: int  # of the plane of latents
    threads: tuple[int, ...]
    round_s: float


FULL = Sizes(codebook_sizes=(1024, 16384, 65536), side=64, threads=(1, 2), round_s=0.5)
QUICK = Sizes(codebook_sizes=(256,), side=16, threads=(1,), round_s=0.02)


def quantizer(num_rounds: int, *, quick: bool) -> Table:
    """The quantizer alone against vector-quantize-pytorch: time and peak memory."""
    sizes = QUICK if quick else FULL
    rows: list[Row] = []
    for threads in sizes.threads:
        logger.info("time, %d threads", threads)
        rows += _times(threads, sizes, num_rounds)
    logger.info("memory")
    rows += _memory(sizes)
    notes = (
        f"A plane of {sizes.side}x{sizes.side} latents of {CODEBOOK_DIM} normal numbers, what an image of "
        f"{8 * sizes.side}x{8 * sizes.side} pixels has at f8, to codes and code vectors, in evaluation, with "
        "one codebook of normal numbers for both. Ours also settles near ties in float64; it is our whole "
        "quantizer, with its losses. A ratio is theirs over ours. Memory is the highest resident set during "
        "a call, less what was resident before, with an allocator that keeps no freed block, once for each.",
        machine("vector-quantize-pytorch"),
    )
    heads = ("ours", "vector-quantize-pytorch", "times less")
    return Table("quantizer", ("what", "K", "threads"), heads, tuple(rows), notes)


def _times(threads: int, sizes: Sizes, num_rounds: int) -> list[Row]:
    with (
        Contender(ours, sizes.codebook_sizes, sizes.side, threads=threads) as mine,
        Contender(theirs, sizes.codebook_sizes, sizes.side, threads=threads) as other,
    ):
        rows = []
        for size in sizes.codebook_sizes:
            timers = {
                name: contender.timer(str(size), sizes.round_s)
                for name, contender in (("ours", mine), ("theirs", other))
            }
            ms = {
                name: Spread.of(seconds).times(1000) for name, seconds in paired(timers, num_rounds).items()
            }
            ratio = ms["theirs"].over(ms["ours"])
            labels = ("time, ms", str(size), str(threads))
            rows.append(Row(labels, (ms["ours"], ms["theirs"], ratio), TIME_GOAL))
    return rows


def _memory(sizes: Sizes) -> list[Row]:
    rows = []
    for size in sizes.codebook_sizes:
        peaks = [_peak(make, size, sizes.side) for make in (ours, theirs)]
        labels = ("peak memory, MB", str(size), "1")
        rows.append(Row(labels, (*peaks, peaks[1].over(peaks[0])), MEMORY_GOAL))
    return rows


def _peak(make: Callable[..., Mapping[str, Work]], codebook_size: int, side: int) -> Spread:
    with Contender(make, (codebook_size,), side, threads=1, allocator=EXACT_MEMORY) as contender:
        contender.warm(str(codebook_size))
        return Spread.of([contender.peak_bytes(str(codebook_size)) / MB])


def ours(codebook_sizes: tuple[int, ...], side: int) -> Mapping[str, Work]:
    """Works by K."""
    works: dict[str, Work] = {}
    for size in codebook_sizes:
        module = EmaQuantizer(EmaQuantizerConfig(codebook_size=size, codebook_dim=CODEBOOK_DIM)).eval()
        latents, codebook = operands(size, side)
        module.set_codes_(torch.ones(size, dtype=torch.bool), codebook)
        works[str(size)] = _work(module, latents)
    return works


def theirs(codebook_sizes: tuple[int, ...], side: int) -> Mapping[str, Work]:
    """The same of vector-quantize-pytorch."""
    from vector_quantize_pytorch import VectorQuantize  # noqa: PLC0415 - ours has none of it in memory

    works: dict[str, Work] = {}
    for size in codebook_sizes:
        module = VectorQuantize(dim=CODEBOOK_DIM, codebook_size=size, accept_image_fmap=True).eval()
        latents, codebook = operands(size, side)
        module.codebook = codebook
        works[str(size)] = _work(module, latents)
    return works


def operands(codebook_size: int, side: int) -> tuple[Tensor, Tensor]:
    """Latents (1, D, h, w) and a codebook (K, D)."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, CODEBOOK_DIM, side, side, generator=generator)
    return latents, torch.randn(codebook_size, CODEBOOK_DIM, generator=generator)


def _work(module: nn.Module, latents: Tensor) -> Work:
    return torch.inference_mode()(lambda: module(latents))
