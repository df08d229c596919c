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
from family import holding
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
    files = jpegs(16, sizes.side)
    deck = [message(f"/v1/encode?model={MODEL}", file, JPEG, CODE_FILE) for file in files]
    with (
        serving({"models": MODEL}) as server,
        Clients() as clients,
        Contender(library, MODEL, files, threads=usable_cpus()) as in_process,
    ):

        def asked(num_clients: int, seconds: float) -> Asked:
            return clients.closed_loop(server.url, deck, num_clients, seconds)

        logger.info("looking for the knee")
        knee = knee_of({number: asked(number, sizes.seek_s).per_s for number in sizes.num_clients})
        per_call_s = in_process.timer("encode", sizes.round_s)
        alone_s = in_process.timer("encode", sizes.alone_s)
        with holding(server.process.pid) as held:

            def in_turn(measure: Callable[[], float]) -> float:
                with held.turn():
                    return measure()

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
    rate_http, rate_library = (Spread.of(rates[name]) for name in ("http", "library"))
    ms_http, ms_library = (Spread.of(latencies[name]) for name in ("http", "library"))
    share = rate_http.over(rate_library).times(100)
    rows = (
        Row(
            (f"images a second, {knee} clients; the share in %",),
            (rate_http, rate_library, share),
            RATE_GOAL,
        ),
        Row(
            ("ms an image, one client; what is added",),
            (ms_http, ms_library, ms_http.minus(ms_library)),
            LATENCY_GOAL,
        ),
    )
    notes = (
        f"JPEG files of {sizes.side}x{sizes.side} pixels to code files of {MODEL}, over HTTP with the "
        f"service at its defaults and in one process that calls the library with {usable_cpus()} threads. "
        "Clients keep their connections and share the processors with the service. The knee is the fewest "
        f"clients, of {', '.join(map(str, sizes.num_clients))}, that have 98% of the best rate. A latency is "
        "the mean of a round, for both.",
        machine("uvicorn"),
    )
    return Table("http", ("what",), ("over HTTP", "in process", "compared"), rows, notes)
