"""Readiness as a load balancer sees it, and whether it told the truth."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from clients import Outcome
from report import Claim
from tally import accepted

EVERY_S = 0.2
PATIENCE_S = 1.0  # what Kubernetes gives a probe
STALE_S = 5.0  # without a finished tile nothing is ready
DOUBT_S = 1.0  # between a tile and its answer, for there is more to an answer than tiles


@dataclass(frozen=True, slots=True)
class Poll:
    """One look at /readyz."""

    at: float
    status: int | None  # None: silent, for a second
    last_tile_age_s: float = 0  # by its own word, where it is ready

    @property
    def is_ready(self) -> bool:
        """That work may be sent."""
        return self.status == httpx.codes.OK


@contextmanager
def watching(url: str) -> Iterator[list[Poll]]:
    """Polls of /readyz every 0.2 s, which come while this is held."""
    polls: list[Poll] = []
    ended = threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
            while not ended.wait(EVERY_S):
                polls.append(_poll(client))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield polls
    finally:
        ended.set()
        thread.join()


def told_the_truth(when: str, polls: Sequence[Poll], outcomes: Sequence[Outcome]) -> Claim:
    """That it did, while requests of one tile each were made: only their answers tell of finished tiles."""
    answers_at = [outcome.answered_at for outcome in accepted(outcomes)]

    def was_answered(since: float, until: float) -> bool:
        return any(since <= answered_at <= until for answered_at in answers_at)

    def stood_still(since: float, until: float) -> bool:
        waited = any(o.body_sent_at < since and until < o.answered_at for o in accepted(outcomes))
        return waited and not was_answered(since, until)

    num_ready = sum(poll.is_ready for poll in polls)
    num_silent = sum(poll.status is None for poll in polls)
    num_alarms = sum(not poll.is_ready and was_answered(poll.at - DOUBT_S, poll.at) for poll in polls)
    num_comforts = sum(
        poll.is_ready
        and (poll.last_tile_age_s > STALE_S or stood_still(poll.at - STALE_S - DOUBT_S, poll.at + DOUBT_S))
        for poll in polls
    )
    return Claim(
        f"{when}: ready while requests are answered, never after {STALE_S:g} s without a tile",
        f"ready {num_ready} times of {len(polls)}, silent {num_silent}; "
        f"{num_alarms} false alarms, {num_comforts} false comforts",
        num_ready > 0 and num_alarms == num_comforts == 0,
    )


def _poll(client: httpx.Client) -> Poll:
    at = time.monotonic()
    try:
        answer = client.get("/readyz")
    except httpx.TransportError:
        return Poll(at, None)
    return Poll(at, answer.status_code, answer.json().get("last_tile_age_s", 0))
