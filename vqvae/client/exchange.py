"""One request until its answer: attempts, the waits between them, and when to give up.

Nothing here sends or sleeps. An exchange is a generator: it yields an `Attempt` and is sent the `Outcome` of
it. Whoever drives it waits and sends, blocking or not, and so every rule stands in one place for both.

An attempt is repeated where the same request may fare better later: after 429, 502 and 503, after a 500 that
is no problem of the service's but its proxy's word for one that died, after a connection that failed or broke
off, and once after 504, which others' work may have caused; a second one is a sign of too much of one's own.
It does no harm, for an answer is a pure function of its request.

The wait is what Retry-After says, never less, and a random part, so that clients which were refused together
do not come back together; without Retry-After it doubles from a quarter of a second to four. Where it would
not end in time, the exchange ends at once.
"""

import itertools
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias, TypeVar
from uuid import uuid4

import httpx

from vqvae.client.uploads import Upload
from vqvae.errors import ConfigError, FormatError

T = TypeVar("T")

CONNECT_S = 10.0  # to open a connection; a service that lives does so at once
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 4.0  # without Retry-After
LONGEST_TIMEOUT_S = 10_000_000  # sockets overflow at a few hundred times that

PROBLEM = "application/problem+json"
_PASSING = {429, 502, 503}
_LATE = 504
_SOONEST_S = 0.001  # httpx takes 0 for an error of its own kind


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the service."""

    method: str
    path: str
    options: Mapping[str, str | None] = field(default_factory=dict)  # for the query; None is left out
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    images: Sequence[Upload] = ()  # the body where there is no other, as multipart/form-data


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]  # by names in any case
    body: bytes
    request_id: str

    @property
    def media_type(self) -> str:
        """Of the body, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def expect(self, media_type: str) -> None:
        """FormatError where the body is of another type."""
        if self.media_type != media_type:
            raise FormatError(f"it is {self.media_type or 'of no media type'} and not {media_type}")


Outcome: TypeAlias = Answer | httpx.RequestError


@dataclass(frozen=True, slots=True)
class Attempt:
    """To wait, then to send, and to give up when it is time."""

    request: Request
    request_id: str
    after_s: float
    ends_at: float
    clock: Callable[[], float]

    @property
    def left_s(self) -> float:
        """Until it is time."""
        return max(_SOONEST_S, self.ends_at - self.clock())

    def check_time(self) -> None:
        """Raises httpx.ReadTimeout when it is time."""
        if self.clock() >= self.ends_at:
            raise httpx.ReadTimeout("the answer is not whole yet")

    def for_httpx(self, **extensions: Any) -> dict[str, Any]:
        """The arguments of httpx's `stream`, with extensions of its request."""
        request, left_s = self.request, self.left_s
        return {
            "method": request.method,
            "url": request.path,
            "params": {name: value for name, value in request.options.items() if value is not None},
            "headers": {**request.headers, "X-Request-ID": self.request_id},
            "content": request.body,
            "files": [("image", (None, image.data, image.media_type)) for image in request.images] or None,
            "timeout": httpx.Timeout(left_s, connect=min(CONNECT_S, left_s)),
            "extensions": extensions,
        }

    def answered(self, response: httpx.Response, body: bytes) -> Answer:
        """The answer, by the id that the service gave it or, failing that, by ours."""
        request_id = response.headers.get("x-request-id", self.request_id)
        return Answer(response.status_code, response.headers, body, request_id)


Steps: TypeAlias = Generator[Attempt, Outcome, T]


@dataclass(frozen=True, slots=True)
class Done:
    """That steps have ended, and with what."""

    result: Any


def advance(steps: Steps[Any], outcome: Outcome | None) -> Attempt | Done:
    """The next attempt of steps, None being the outcome of none; raises what the steps raise."""
    try:
        return next(steps) if outcome is None else steps.send(outcome)
    except StopIteration as end:
        return Done(end.value)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on asking; ConfigError where that would be never or backwards."""

    timeout_s: float  # for one request, with all attempts and waits
    max_attempts: int
    clock: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = field(default_factory=lambda: random.Random().uniform)

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s <= LONGEST_TIMEOUT_S:
            raise ConfigError(f"timeout_s must lie in (0, {LONGEST_TIMEOUT_S}], got {self.timeout_s}")
        if self.max_attempts < 1:
            raise ConfigError(f"max_attempts must be at least 1, got {self.max_attempts}")

    def wait_s(self, number: int, told_s: float | None) -> float:
        """The wait after attempt `number`, the first being 1; `told_s` is what Retry-After said."""
        backoff_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(number - 1, 30))
        return told_s + self.uniform(0, backoff_s) if told_s else self.uniform(backoff_s / 2, backoff_s)


@dataclass(frozen=True, slots=True)
class Ended:
    """The last outcome of an exchange, and how many attempts there were."""

    outcome: Outcome
    request_id: str
    num_attempts: int


def exchange(request: Request, patience: Patience) -> Steps[Ended]:
    """Ask until there is an answer that asking again would not change, or time or attempts are over."""
    name = uuid4().hex[:24]
    ends_at = patience.clock() + patience.timeout_s
    wait_s = 0.0
    num_late = 0
    for number in itertools.count(1):
        request_id = f"{name}-{number}"
        outcome = yield Attempt(request, request_id, wait_s, ends_at, patience.clock)
        is_late = isinstance(outcome, Answer) and outcome.status == _LATE
        num_late += is_late
        if not (_is_passing(outcome) or (is_late and num_late < 2)) or number == patience.max_attempts:
            break
        told_s = retry_after_s(outcome) if isinstance(outcome, Answer) else None
        wait_s = patience.wait_s(number, told_s)
        left_s = ends_at - patience.clock()
        if (told_s or 0.0) >= left_s:
            break
        wait_s = min(wait_s, max(told_s or 0.0, left_s / 2))  # the random part is no reason to give up
    return Ended(outcome, request_id, number)


def retry_after_s(answer: Answer) -> float | None:
    """Seconds until the answer's Retry-After, a number or a date; None where it has none that can be read.

    A date counts from the answer's own Date, for the two clocks may differ.
    """
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    until = _date(value)
    if until is None:
        return None
    now = _date(answer.headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _is_passing(outcome: Outcome) -> bool:
    if isinstance(outcome, Answer):
        return outcome.status in _PASSING or (outcome.status == 500 and outcome.media_type != PROBLEM)
    # other timeouts than that of connecting are the end of the exchange's own time
    return isinstance(
        outcome, httpx.ConnectTimeout | httpx.NetworkError | httpx.RemoteProtocolError | httpx.ProxyError
    )


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
