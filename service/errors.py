"""Everything that can go wrong in an answer, as RFC 9457 problems: one class a kind, and their JSON.

A problem's `type` is stable, for programs; its `detail` is for people, and never repeats what was sent, but
for a member's name where that is a plain word.
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, ClassVar

import orjson
from starlette.responses import Response

from vqvae import errors as library
from vqvae.code_grid import CodeSpace

MEDIA_TYPE = "application/problem+json"

logger = logging.getLogger("service")

request_id: ContextVar[str] = ContextVar("request_id", default="-")  # of the request being answered


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A request that gets another answer than it asked for; `limit` and `actual` share their limit's unit."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "internal"
    title: ClassVar[str] = "The service made a mistake"

    def __init__(
        self,
        detail: str,
        *,
        limit: float | None = None,
        actual: float | None = None,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.limit = limit
        self.actual = actual
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)

    def to_dict(self) -> dict[str, Any]:
        """The problem as JSON holds it, also as the `error` of one item among several."""
        members: dict[str, Any] = {
            "type": f"urn:vqvae:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.limit is not None:
            members |= {"limit": self.limit, "actual": self.actual}
        return members

    def response(self) -> Response:
        """The problem as a whole answer."""
        return Response(
            orjson.dumps(self.to_dict() | {"request_id": request_id.get()}),
            self.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


class Malformed(Problem):
    """JSON, multipart, npy or a code file that cannot be read."""

    status, kind, title = 400, "malformed", "The body is malformed"


class OriginRefused(Problem):
    """A browser asked whether a page of another origin may ask this; it may not."""

    status, kind, title = 400, "origin-refused", "Pages of this origin may not ask this"


class Unauthorized(Problem):
    """Keys are configured, and the request carries none of them."""

    status, kind, title = 401, "unauthorized", "The request carries no key that fits"


class NotFound(Problem):
    """No such path, or no such model."""

    status, kind, title = 404, "not-found", "There is nothing of this name"


class MethodNotAllowed(Problem):
    """A path that exists, by a method that it has not."""

    status, kind, title = 405, "method-not-allowed", "The path does not have this method"


class NotAcceptable(Problem):
    """None of the media types that there are is acceptable to the client."""

    status, kind, title = 406, "not-acceptable", "No acceptable form of the answer"


class TooSlow(Problem):
    """Headers or a body that did not arrive in time."""

    status, kind, title = 408, "too-slow", "The request took too long to arrive"


class OtherFingerprint(Problem):
    """Codes of a code space that no loaded model has."""

    status, kind, title = 409, "other-fingerprint", "The codes belong to another model"

    def __init__(self, fingerprint: str, known: Iterable[CodeSpace]) -> None:
        self.fingerprint, self.known = fingerprint, list(known)
        named = " and ".join(f"{space.model} has {space.fingerprint}" for space in self.known)
        super().__init__(
            f"the codes have fingerprint {fingerprint}, while {named}; "
            "nothing but the model that made them decodes them"
        )

    def to_dict(self) -> dict[str, Any]:
        """With the fingerprints as members of their own."""
        known = [{"model": space.model, "fingerprint": space.fingerprint} for space in self.known]
        return super().to_dict() | {"fingerprint": self.fingerprint, "known": known}


class TooLarge(Problem):
    """More bytes, pixels, images or codes than allowed."""

    status, kind, title = 413, "too-large", "The request is over a limit"


class UnsupportedType(Problem):
    """A body or an image of a type that is not listed."""

    status, kind, title = 415, "unsupported-type", "The type of the content is not supported"


class Undecodable(Problem):
    """An image of a listed type that cannot be decoded."""

    status, kind, title = 422, "undecodable-image", "The image cannot be decoded"


class BadCodes(Problem):
    """Codes that break their contract."""

    status, kind, title = 422, "bad-codes", "The codes break their contract"


class BadRequest(Problem):
    """An option or a member of the JSON body that is unknown, missing or outside its rule."""

    status, kind, title = 422, "bad-request", "An option or member of the request is not valid"


class Overloaded(Problem):
    """The queue is full."""

    status, kind, title = 429, "overloaded", "The queue is full"


class HeadersTooLarge(Problem):
    """More bytes of headers than allowed."""

    status, kind, title = 431, "headers-too-large", "The headers are too large"


class Unavailable(Problem):
    """Starting, draining, or without a worker."""

    status, kind, title = 503, "unavailable", "The service is not ready"


class DeadlinePassed(Problem):
    """The answer was not ready in time; its work is dropped."""

    status, kind, title = 504, "deadline-passed", "The answer was not ready in time"


class ClientGone(Problem):
    """The client left; nobody reads this answer."""

    status, kind, title = 499, "client-gone", "The client left"


_OF_THE_LIBRARY: dict[type[library.VqvaeError], type[Problem]] = {  # the first that fits
    library.UnsupportedImageError: UnsupportedType,
    library.ImageError: Undecodable,
    library.CodesError: BadCodes,
    library.FormatError: Malformed,
}


_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def describe_validation(errors: Sequence[Any]) -> str:
    """The first of pydantic's errors in a line, without the value that came."""
    where = ".".join(str(step) if _WORD.fullmatch(str(step)) else "..." for step in errors[0]["loc"])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where or 'the body'}: {errors[0]['msg']}{more}"


def as_problem(error: Exception) -> Problem:
    """What an error of the library or the service is to a client; one that nobody foresaw is logged."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, library.LimitError):
        return TooLarge(str(error), limit=error.limit, actual=error.actual)
    for cls, problem in _OF_THE_LIBRARY.items():
        if isinstance(error, cls):
            return problem(str(error))
    logger.error("request %s failed", request_id.get(), exc_info=error)
    return Problem("something failed inside the service; the request's id finds it in the log")
