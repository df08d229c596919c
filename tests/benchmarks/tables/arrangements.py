"""Ways to arrange the work, each beside the shipped one, and whether codes and pixels stay what they are.

Shapes: N latents, D code dim.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from contenders import HUGE_PAGES, KEPT_MEMORY, Contender, Work
from figures import Row, Spread, Table
from machine import machine
from numpy.typing import NDArray
from paired import paired
from siege import photograph
from torch import Tensor, nn

from service.settings import usable_cpus
from tables.our_models import drawn, exported, ours, ours_in_onnx_runtime
from vqvae.model.blocks import Conv, ResidualBlock
from vqvae.quantizers import flatten
from vqvae.tokenizer import TILE_SIZE, Tokenizer

logger = logging.getLogger("benchmarks")

MODEL = "photo-f8"
BATCH = 4
DIRECTIONS = ("encode", "decode")
SHIPPED, AT_ONCE, FUSED, PACKED, BFLOAT16 = "shipped", "at once", "fused", "packed", "bfloat16"
WAYS = {"encode": (FUSED, PACKED, BFLOAT16), "decode": (AT_ONCE, FUSED, PACKED, BFLOAT16)}
CDIST, UNSETTLED = "cdist", "unsettled"


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured."""

    side: int
    large_side: int  # of the image in tiles
    tile_sizes: tuple[int, ...]
    round_s: float


FULL = Sizes(side=256, large_side=2560, tile_sizes=(512, 1024, 1536), round_s=0.5)
QUICK = Sizes(side=64, large_side=128, tile_sizes=(64, 128), round_s=0.02)

Measures = dict[str, Callable[[], float]]  # by the words of their rows, the shipped one first


def arrangements(num_rounds: int, *, quick: bool) -> Table:
    """What else was tried: workers, threads, batches, tiles, ONNX Runtime, fused convolutions, bfloat16."""
    sizes = QUICK if quick else FULL
    rows = []
    with ExitStack() as stack:
        for what, measures in (_small(sizes, stack) | _large(sizes, stack)).items():
            logger.info("%s", what)
            rates = {name: Spread.of(values) for name, values in paired(measures, num_rounds).items()}
            shipped = next(iter(rates.values()))
            rows += [Row((what, name), (rate, rate.over(shipped))) for name, rate in rates.items()]
    notes = (
        f"{MODEL} in float32 with {usable_cpus()} threads where nothing else is said; the shipped way comes "
        f"first. Images have {sizes.side}x{sizes.side} pixels, the one in tiles {sizes.large_side}x"
        f"{sizes.large_side}. Codes, or pixels in 0 to 255, are those of the shipped way where no share of "
        "equal ones is told. Workers are processes that work at one time, for the sum of their rates. At "
        "once is the decoder without its bands of rows, and so are the next two: fused are rectifiers and "
        "sums into oneDNN's convolutions, packed besides are the weights, beforehand. "
        f"Memory is kept by {_told(KEPT_MEMORY)}, huge pages come by {_told(HUGE_PAGES)}. A megapixel is "
        "10^6 pixels.",
        machine("onnxruntime"),
    )
    return Table(
        "arrangements", ("a second", "arrangement"), ("rate", "times the shipped"), tuple(rows), notes
    )


def _small(sizes: Sizes, stack: ExitStack) -> dict[str, Measures]:
    """Single images, and the search."""
    cpus, round_s = usable_cpus(), sizes.round_s
    one = stack.enter_context(Contender(arranged, sizes.side, threads=cpus))
    files = {MODEL: exported(MODEL)}
    in_onnx_runtime = stack.enter_context(
        Contender(ours_in_onnx_runtime, files, sizes.side, cpus, threads=cpus)
    )
    teams = {
        f"{cpus} workers of {threads} thread{'s' if threads > 1 else ''}": [
            stack.enter_context(Contender(ours, (MODEL,), sizes.side, threads=threads)) for _ in range(cpus)
        ]
        for threads in dict.fromkeys((1, cpus))
    }
    found: dict[str, Measures] = {}
    for what in DIRECTIONS:
        right = one.result(f"{what} {SHIPPED}")
        theirs = _comparable(what, in_onnx_runtime.result(f"{MODEL} {what}")[0])

        def of_one(
            way: str, what: str = what, right: NDArray[Any] = right
        ) -> tuple[str, Callable[[], float]]:
            name = f"{what} {way}"
            return _equal(one.result(name), right, what), _rate([one.timer(f"{name} timed", round_s)])

        measures = {f"as shipped, a worker of {cpus} threads": of_one(SHIPPED)[1]}
        measures |= {
            name: _rate([worker.timer(f"{MODEL} {what}", 2 * round_s) for worker in team])
            for name, team in teams.items()
        }
        measures[f"batches of {BATCH}"] = _rate([one.timer(f"{what} batch", round_s)], BATCH)
        measures["ONNX Runtime" + _equal(theirs, right, what)] = _rate(
            [in_onnx_runtime.timer(f"{MODEL} {what}", round_s)]
        )
        for way in WAYS[what]:
            equal, measure = of_one(way)
            measures[way + equal] = measure
        found[f"images to {what}"] = measures
    found["images to search the codes of"] = {
        name: _rate([one.timer(f"search {way}", round_s)])
        for name, way in (
            ("as shipped", SHIPPED),
            ("near ties left unsettled", UNSETTLED),
            ("distances by cdist", CDIST),
        )
    }
    return found


def _large(sizes: Sizes, stack: ExitStack) -> dict[str, Measures]:
    """Tiles and the allocator."""
    cpus = usable_cpus()
    shipped = TILE_SIZE if TILE_SIZE in sizes.tile_sizes else sizes.tile_sizes[0]
    usual, keeping, huge = (
        stack.enter_context(Contender(tiled, sizes, threads=cpus, allocator=allocator))
        for allocator in ({}, KEPT_MEMORY, HUGE_PAGES)
    )
    megapixels = sizes.large_side**2 / 1e6

    def measure(contender: Contender, what: str, tile_size: int) -> Callable[[], float]:
        return _rate([contender.timer(f"{what} {tile_size}", sizes.round_s)], megapixels)

    return {
        f"megapixels to {what} in tiles": {
            f"as shipped, {shipped} pixels": measure(usual, what, shipped),
            **{f"{size} pixels": measure(usual, what, size) for size in sizes.tile_sizes if size != shipped},
            f"{shipped} pixels, freed memory kept": measure(keeping, what, shipped),
            f"{shipped} pixels, huge pages": measure(huge, what, shipped),
        }
        for what in DIRECTIONS
    }


def arranged(side: int) -> Mapping[str, Work]:
    """Works `DIRECTION WAY`, what comes of one image, to compare; the same, `timed`; and the searches."""
    tokenizer = Tokenizer.load(MODEL)
    images = drawn(side)
    codes = tokenizer.encode(images)
    batch = images.repeat(BATCH, 1, 1, 1).contiguous(memory_format=torch.channels_last)
    works: dict[str, Work] = {
        "encode batch": partial(tokenizer.encode, batch),
        "decode batch": partial(tokenizer.decode, codes.repeat(BATCH, 1, 1)),
    }
    for way, (encode, decode) in _ways(tokenizer).items():
        for what, work in (("encode", partial(encode, images)), ("decode", partial(decode, codes))):
            works[f"{what} {way} timed"] = work
            works[f"{what} {way}"] = lambda what=what, work=work: _comparable(what, work().numpy())
    latents, codebook = flatten(tokenizer.encoder(images)), tokenizer.quantizer.codebook
    transposed, bias = codebook.t().contiguous(), codebook.square().sum(1) / -2
    works[f"search {SHIPPED}"] = partial(tokenizer.quantizer.nearest_codes, tokenizer.encoder(images))
    works[f"search {UNSETTLED}"] = lambda: torch.addmm(bias, latents, transposed).argmax(1)
    works[f"search {CDIST}"] = lambda: torch.cdist(latents, codebook).argmin(1)
    return {name: torch.inference_mode()(work) for name, work in works.items()}


def tiled(sizes: Sizes) -> Mapping[str, Work]:
    """Works `encode TILE_SIZE` and `decode TILE_SIZE`, of RGB8 arrays and CodeGrids."""
    rgb = photograph(np.random.default_rng(0), sizes.large_side, sizes.large_side)
    grid = Tokenizer.load(MODEL).encode_rgb8(rgb)
    works: dict[str, Work] = {}
    for size in sizes.tile_sizes:
        tokenizer = Tokenizer.load(MODEL, tile_size=size)
        works[f"encode {size}"] = partial(tokenizer.encode_rgb8, rgb)
        works[f"decode {size}"] = partial(tokenizer.decode_rgb8, grid)
    return works


Step = Callable[[Tensor], Tensor]


def _ways(tokenizer: Tokenizer) -> dict[str, tuple[Step, Step]]:
    """Images to codes, and codes to images."""
    quantizer = tokenizer.quantizer
    networks = (tokenizer.encoder, tokenizer.decoder)

    def joined(encoder: Step, decoder: Step, dtype: torch.dtype = torch.float32) -> tuple[Step, Step]:
        return (
            lambda images: quantizer.nearest_codes(encoder(images.to(dtype)).float()),
            lambda codes: decoder(quantizer.lookup(codes).to(dtype)).float().clamp_(-1, 1),
        )

    return {
        SHIPPED: (tokenizer.encode, tokenizer.decode),
        AT_ONCE: joined(*(_chain(network.children()) for network in networks)),
        FUSED: joined(*(_fused(network, packed=False) for network in networks)),
        PACKED: joined(*(_fused(network, packed=True) for network in networks)),
        BFLOAT16: joined(*(deepcopy(network).bfloat16() for network in networks), torch.bfloat16),
    }


def _fused(piece: nn.Module, *, packed: bool) -> Step:
    """A network, or a piece of one, with every convolution's neighbours in it where they can be."""
    match piece:
        case Conv():
            return _convolution(piece, packed=packed)
        case ResidualBlock():
            first, second = (each for each in piece.branch if isinstance(each, Conv))
            inner = _convolution(first, packed=packed, rectified=True)
            outer = _convolution(second, packed=packed)
            return lambda x: outer(inner(x.relu()), x)
        case nn.Module() if list(piece.children()):
            return _chain(_fused(child, packed=packed) for child in piece.children())
        case _:
            return piece


def _chain(steps: Iterable[Step]) -> Step:
    together = list(steps)
    return lambda x: reduce(lambda y, step: step(y), together, x)


def _convolution(conv: Conv, *, packed: bool, rectified: bool = False) -> Callable[..., Tensor]:
    """(B, C_in, H, W) -> (B, C_out, H, W), then the rectifier; given a second tensor, its sum with that."""
    places = ((conv.reach, conv.reach), (1, 1), (1, 1), 1)  # padding, stride, dilation, groups
    weight, run = conv.weight, torch.ops.mkldnn._convolution_pointwise
    if packed:
        weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *places, None)

    def convolution(x: Tensor, other: Tensor | None = None) -> Tensor:
        if other is None:
            return run(x, weight, conv.bias, *places, "relu" if rectified else "none", [], "")
        return run.binary(x, other, weight, conv.bias, *places, "add", 1.0, None, [], None)

    return convolution


def _rate(timers: list[Callable[[], float]], times: float = 1) -> Callable[[], float]:
    """A measure of how much is done a second by all that are timed, at one time."""

    def measure() -> float:
        with ThreadPoolExecutor(len(timers)) as pool:  # of which each waits for a process
            return sum(times / seconds for seconds in pool.map(lambda timer: timer(), timers))

    return measure


def _told(variables: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in variables.items())


def _comparable(what: str, result: NDArray[Any]) -> NDArray[Any]:
    """Codes as they are, images as pixels in 0, ..., 255."""
    return result if what == "encode" else np.rint((result + 1) * 127.5).astype(np.uint8)


def _equal(result: NDArray[Any], right: NDArray[Any], what: str) -> str:
    """The share of equal codes or pixels, in words; nothing where all are equal."""
    share = float(np.mean(result == right))
    return "" if share == 1 else f", {share:.2%} of {'codes' if what == 'encode' else 'pixels'} equal"
