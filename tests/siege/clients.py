"""Clients in a process of their own, so that they time the service and not the siege around them.

Open loop: requests are sent when they are due, whether or not earlier ones were answered, and latency counts
from then. Closed loop: so many clients, each of which asks as soon as it was answered.

Every request has a connection of its own, HTTP/1.1 over asyncio's streams: an HTTP library would take more of
the processors than all else here. Times are by time.monotonic, which is one clock for all processes.
"""

import asyncio
import itertools
import math
import random
import resource
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from uuid import uuid4

from deck import Request

PATIENCE_S = 300  # then a request hangs; no deadline of the service is as late
LEAD_S = 2  # for the deck to reach the clients before the first request is due


@dataclass(slots=True)
class Outcome:
    """What became of one request; what did not happen was at infinity."""

    number: int  # of the request in its deck
    request_id: str
    due_at: float
    sent_at: float = math.inf  # before its connection was opened
    body_sent_at: float = math.inf  # the last byte is the kernel's
    first_byte_at: float = math.inf
    answered_at: float = math.inf
    status: int | None = None  # None: no answer, or not the whole of it
    is_right: bool = False  # 200, and the answer is the one that was learned
    retry_after: bool = False  # there was such a header

    @property
    def latency_s(self) -> float:
        """From when it was due."""
        return self.answered_at - self.due_at

    @property
    def wait_s(self) -> float:
        """From the last byte of the request to the first one of the answer."""
        return self.first_byte_at - self.body_sent_at


@dataclass(frozen=True, slots=True)
class Due:
    """When a request is due, in seconds from the start, and its number in the deck."""

    after_s: float
    number: int


@dataclass(frozen=True, slots=True)
class Load:
    """An open loop that is under way."""

    starts_at: float
    future: Future[list[Outcome]]

    def outcomes(self) -> list[Outcome]:
        """All of them, once every request was answered or given up."""
        return self.future.result()


class Clients:
    """The process of the clients; `with` ends it."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_allow_connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def closed_loop(
        self, url: str, deck: Sequence[Request], num_clients: int, seconds: float
    ) -> list[Outcome]:
        """Outcomes of going round the deck for so long, and once round it at least."""
        return self._pool.submit(_closed_loop, url, deck, num_clients, seconds).result()

    def open_loop(self, url: str, deck: Sequence[Request], schedule: Sequence[Due]) -> Load:
        """The load of a schedule, begun."""
        starts_at = time.monotonic() + LEAD_S
        return Load(starts_at, self._pool.submit(_open_loop, url, deck, schedule, starts_at))


def poisson(rate: float, seconds: float, deck: Sequence[Request], seed: int) -> list[Due]:
    """A schedule of so many requests a second, each due independently of all others."""
    rng = random.Random(seed)
    schedule = []
    after_s = rng.expovariate(rate)
    while after_s < seconds:
        schedule.append(Due(after_s, rng.randrange(len(deck))))
        after_s += rng.expovariate(rate)
    return schedule


def _allow_connections() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _closed_loop(url: str, deck: Sequence[Request], num_clients: int, seconds: float) -> list[Outcome]:
    outcomes: list[Outcome] = []

    async def client() -> None:
        for number in numbers:
            outcomes.append(await _ask(url, deck, number, time.monotonic()))
            if time.monotonic() >= ends_at and len(outcomes) >= len(deck):
                return

    async def all_clients() -> None:
        await asyncio.gather(*(client() for _ in range(num_clients)))

    numbers = itertools.cycle(random.Random(0).sample(range(len(deck)), len(deck)))
    ends_at = time.monotonic() + seconds
    asyncio.run(all_clients())
    return outcomes


def _open_loop(url: str, deck: Sequence[Request], schedule: Sequence[Due], starts_at: float) -> list[Outcome]:
    async def all_requests() -> list[Outcome]:
        asked = []
        for due in schedule:
            due_at = starts_at + due.after_s
            await asyncio.sleep(due_at - time.monotonic())
            asked.append(asyncio.create_task(_ask(url, deck, due.number, due_at)))
        return await asyncio.gather(*asked)

    return asyncio.run(all_requests())


async def _ask(url: str, deck: Sequence[Request], number: int, due_at: float) -> Outcome:
    outcome = Outcome(number, uuid4().hex, due_at)
    with suppress(OSError, EOFError):  # a timeout is an OSError; what came until then stands in the outcome
        async with asyncio.timeout(PATIENCE_S):
            await _exchange(url, deck[number], outcome)
    return outcome


async def _exchange(url: str, request: Request, outcome: Outcome) -> None:
    """One request and its answer, noted as it goes on."""
    address = urlsplit(url)
    headers = request.headers | {
        "Host": address.netloc,
        "Connection": "close",
        "Content-Length": str(len(request.body)),
        "X-Request-ID": outcome.request_id,
    }
    lines = [f"POST {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    outcome.sent_at = time.monotonic()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.transport.set_write_buffer_limits(high=0)  # so that drain() waits for the last byte
        writer.write("\r\n".join([*lines, "\r\n"]).encode() + request.body)
        await writer.drain()
        outcome.body_sent_at = time.monotonic()
        head = await reader.readuntil(b"\r\n\r\n")
        outcome.first_byte_at = time.monotonic()
        status_line, *lines = head.decode("latin-1").split("\r\n")
        answered = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(answered["content-length"]))
        outcome.answered_at = time.monotonic()
        outcome.status = int(status_line.split()[1])
        outcome.is_right = outcome.status == 200 and sha256(body).hexdigest() == request.right
        outcome.retry_after = "retry-after" in answered
    finally:
        writer.close()
