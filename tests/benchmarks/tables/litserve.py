"""The same model behind LitServe: the rate at the knee, and the latency at nine tenths of what both can bear.

Each pair gets the same bodies, and for the latency the same arrivals. Who has no turn is stopped.
"""

import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from asking import Asked, Clients, knee_of, message
from family import Held, family, holding
from figures import Goal, Row, Spread, Table
from litserve_server import Options
from machine import machine
from paired import paired
from siege import poisson, serving

from service.settings import usable_cpus
from tables.in_process import CODE_FILE, JPEG, jpegs

logger = logging.getLogger("benchmarks")

MODEL = "photo-f8"
START_S = 300
END_S = 20
FEWEST = 5  # requests of a round, about, on a machine that is as slow as can be
LEVEL = 0.9  # of the rate that the slower one has at its knee
RATE_GOAL = Goal("at least", 1)  # ours over LitServe's
LATENCY_GOAL = Goal("at least", 1)  # LitServe's p99 over ours


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured."""

    side: int
    num_clients: tuple[int, ...]
    seek_s: float  # for each number of clients, to find a knee
    round_s: float
    level_s: float  # of the rounds at nine tenths


FULL = Sizes(side=256, num_clients=(1, 2, 4, 8), seek_s=3, round_s=5, level_s=8)
QUICK = Sizes(side=64, num_clients=(1, 2), seek_s=0.2, round_s=0.2, level_s=0.5)

DEFAULTS = "its defaults"


def set_ups(*, quick: bool) -> dict[str, Options]:
    """Ways to set LitServe up, by name; the defaults come first."""
    cpus = usable_cpus()
    known = {
        DEFAULTS: Options(MODEL),
        "its fast queue": Options(MODEL, fast_queue=True),
        "batches of 4": Options(MODEL, batch_size=4),
        f"{cpus} workers of one thread": Options(MODEL, workers=cpus, threads=1),
        f"{cpus} workers of one thread, its fast queue": Options(MODEL, cpus, 1, fast_queue=True),
    }
    return {DEFAULTS: known[DEFAULTS]} if quick else known


@dataclass(frozen=True, slots=True)
class Side:
    """A server, what it is asked, and how many clients its knee has; it runs in its turns alone."""

    url: str
    deck: list[bytes]
    held: Held
    knee: int

    def asked(self, ask: Callable[[str, list[bytes]], Asked]) -> Asked:
        """A turn."""
        with self.held.turn():
            return ask(self.url, self.deck)


def litserve(num_rounds: int, *, quick: bool) -> Table:
    """The same model behind LitServe, at its defaults and at its best."""
    sizes = QUICK if quick else FULL
    files = jpegs(16, sizes.side)
    our_deck = [message(f"/v1/encode?model={MODEL}", file, JPEG, CODE_FILE) for file in files]
    their_deck = [message("/predict", file, JPEG, CODE_FILE) for file in files]
    known = set_ups(quick=quick)
    knees: dict[str, int] = {}
    rates: dict[str, float] = {}
    rows: list[Row] = []
    with Clients() as clients, serving({"models": MODEL}) as server:
        logger.info("looking for our knee")
        right = _answer(f"{server.url}/v1/encode", files[0])
        knee, rate = _knee(clients, server.url, our_deck, sizes)
        with holding(server.process.pid) as held:
            ours = Side(server.url, our_deck, held, knee)
            for name, options in known.items():
                logger.info("looking for LitServe's knee: %s", name)
                with _litserve(options) as (url, _):
                    if _answer(f"{url}/predict", files[0]) != right:
                        raise RuntimeError(f"LitServe, {name}, gives other codes than the service")
                    knees[name], rates[name] = _knee(clients, url, their_deck, sizes)
            best = max(rates, key=lambda name: rates[name])
            for name in dict.fromkeys((DEFAULTS, best)):
                logger.info("beside LitServe: %s", name)
                with _litserve(known[name]) as (url, pid), holding(pid) as other:
                    theirs = Side(url, their_deck, other, knees[name])
                    load_per_s = LEVEL * min(rate, rates[name])
                    where = "at its best" if name == best else "at its defaults"
                    rows += _rows(where, ours, theirs, load_per_s, clients, sizes, num_rounds)
    tried = "; ".join(f"{name}, {rate:.1f} images a second" for name, rate in rates.items())
    notes = (
        f"JPEG files of {sizes.side}x{sizes.side} pixels to code files of {MODEL}, both with the same raw "
        "bodies and, for the latency, the same Poisson arrivals at 90% of the rate of the slower one. A "
        "rate is ours over LitServe's, a latency LitServe's over ours. Both share the processors with the "
        f"clients, and who has no turn is stopped. Tried of LitServe, at their knees: {tried}; the best is: "
        f"{best}.",
        machine("litserve", "uvicorn"),
    )
    return Table("litserve", ("LitServe", "what"), ("ours", "LitServe", "times better"), tuple(rows), notes)


def _answer(url: str, file: bytes) -> bytes:
    headers = {"Content-Type": JPEG, "Accept": CODE_FILE}
    return httpx.post(url, content=file, headers=headers, timeout=START_S).raise_for_status().content


def _knee(clients: Clients, url: str, deck: list[bytes], sizes: Sizes) -> tuple[int, float]:
    """How many clients the knee has, and the rate there."""
    rates = {
        num_clients: clients.closed_loop(url, deck, num_clients, sizes.seek_s).per_s
        for num_clients in sizes.num_clients
    }
    knee = knee_of(rates)
    return knee, rates[knee]


def _rows(
    where: str,
    ours: Side,
    theirs: Side,
    load_per_s: float,
    clients: Clients,
    sizes: Sizes,
    num_rounds: int,
) -> list[Row]:
    def rate(side: Side) -> float:
        return side.asked(lambda url, deck: clients.closed_loop(url, deck, side.knee, sizes.round_s)).per_s

    def p99(side: Side, seed: int) -> float:
        def ask(url: str, deck: list[bytes]) -> Asked:
            seconds = max(sizes.level_s, FEWEST / load_per_s)
            return clients.open_loop(url, deck, poisson(load_per_s, seconds, deck, seed))

        return side.asked(ask).p99_ms

    sides = {"ours": ours, "theirs": theirs}
    seeds = {name: itertools.count() for name in sides}
    rates = paired({name: partial(rate, side) for name, side in sides.items()}, num_rounds)
    p99s = paired(
        {name: lambda name=name, side=side: p99(side, next(seeds[name])) for name, side in sides.items()},
        num_rounds,
    )
    our_rate, their_rate = Spread.of(rates["ours"]), Spread.of(rates["theirs"])
    our_p99, their_p99 = Spread.of(p99s["ours"]), Spread.of(p99s["theirs"])
    return [
        Row(
            (where, f"images a second, {ours.knee} and {theirs.knee} clients"),
            (our_rate, their_rate, our_rate.over(their_rate)),
            RATE_GOAL,
        ),
        Row(
            (where, f"p99 at {load_per_s:.1f} a second, ms"),
            (our_p99, their_p99, their_p99.over(our_p99)),
            LATENCY_GOAL,
        ),
    ]


@contextmanager
def _litserve(options: Options) -> Iterator[tuple[str, int]]:
    """A LitServe that is ready, by its address and process id; with all its processes it ends afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = Path(__file__).parents[1] / "litserve_server.py"
    url = f"http://127.0.0.1:{port}"
    with TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, script, str(port), options.as_json()], cwd=folder, stdout=log, stderr=log
        )
        try:
            _await_readiness(process, url, Path(folder) / "log")
            yield url, process.pid
        finally:
            members = family(process.pid)
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
            for member in members:
                with suppress(ProcessLookupError):
                    os.kill(member, signal.SIGKILL)
            process.wait()


def _await_readiness(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(10 * START_S):
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"LitServe did not start: {log.read_text('utf-8', 'replace')[-3000:]}")
