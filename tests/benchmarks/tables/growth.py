"""How cost grows with the work: with clients, with the side of an image, with the size of the codebook.

Shapes: K codebook size.
"""

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from asking import Clients, message
from contenders import Contender, Work
from figures import Row, Spread, Table
from machine import machine
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from paired import paired
from siege import photograph, serving
from torch import Tensor

from service.settings import usable_cpus
from tables.in_process import CODE_FILE, JPEG, jpegs
from tables.our_models import drawn
from vqvae.quantizers import EmaQuantizer, EmaQuantizerConfig
from vqvae.tokenizer import Tokenizer

logger = logging.getLogger("benchmarks")

MODEL = "photo-f8"
SIDE = 256  # where the side is not what grows
CLIENTS, ENCODE, DECODE, CODEBOOK = (
    "images a second, by clients",
    "encode, megapixels a second, by side",
    "decode, megapixels a second, by side",
    "images encoded a second, by K",
)
PANELS = (
    ("images a second over HTTP", "clients", {"encode": CLIENTS}),
    ("megapixels a second", "pixels along a side", {"encode": ENCODE, "decode": DECODE}),
    ("images encoded a second", "K, codes in the codebook", {"encode": CODEBOOK}),
)
INK, COLOURS = "#24292f", ("#d1495b", "#00798c")


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured."""

    num_clients: tuple[int, ...]
    sides: tuple[int, ...]
    codebook_sizes: tuple[int, ...]
    client_s: float
    round_s: float


FULL = Sizes(
    num_clients=(1, 2, 4, 8, 16, 32, 64),
    sides=(64, 128, 256, 512, 1024, 2048, 4096),
    codebook_sizes=(256, 1024, 4096, 16384, 65536),
    client_s=2,
    round_s=0.3,
)
QUICK = Sizes(num_clients=(1, 4), sides=(64, 128), codebook_sizes=(256, 1024), client_s=0.2, round_s=0.02)


def growth(num_rounds: int, *, quick: bool) -> Table:
    """Rates against concurrency, image side and codebook size; the plot is growth.png."""
    sizes = QUICK if quick else FULL
    logger.info("clients")
    rates = {CLIENTS: _by_clients(sizes, num_rounds)}
    with Contender(sided, sizes.sides, threads=usable_cpus()) as contender:
        for what, series in (("encode", ENCODE), ("decode", DECODE)):
            logger.info("%s, sides", what)
            measures = {side: _megapixels_a_second(contender, what, side, sizes) for side in sizes.sides}
            rates[series] = _spreads(measures, num_rounds)
    with Contender(coded, sizes.codebook_sizes, threads=usable_cpus()) as contender:
        logger.info("codebooks")
        measures = {size: _calls_a_second(contender, str(size), sizes) for size in sizes.codebook_sizes}
        rates[CODEBOOK] = _spreads(measures, num_rounds)
    rows = tuple(
        Row((series, str(at)), (rate,))
        for series, of_series in rates.items()
        for at, rate in of_series.items()
    )
    notes = (
        f"{MODEL} with {usable_cpus()} threads. Clients ask the service at its defaults for the codes of "
        f"JPEG files of {SIDE}x{SIDE} pixels, each as soon as it was answered. By side the library goes from "
        "RGB8 arrays to CodeGrids and back. By K it has the model's encoder and a codebook of normal "
        f"numbers, for images of {SIDE}x{SIDE} pixels. A megapixel is 10^6 pixels.",
        machine("uvicorn"),
    )
    return Table("growth", ("what", "at"), ("rate",), rows, notes)


def sided(sides: tuple[int, ...]) -> Mapping[str, Work]:
    """Works `encode SIDE` and `decode SIDE`."""
    tokenizer = Tokenizer.load(MODEL)
    works: dict[str, Work] = {}
    for side in sides:
        rgb = photograph(np.random.default_rng(0), side, side)
        works[f"encode {side}"] = partial(tokenizer.encode_rgb8, rgb)
        works[f"decode {side}"] = partial(tokenizer.decode_rgb8, tokenizer.encode_rgb8(rgb))
    return works


def coded(codebook_sizes: tuple[int, ...]) -> Mapping[str, Work]:
    """Works by K: an image through the model's encoder to the codes of another codebook."""
    tokenizer = Tokenizer.load(MODEL, parts="encoder")
    images = drawn(SIDE)

    def encoding(size: int) -> Callable[[], Tensor]:
        torch.manual_seed(0)
        config = EmaQuantizerConfig(codebook_size=size, codebook_dim=tokenizer.quantizer.config.codebook_dim)
        quantizer = EmaQuantizer(config).eval()
        return torch.inference_mode()(lambda: quantizer.nearest_codes(tokenizer.encoder(images)))

    return {str(size): encoding(size) for size in codebook_sizes}


def plot(table: Table) -> bytes:
    """A PNG of the table: a panel for each thing that grows."""
    canvas = Figure(figsize=(12, 3.6), dpi=160, layout="constrained")
    for axes, (title, what, of_panel) in zip(canvas.subplots(1, len(PANELS)), PANELS, strict=True):
        for (name, series), colour in zip(of_panel.items(), COLOURS, strict=False):
            _draw(axes, [row for row in table.rows if row.labels[0] == series], name, colour)
        _style(axes, title, what)
        if len(of_panel) > 1:
            axes.legend(frameon=False, labelcolor=INK)
    file = io.BytesIO()
    canvas.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _draw(axes: Axes, rows: Sequence[Row], name: str, colour: str) -> None:
    at = [int(row.labels[1]) for row in rows]
    rates = [row.figures[0] for row in rows]
    axes.plot(at, [rate.median for rate in rates], "o-", color=colour, label=name, markersize=4)
    axes.fill_between(
        at,
        [rate.lower for rate in rates],
        [rate.upper for rate in rates],
        color=colour,
        alpha=0.2,
        linewidth=0,
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks(at, [str(each) for each in at], rotation=45)
    axes.xaxis.set_minor_locator(NullLocator())


def _style(axes: Axes, title: str, what: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(what, color=INK)
    axes.set_ylim(bottom=0)
    axes.grid(color="#e6e9ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def _by_clients(sizes: Sizes, num_rounds: int) -> dict[int, Spread]:
    deck = [message(f"/v1/encode?model={MODEL}", file, JPEG, CODE_FILE) for file in jpegs(16, SIDE)]
    with serving({"models": MODEL}) as server, Clients() as clients:

        def images_a_second(num_clients: int) -> float:
            return clients.closed_loop(server.url, deck, num_clients, sizes.client_s).per_s

        images_a_second(1)
        return _spreads(
            {number: partial(images_a_second, number) for number in sizes.num_clients}, num_rounds
        )


def _spreads(measures: Mapping[int, Callable[[], float]], num_rounds: int) -> dict[int, Spread]:
    by_name = {str(at): measure for at, measure in measures.items()}
    return {int(at): Spread.of(values) for at, values in paired(by_name, num_rounds).items()}


def _calls_a_second(contender: Contender, work: str, sizes: Sizes) -> Callable[[], float]:
    seconds_a_call = contender.timer(work, sizes.round_s)
    return lambda: 1 / seconds_a_call()


def _megapixels_a_second(contender: Contender, what: str, side: int, sizes: Sizes) -> Callable[[], float]:
    calls_a_second = _calls_a_second(contender, f"{what} {side}", sizes)
    return lambda: side**2 / 1e6 * calls_a_second()
