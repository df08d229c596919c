"""A photograph of a camera to codes: where the time goes, the unpacking of its file included."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import numpy as np
from contenders import Contender, Work
from figures import Row, Spread, Table
from machine import machine
from siege import photograph

from service.settings import usable_cpus
from tables.in_process import JPEG, QUALITY
from vqvae.formats import to_code_file
from vqvae.pixels import decode_image, encode_image
from vqvae.tokenizer import Tokenizer

logger = logging.getLogger("benchmarks")

P = ParamSpec("P")
T = TypeVar("T")

MODELS = ("photo-f8", "photo-f16")
STAGES = ("JPEG to pixels", "padding, tiles, floats", "encoder", "nearest codes", "code file")


@dataclass(frozen=True, slots=True)
class Size:
    """Of the photograph."""

    width: int
    height: int


FULL = Size(4000, 3000)
QUICK = Size(320, 240)


def jpeg(num_rounds: int, *, quick: bool) -> Table:
    """A JPEG of 12 megapixels to codes: where the time goes."""
    size = QUICK if quick else FULL
    rows = []
    for model in MODELS[:1] if quick else MODELS:
        logger.info("%s", model)
        with Contender(staged, model, size, threads=usable_cpus()) as contender:
            contender.warm("encode")
            rounds = [contender.result("encode") for _ in range(num_rounds)]
        of_stage = {stage: Spread.of([of_round[stage] for of_round in rounds]) for stage in STAGES}
        total = Spread.of([sum(of_round.values()) for of_round in rounds])
        rows += [
            Row((model, stage), (seconds.times(1000), seconds.over(total).times(100)))
            for stage, seconds in {**of_stage, "all": total}.items()
        ]
    notes = (
        f"A drawn photograph of {size.width}x{size.height} pixels as a JPEG file of quality {QUALITY}, in "
        f"memory, to a code file, by the library at its defaults with {usable_cpus()} threads.",
        machine(),
    )
    return Table("jpeg", ("model", "stage"), ("ms", "share, %"), tuple(rows), notes)


def staged(model: str, size: Size) -> Mapping[str, Work]:
    """The work `encode`, which gives the seconds that each stage took."""
    tokenizer = Tokenizer.load(model)
    file = encode_image(photograph(np.random.default_rng(0), size.height, size.width), JPEG, QUALITY)
    seconds: dict[str, float] = {}

    def timed(stage: str, function: Callable[P, T]) -> Callable[P, T]:
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            began = time.perf_counter()
            result = function(*args, **kwargs)
            seconds[stage] += time.perf_counter() - began
            return result

        return call

    tokenizer.encoder.forward = timed("encoder", tokenizer.encoder.forward)
    tokenizer.quantizer.nearest_codes = timed("nearest codes", tokenizer.quantizer.nearest_codes)
    unpack = timed("JPEG to pixels", decode_image)
    encode = timed("all of the encoding", tokenizer.encode_rgb8)
    write = timed("code file", to_code_file)

    def work() -> dict[str, float]:
        seconds.update(dict.fromkeys((*STAGES, "all of the encoding"), 0.0))
        write(encode(unpack(file)))
        rest = seconds["all of the encoding"] - seconds["encoder"] - seconds["nearest codes"]
        seconds["padding, tiles, floats"] = rest
        return {stage: seconds[stage] for stage in STAGES}

    return {"encode": work}
