"""What surrounds every request: its id, its headers, its line in the log, an answer where something broke.

Before the page of another origin may ask, its browser asks; that is answered here, too.

Plain ASGI, for Starlette's BaseHTTPMiddleware would stand between a route and its client's leaving.
"""

import asyncio
import logging
import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import tracing
from service.errors import OriginRefused, Unavailable, as_problem, request_id
from service.telemetry import Telemetry

logger = logging.getLogger("service.access")

PIECE_BYTES = 65536  # of an answer handed over at one time

STOPPED = "the service stopped before the answer was ready"  # the server cancels what its drain left over

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
NOTHING_MORE = "default-src 'none'; frame-ancestors 'none'"  # the policy of all that is no page

STAGES = ("intake", "queue", "model", "output")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContext:
    """Outermost of the application's own middleware."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.app, self.telemetry = app, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.monotonic()
        given = Headers(scope=scope).get("x-request-id", "")
        own_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        request_id.set(own_id)
        tracing.describe_span({"vqvae.request_id": own_id})
        timings_s: dict[str, float] = {}
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if route := _route_of(inner):
                    tracing.describe_span({"http.route": route}, name=f"{scope['method']} {route}")
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = own_id
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", NOTHING_MORE)  # a page has its own
                if timings_s:
                    headers["Server-Timing"] = ", ".join(
                        f"{stage};dur={1000 * timings_s[stage]:.1f}" for stage in STAGES if stage in timings_s
                    )
            await _send_in_pieces(send, message)

        # HEAD is GET whose body the server leaves out. The state is each request's own.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        inner = {**scope, "method": method, "state": {**scope.get("state", {}), "timings_s": timings_s}}
        try:
            await self.app(inner, receive, send_with_headers)
        except (Exception, asyncio.CancelledError) as error:
            if status:  # too late for another answer: the connection breaks off, which tells the client
                if isinstance(error, asyncio.CancelledError):  # it was slow to take it: no fault to be traced
                    return
                raise
            problem = (
                as_problem(error) if isinstance(error, Exception) else Unavailable(STOPPED, retry_after_s=1)
            )
            inner["state"]["problem"] = problem.kind
            await problem.response()(scope, receive, send_with_headers)
        finally:
            seconds = time.monotonic() - began
            self.telemetry.answered(
                route=_route_of(inner),
                method=scope["method"],
                status=status,
                seconds=seconds,
                stages_s=timings_s,
                problem=inner["state"].get("problem"),
            )
            path = scope.get("raw_path", b"").decode("latin-1")  # as it came: no line breaks, no query
            fields = {
                "method": scope["method"],
                "path": path,
                "status": status,
                "duration_ms": round(1000 * seconds, 1),
                **{f"{stage}_ms": round(1000 * stage_s, 1) for stage, stage_s in timings_s.items()},
            }
            logger.info(
                "%s %s %s %d %.1f ms", own_id, scope["method"], path, status, 1000 * seconds, extra=fields
            )


class CrossOrigin(CORSMiddleware):
    """Starlette's, with a problem for what is refused."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """What a browser is told before it lets a page ask; raises OriginRefused."""
        response = super().preflight_response(request_headers)
        if response.status_code == 200:
            return response
        what = bytes(response.body).decode().removeprefix("Disallowed CORS ")  # "origin, method, headers"
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        raise OriginRefused(f"not for pages of other origins by the settings here: {what}", headers=headers)


async def _send_in_pieces(send: Send, message: Message) -> None:
    """Send a message so that no more of a body is handed over before its client has taken what was."""
    body = message.get("body", b"")
    last = (len(body) - 1) // PIECE_BYTES * PIECE_BYTES
    for start in range(0, last, PIECE_BYTES):
        piece = body[start : start + PIECE_BYTES]
        await send({"type": message["type"], "body": piece, "more_body": True})
    await send({**message, "body": body[last:]} if last > 0 else message)


def _route_of(scope: Scope) -> str | None:
    """The pattern of the path that was asked for, once the router has found it; None where there is none."""
    path: str | None = getattr(scope.get("route"), "path", None)
    return path
