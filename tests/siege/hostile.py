"""Clients with a bad line, or bad intentions: they vanish in their bodies, or send a byte a second."""

import asyncio
import math
import socket
import struct
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from deck import Request

SEEN_S = 0.05  # for the service to see a request before its client is gone
BYTE_S = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a slow client was told, and when; None and infinity where it was told nothing."""

    status: int | None = None
    after_s: float = math.inf


def vanish(url: str, request: Request, *, with_reset: bool) -> None:
    """Send half a body and leave, by RST or by FIN."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(_head(request) + request.body[: len(request.body) // 2])
        time.sleep(SEEN_S)
        if with_reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def trickle(url: str, request: Request, num_clients: int, seconds: float) -> list[Told]:
    """What so many are told in so long who send their headers a byte a second, and as many their bodies."""
    head = _head(request)

    async def all_clients() -> list[Told]:
        slow_heads = [_trickle(url, b"", head, seconds) for _ in range(num_clients)]
        slow_bodies = [_trickle(url, head, request.body, seconds) for _ in range(num_clients)]
        return await asyncio.gather(*slow_heads, *slow_bodies)

    return asyncio.run(all_clients())


async def _trickle(url: str, at_once: bytes, slowly: bytes, seconds: float) -> Told:
    address = urlsplit(url)
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)

    async def send() -> None:
        writer.write(at_once)
        for byte in slowly:
            writer.write(bytes([byte]))
            await asyncio.sleep(BYTE_S)

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(seconds):
            status_line = await reader.readuntil(b"\r\n")
        return Told(int(status_line.split()[1]), time.monotonic() - began)
    except (OSError, EOFError):  # a timeout is an OSError
        return Told()
    finally:
        sending.cancel()
        writer.close()


def _head(request: Request) -> bytes:
    lines = [f"POST {request.path} HTTP/1.1", "Host: service", f"Content-Length: {len(request.body)}"]
    return "\r\n".join([*lines, "\r\n"]).encode()
