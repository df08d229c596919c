"""Connections: uvicorn's HTTP/1.1, and the deadlines and limits that it lacks.

A client that is slow to send its headers, goes on with a body that was refused, or does not take its answer
is let go; what is not HTTP gets a problem as its answer, like everything else that is wrong. A request whose
target is a whole URL is one for its path (RFC 9112, 3.2.2); one that says in two ways where its body ends is
refused (6.3), for a proxy may have taken the other way, and what follows for another client's request.

While the service drains, an answer is the last one of its connection, and says so: no balancer moves a
connection that is open, and on it a client would ask this replica again that refuses it.
"""

import asyncio
import logging
import re
import sys
from collections.abc import Callable
from typing import Any, Literal
from uuid import uuid4

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.errors import HeadersTooLarge, Malformed, Problem, TooSlow, Unavailable, request_id
from service.settings import Settings
from service.telemetry import Telemetry

logger = logging.getLogger("service.access")

LINGER_S = 5.0  # for an answer to be read by a client that still sends, and for the last bytes of it
PIECE_BYTES = 4096  # of headers at one time, for h11 holds only what is not yet whole to its limit

_URL = re.compile(rb"https?://([^/?]+)(/[^?]*)?(\?.*)?", re.IGNORECASE)


class _Events(h11.Connection):
    """HTTP as h11 has it, but targets are paths, a body has one length, and a drain has last answers."""

    def __init__(self, header_bytes: int, is_draining: Callable[[], bool]) -> None:
        super().__init__(h11.SERVER, header_bytes)
        self._is_draining = is_draining

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next one."""
        event = super().next_event()
        if not isinstance(event, h11.Request):
            return event
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in event.headers}:
            raise h11.RemoteProtocolError("a body has a Content-Length or a Transfer-Encoding, not both")
        if not (url := _URL.fullmatch(event.target)):
            return event
        host, path, query = url.groups(b"")
        return h11.Request(
            method=event.method,
            target=(path or b"/") + query,
            headers=[(b"host", host), *(header for header in event.headers if header[0] != b"host")],
            http_version=event.http_version,
        )

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        """The bytes of an event, however it is sent."""
        # not to a client that still sends: to close now resets its connection, which may cost it the answer
        is_last = self._is_draining() and self.their_state is not h11.SEND_BODY
        if isinstance(event, h11.Response) and is_last:
            event = h11.Response(
                status_code=event.status_code,
                headers=[*(header for header in event.headers if header[0] != b"connection"), CLOSE_HEADER],
                http_version=event.http_version,
                reason=event.reason,
            )
        return super().send_with_data_passthrough(event)


class Connection(H11Protocol):
    """One connection, with one request at a time."""

    def __init__(
        self,
        *,
        settings: Settings,
        telemetry: Telemetry,
        is_draining: Callable[[], bool],
        **of_uvicorn: Any,
    ) -> None:
        super().__init__(**of_uvicorn)
        self.conn = _Events(settings.header_bytes, is_draining)
        self._settings, self._telemetry = settings, telemetry
        self._waiting_for: Literal["headers", "end of body"] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._answer_deadline: asyncio.TimerHandle | None = None
        self._is_ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse one too many, without a word where many are being told so; give any other one its time."""
        super().connection_made(transport)
        if len(self.connections) > 2 * self._settings.connections:
            self._is_ended = True
            transport.abort()
        elif len(self.connections) > self._settings.connections:
            self._end_with(Unavailable("there are too many connections", retry_after_s=1))
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request; after the last answer they are dropped, for unread ones would cost it."""
        while data and not self._is_ended and self.conn.their_state is h11.IDLE:
            super().data_received(data[:PIECE_BYTES])
            data = data[PIECE_BYTES:]
        if data and not self._is_ended:
            super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """All of the answer was handed over, and its last bytes may still be here."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect_answer_taken()
        elif not self.flow.write_paused:
            self._forget_answer()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more to wait for."""
        super().connection_lost(exc)
        self._wait_for(None)
        self._forget_answer()

    def pause_writing(self) -> None:
        """The client does not keep up with its answer."""
        super().pause_writing()
        self._expect_answer_taken()

    def resume_writing(self) -> None:
        """It does again; the time that it has for the whole answer goes on."""
        super().resume_writing()
        is_last_of_it = self.cycle.response_complete or not self.cycle.response_started
        if is_last_of_it and not self.transport.is_closing():
            self._forget_answer()

    def timeout_keep_alive_handler(self) -> None:
        """No other request came."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(LINGER_S, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP; called where h11's error was caught."""
        error = sys.exception()
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431:
            limit = self._settings.header_bytes
            self._end_with(HeadersTooLarge(f"the headers have more than {limit} bytes"))
        else:
            self._end_with(Malformed("the request is not valid HTTP/1.1"))

    def _should_upgrade(self) -> bool:
        """To nothing; uvicorn would log at each such request that a library is missing."""
        return False

    def _expect_answer_taken(self) -> None:
        """Unless it is expected already: within its time, counted from when the client first fell behind."""
        if self._answer_deadline is None:
            self._answer_deadline = self.loop.call_later(self._settings.answer_s, self.transport.abort)

    def _forget_answer(self) -> None:
        if self._answer_deadline is not None:
            self._answer_deadline.cancel()
            self._answer_deadline = None

    def _watch(self) -> None:
        """Set the deadline of what this connection waits for, unless it is set."""
        if self._is_ended:
            self._wait_for(None)
        elif self.conn.their_state is h11.IDLE and (self.cycle is None or self.conn.trailing_data[0]):
            self._wait_for("headers")
        elif self.conn.their_state is h11.SEND_BODY and self.conn.our_state in (h11.DONE, h11.MUST_CLOSE):
            self._wait_for("end of body")
        else:
            self._wait_for(None)

    def _wait_for(self, what: Literal["headers", "end of body"] | None) -> None:
        if what == self._waiting_for:
            return
        self._waiting_for = what
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if what == "headers":
            self._deadline = self.loop.call_later(self._settings.headers_s, self._end_without_headers)
        elif what == "end of body":
            self._deadline = self.loop.call_later(LINGER_S, self.transport.abort)

    def _end_without_headers(self) -> None:
        if self.conn.trailing_data[0]:
            self._end_with(TooSlow(f"the headers did not arrive within {self._settings.headers_s:g} s"))
        else:  # a browser's spare connection, for one: nothing was asked
            self.transport.close()

    def _end_with(self, problem: Problem) -> None:
        """Answer with a problem where no answer was begun, and close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            request_id.set(uuid4().hex)
            response = problem.response()
            headers = [
                *response.raw_headers,
                (b"x-request-id", request_id.get().encode()),
                CLOSE_HEADER,
            ]
            for event in (
                h11.Response(status_code=response.status_code, headers=headers),
                h11.Data(data=bytes(response.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
            self._telemetry.refused(problem.kind)
            logger.info("%s %d %s", request_id.get(), response.status_code, problem.kind)
        self._is_ended = True
        self.transport.write_eof()  # not close(): it would reset a connection on which the client still sends
        self.loop.call_later(LINGER_S, self.transport.abort)
