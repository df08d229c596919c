"""Clients in a process of their own that keep their connections, as clients do that mind their speed.

Requests are HTTP/1.1 messages, made beforehand; all that a client does is to send one and to read the answer.
Any answer but 200 ends the benchmark: what refuses work has no rate.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

from siege import Due, percentile

PATIENCE_S = 300  # for one answer
KNEE = 0.98  # of the best rate, which the knee has at least

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking for a while."""

    latencies_s: list[float]
    seconds: float

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.latencies_s) / self.seconds

    @property
    def p99_ms(self) -> float:
        """Of the latencies."""
        return 1000 * percentile(self.latencies_s, 99)


def message(path: str, body: bytes, content_type: str, accept: str) -> bytes:
    """A POST, ready to be sent."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {content_type}",
        f"Accept: {accept}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "\r\n"]).encode() + body


def knee_of(rates: dict[int, float]) -> int:
    """The fewest clients, by number of clients, with nearly the best rate of all."""
    return min(num_clients for num_clients, rate in rates.items() if rate >= KNEE * max(rates.values()))


class Clients:
    """The process of the clients; `with` ends it."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def closed_loop(self, url: str, deck: Sequence[bytes], num_clients: int, seconds: float) -> Asked:
        """So many clients, each of which asks as soon as it was answered."""
        return self._done(_closed_loop, url, deck, num_clients, seconds)

    def open_loop(self, url: str, deck: Sequence[bytes], schedule: Sequence[Due]) -> Asked:
        """Requests sent when they are due, answered or not the ones before; latency counts from then."""
        return self._done(_open_loop, url, deck, schedule)

    def _done(self, function: Callable[..., T], *args: object) -> T:
        return self._pool.submit(function, *args).result()


class _Connection:
    """One connection, for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, url: str) -> Self:
        address = urlsplit(url)
        return cls(*await asyncio.open_connection(address.hostname, address.port))

    async def ask(self, request: bytes) -> None:
        """Send a request and read its answer; RuntimeError where that is not 200."""
        async with asyncio.timeout(PATIENCE_S):
            self._writer.write(request)
            head = await self._reader.readuntil(b"\r\n\r\n")
            status_line, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self._reader.readexactly(int(headers["content-length"]))
        if status_line.split()[1] != "200":
            raise RuntimeError(f"a request was answered {status_line}: {body[:500]!r}")

    def close(self) -> None:
        self._writer.close()


def _closed_loop(url: str, deck: Sequence[bytes], num_clients: int, seconds: float) -> Asked:
    latencies_s: list[float] = []

    async def client(connection: _Connection, ends_at: float) -> None:
        while (asks_at := time.perf_counter()) < ends_at:
            await connection.ask(next(requests))
            latencies_s.append(time.perf_counter() - asks_at)

    async def all_clients() -> float:
        connections = [await _Connection.to(url) for _ in range(num_clients)]
        begins_at = time.perf_counter()
        await asyncio.gather(*(client(connection, begins_at + seconds) for connection in connections))
        took_s = time.perf_counter() - begins_at
        for connection in connections:
            connection.close()
        return took_s

    requests = itertools.cycle(deck)
    took_s = asyncio.run(all_clients())
    return Asked(latencies_s, took_s)


def _open_loop(url: str, deck: Sequence[bytes], schedule: Sequence[Due]) -> Asked:
    idle: list[_Connection] = []
    latencies_s: list[float] = []

    async def ask(number: int, due_at: float) -> None:
        connection = idle.pop() if idle else await _Connection.to(url)
        await connection.ask(deck[number])
        latencies_s.append(time.perf_counter() - due_at)
        idle.append(connection)

    async def all_requests() -> float:
        begins_at = time.perf_counter()
        asked = []
        for due in schedule:
            due_at = begins_at + due.after_s
            await asyncio.sleep(due_at - time.perf_counter())
            asked.append(asyncio.create_task(ask(due.number, due_at)))
        await asyncio.gather(*asked)
        took_s = time.perf_counter() - begins_at
        for connection in idle:
            connection.close()
        return took_s

    took_s = asyncio.run(all_requests())
    return Asked(latencies_s, took_s)
