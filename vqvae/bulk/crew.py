"""What engines with workers share: who gets which piece of work, and what happens when a worker dies.

Where the workers are, and how they hear and tell, is the crew's: processes here, or actors of a cluster.
"""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from vqvae.bulk.records import ShardRecord
from vqvae.bulk.shard import NOTHING, ShardWork, Tally
from vqvae.errors import BulkError

TRIES = 3  # to begin at all; and of a shard, the last with its images unpacked apart: see `apart.py`
REPORT_EVERY_S = 0.5

Worker = TypeVar("Worker")


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has its model, and waits for a piece."""


@dataclass(frozen=True, slots=True)
class Death:
    """A worker is gone."""

    how: str  # "was killed by SIGKILL"


class Crew(Protocol[Worker]):
    """Workers, wherever they are."""

    def hire(self) -> None:
        """Start one more worker."""

    def messages(self) -> Iterable[tuple[Worker, object]]:
        """What workers have to say, as soon as one has.

        Ready once, then of each piece its Tally, several times, and its ShardRecord; or an exception, after
        which a worker says no more. Death comes from one that is gone.
        """

    def tell(self, worker: Worker, piece: ShardWork) -> None:
        """Give a worker its next piece."""

    def dismiss(self, worker: Worker) -> None:
        """Let a worker go that has nothing to do."""

    def end(self) -> None:
        """End those that are left, at once: what they were writing counts as never begun."""


def run_crew(
    crew: Crew[Worker], size: int, work: Iterable[ShardWork], on_images: Callable[[Tally], None]
) -> Generator[ShardRecord]:
    """The record of each piece as it is finished by a crew of this size.

    A piece whose worker died is begun again; that one piece ends three workers is a failure, and so are three
    deaths for each of the crew in a row before a first piece. After a failure no new piece is begun; those
    that are under way are finished, then it is raised.
    """
    left = _Left(work, size)
    under_way: dict[Worker, _Try] = {}
    try:
        for _ in range(size):
            crew.hire()
        while under_way or left.is_more:
            for worker, message in crew.messages():
                if isinstance(message, Tally):
                    under_way[worker].so_far += message
                    on_images(message)
                    continue
                ended = under_way.pop(worker, None)
                if isinstance(message, Death):
                    if ended is not None:
                        on_images(-ended.so_far)  # they come again
                    left.take_back(ended, message)
                    if left.is_more:
                        crew.hire()
                    continue
                if isinstance(message, ShardRecord):
                    yield message
                elif isinstance(message, Exception):
                    left.fail(message)
                piece = left.next()
                if piece is None:
                    crew.dismiss(worker)
                else:
                    under_way[worker] = _Try(piece)
                    crew.tell(worker, piece)
    finally:
        crew.end()
    left.check()


@dataclass(slots=True)
class _Try:
    """A piece at a worker."""

    piece: ShardWork
    so_far: Tally = NOTHING


class _Left:
    """The pieces that are left to be begun, until there are none or a failure."""

    def __init__(self, work: Iterable[ShardWork], size: int) -> None:
        self._tries_to_begin = TRIES * size  # a node that goes takes several workers with it
        self._pieces = iter(work)
        self._is_at_end = False
        self._again: list[ShardWork] = []  # whose workers died
        self._deaths: Counter[str] = Counter()  # by shard, "" before a worker's first
        self._failure: Exception | None = None

    @property
    def is_more(self) -> bool:
        return self._failure is None and (bool(self._again) or not self._is_at_end)

    def next(self) -> ShardWork | None:
        """The next piece, for a worker that has its model."""
        self._deaths[""] = 0
        if self._failure is not None:
            return None
        if self._again:
            return self._again.pop()
        piece = next(self._pieces, None)
        self._is_at_end = piece is None
        return piece

    def take_back(self, ended: _Try | None, death: Death) -> None:
        """The piece of a worker that died, to be begun again unless that was tried often enough."""
        name = "" if ended is None else ended.piece.shard.name
        self._deaths[name] += 1
        tries = TRIES if name else self._tries_to_begin
        if self._deaths[name] == tries:
            where = f"in the middle of {name}" if name else "before its first shard"
            self.fail(
                BulkError(
                    f"a worker {death.how} {where}, as {tries - 1} before it; if memory ran out, give fewer "
                    "workers. What is finished stays, and the same command goes on from there"
                )
            )
        elif ended is not None:
            self._again.append(replace(ended.piece, apart=self._deaths[name] == TRIES - 1))

    def fail(self, failure: Exception) -> None:
        """Begin no more for this reason, or for the one before it."""
        self._failure = self._failure or failure

    def check(self) -> None:
        """Raise the failure, if there is one."""
        if self._failure is not None:
            raise self._failure


class Gathered:
    """Tallies, added up and told a few times a second."""

    def __init__(self, tell: Callable[[Tally], None]) -> None:
        self._tell = tell
        self._sum = NOTHING
        self._due = time.monotonic() + REPORT_EVERY_S

    def add(self, tally: Tally) -> None:
        """Add one, and tell the sum if it is time."""
        self._sum += tally
        if time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Tell the sum."""
        self._tell(self._sum)
        self._sum = NOTHING
        self._due = time.monotonic() + REPORT_EVERY_S
