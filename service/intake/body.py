"""The bytes of a body: how many, how soon, and how many of all are in memory at one time, with answers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.requests import Request

from service.errors import Malformed, Overloaded, TooSlow, UnsupportedType
from service.intake.limits import check
from service.settings import Settings


class Bodies:
    """The bodies in memory, those of all requests and answers together."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._num_bytes = 0

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[bytes]:
        """A request's whole body, which counts as in memory until this is left.

        Raises TooLarge as soon as it is, Overloaded where there are too many bodies at once, TooSlow,
        Malformed for an empty one and UnsupportedType for a compressed one.
        """
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise UnsupportedType("a body must come as it is, without a Content-Encoding")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal():
            check("the body", "bytes", self._settings.body_bytes, int(declared))
        pieces: list[bytes] = []
        try:
            await self._read(request, pieces)
            pieces[:] = [b"".join(pieces)]  # so that it is in memory once
            yield pieces[0]
        finally:
            self._num_bytes -= sum(map(len, pieces))

    @contextmanager
    def hold(self, num_bytes: int) -> Iterator[None]:
        """Count an answer as in memory until this is left; it is not refused, but bodies after it may be."""
        self._num_bytes += num_bytes
        try:
            yield
        finally:
            self._num_bytes -= num_bytes

    async def _read(self, request: Request, pieces: list[bytes]) -> None:
        num_bytes = 0
        try:
            async with asyncio.timeout(self._settings.body_s):
                async for piece in request.stream():
                    pieces.append(piece)
                    num_bytes += len(piece)
                    self._num_bytes += len(piece)
                    check("the body", "bytes", self._settings.body_bytes, num_bytes, at_least=True)
                    if self._num_bytes > self._settings.queue_body_bytes:
                        raise Overloaded(
                            "there are too many bodies in memory; ask again in a moment",
                            limit=self._settings.queue_body_bytes,
                            actual=self._num_bytes,
                            retry_after_s=1,
                        )
        except TimeoutError:
            raise TooSlow(f"the body did not arrive within {self._settings.body_s:g} s") from None
        if not num_bytes:
            raise Malformed("the body is empty")
