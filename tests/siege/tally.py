"""Outcomes counted: answers, the time they took, and what the service can do."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from clients import Outcome
from deck import Request


@dataclass(frozen=True, slots=True)
class Tally:
    """How many requests got which answer."""

    num_right: int
    num_wrong: int  # 200, with another answer than the one that was learned
    num_refused: int  # 429 with Retry-After
    others: Counter[int]  # status -> requests
    num_unanswered: int

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Self:
        """Each outcome is counted once."""
        statuses = Counter(outcome.status for outcome in outcomes if outcome.status is not None)
        num_unanswered = len(outcomes) - statuses.total()
        num_accepted = statuses.pop(200, 0)
        num_right = sum(outcome.is_right for outcome in outcomes)
        num_refused = sum(outcome.status == 429 and outcome.retry_after for outcome in outcomes)
        statuses[429] -= num_refused
        return cls(num_right, num_accepted - num_right, num_refused, +statuses, num_unanswered)

    @property
    def is_clean(self) -> bool:
        """Every request was answered rightly or refused in the proper way."""
        return not (self.num_wrong or self.others or self.num_unanswered)

    def __str__(self) -> str:
        others = "".join(f", {num} answered {status}" for status, num in sorted(self.others.items()))
        return (
            f"{self.num_right} right, {self.num_wrong} wrong, {self.num_refused} refused{others}, "
            f"{self.num_unanswered} without an answer"
        )


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the service does when it has always something to do."""

    requests_per_s: float
    megapixels_per_s: float

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], deck: Sequence[Request]) -> Self:
        """Of a closed loop."""
        done = accepted(outcomes)
        seconds = max(outcome.answered_at for outcome in done) - min(outcome.sent_at for outcome in done)
        megapixels = sum(deck[outcome.number].megapixels for outcome in done)
        return cls(len(done) / seconds, megapixels / seconds)

    def __str__(self) -> str:
        return f"{self.requests_per_s:.3g} requests or {self.megapixels_per_s:.3g} megapixels a second"


def accepted(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those that were answered 200."""
    return [outcome for outcome in outcomes if outcome.status == 200]


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many percent of them do not exceed; NaN of none."""
    return float(np.percentile(values, percent, method="higher")) if values else float("nan")
