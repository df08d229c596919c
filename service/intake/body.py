"""The bytes of a body: how many, how soon, and how many of all requests are in memory at one time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from service.errors import Malformed, Overloaded, TooSlow, UnsupportedType
from service.intake.limits import check
from service.settings import Settings


class Bodies:
    """The bodies in memory, those of all requests together."""

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
        body = bytearray()
        try:
            await self._read(request, body)
            yield bytes(body)
        finally:
            self._num_bytes -= len(body)

    async def _read(self, request: Request, body: bytearray) -> None:
        try:
            async with asyncio.timeout(self._settings.body_s):
                async for chunk in request.stream():
                    body += chunk
                    self._num_bytes += len(chunk)
                    check("the body", "bytes", self._settings.body_bytes, len(body))
                    if self._num_bytes > self._settings.queue_body_bytes:
                        raise Overloaded(
                            "there are too many bodies in memory; ask again in a moment",
                            limit=self._settings.queue_body_bytes,
                            actual=self._num_bytes,
                            retry_after_s=1,
                        )
        except TimeoutError:
            raise TooSlow(f"the body did not arrive within {self._settings.body_s:g} s") from None
        if not body:
            raise Malformed("the body is empty")
