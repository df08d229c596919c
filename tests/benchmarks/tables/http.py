"""What HTTP costs: the service beside a loop over the library, with the same files and the same codes.

The rate is that at the knee, the fewest clients that have nearly the best rate; there the service unpacks one
image while it encodes another, which the loop does one after another. The latency is that of one client,
alone, a mean as that of the loop is.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from asking import Asked, Clients, knee_of, message
from contenders import Contender
from family import holding, processor_s
from figures import Goal, Row, Spread, Table
from machine import machine
from paired import paired
from siege import serving

from service.settings import usable_cpus
from tables.in_process import CODE_FILE, JPEG, jpegs, library

logger = logging.getLogger("benchmarks")

MODEL = "photo-f8"
RATE_GOAL = Goal("at least", 97)  # per cent
LATENCY_GOAL = Goal("at most", 2)  # ms


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured."""

    side: int
    num_clients: tuple[int, ...]
    seek_s: float  # for each number of clients, to find the knee
    round_s: float  # at the knee
    alone_s: float  # of a round with one client


FULL = Sizes(side=256, num_clients=(1, 2, 3, 4, 6, 8, 12, 16), seek_s=3, round_s=6, alone_s=3)
QUICK = Sizes(side=64, num_clients=(1, 2), seek_s=0.2, round_s=0.2, alone_s=0.2)


def http(num_rounds: int, *, quick: bool) -> Table:
    """Images per second at the knee over the in-process rate; added latency at one client."""
    sizes = QUICK if quick else FULL
    all_threads = usable_cpus()
    rows = _compared(all_threads, sizes, num_rounds)
    if all_threads > 1:  # one processor is left for HTTP: what it costs where it takes none from the model
        rows += _compared(all_threads - 1, sizes, num_rounds)
    notes = (
        f"JPEG files of {sizes.side}x{sizes.side} pixels to code files of {MODEL}, over HTTP with the "
        "service at its defaults but for threads, and in one process that calls the library with as many. "
        "Clients keep their connections and share the processors with the service. The knee is the fewest "
        f"clients, of {', '.join(map(str, sizes.num_clients))}, that have 98% of the best rate. A latency is "
        "the mean of a round, for both. What the service computes besides is what all of its threads but the "
        "busiest, which are the model's, spend on an image: its way through FastAPI and the processes that "
        "unpack. Goals are for the defaults.",
        machine("uvicorn"),
    )
    return Table("http", ("what", "threads"), ("over HTTP", "in process", "compared"), rows, notes)


def _compared(threads: int, sizes: Sizes, num_rounds: int) -> tuple[Row, ...]:
    """The rows for a model with so many threads."""
    files = jpegs(16, sizes.side)
    deck = [message(f"/v1/encode?model={MODEL}", file, JPEG, CODE_FILE) for file in files]
    with (
        serving({"models": MODEL, "threads": str(threads)}) as server,
        Clients() as clients,
        Contender(library, MODEL, files, threads=threads) as in_process,
    ):

        def asked(num_clients: int, seconds: float) -> Asked:
            return clients.closed_loop(server.url, deck, num_clients, seconds)

        logger.info("looking for the knee with %d threads", threads)
        knee = knee_of({number: asked(number, sizes.seek_s).per_s for number in sizes.num_clients})
        per_call_s = in_process.timer("encode", sizes.round_s)
        alone_s = in_process.timer("encode", sizes.alone_s)
        with holding(server.process.pid) as held:

            def in_turn(measure: Callable[[], float]) -> float:
                with held.turn():
                    return measure()

            def besides_ms() -> float:
                before = processor_s(server.process.pid)
                num_images = len(asked(1, sizes.alone_s).latencies_s)
                after = processor_s(server.process.pid)
                spent_s = sorted(after[thread] - before.get(thread, 0) for thread in after)
                return 1000 * sum(spent_s[:-threads]) / num_images

            logger.info("the rate at %d clients", knee)
            rates = paired(
                {
                    "http": lambda: in_turn(lambda: asked(knee, sizes.round_s).per_s),
                    "library": lambda: 1 / per_call_s(),
                },
                num_rounds,
            )
            logger.info("the latency at one client")
            latencies = paired(
                {
                    "http": lambda: in_turn(lambda: 1000 / asked(1, sizes.alone_s).per_s),
                    "library": lambda: 1000 * alone_s(),
                },
                num_rounds,
            )
            besides = Spread.of([in_turn(besides_ms) for _ in range(num_rounds)])
    rate_http, rate_library = (Spread.of(rates[name]) for name in ("http", "library"))
    ms_http, ms_library = (Spread.of(latencies[name]) for name in ("http", "library"))
    at_default = threads == usable_cpus()
    none = Spread.of([0.0])
    return (
        Row(
            (f"images a second, {knee} clients; the share in %", str(threads)),
            (rate_http, rate_library, rate_http.over(rate_library).times(100)),
            RATE_GOAL if at_default else None,
        ),
        Row(
            ("ms an image, one client; what is added", str(threads)),
            (ms_http, ms_library, ms_http.minus(ms_library)),
            LATENCY_GOAL if at_default else None,
        ),
        Row(("ms that the service computes besides", str(threads)), (besides, none, besides)),
    )
