"""Whose turn it is: two lanes, of small requests and of large ones, that get equal parts of the work.

A small request is at most two tiles' work, which is an image there and back. In their lane the first to come
is the first to be served, so that none waits longer than the lane is long. The large ones share theirs as if
all ran at once and each the slower for it: the next tile is that of the request which would be through with
one soonest under such sharing (weighted fair queueing: Demers, Keshav and Shenker, 1989).

So a small image waits for a tile, however many large ones there are, and no flood of small ones keeps a large
one from its half. A lane that is empty leaves its part to the other; who comes to it then, and so each image
of a batch, which come one by one, waits for no more than the tile that is being run (start-time fair
queueing: Goyal, Vin and Cheng, 1996).
"""

import heapq
import itertools
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

SMALL_TILES = 2

T = TypeVar("T")


class Party(Protocol):
    """A request, of which something waits here from time to time."""

    @property
    def number(self) -> int:
        """In the order of arrival."""

    @property
    def megapixels(self) -> float:
        """Of all that it wants."""

    turn: float  # where it stands among the large ones; begins at 0


@dataclass(slots=True)
class _Lane(Generic[T]):
    heap: list[tuple[float, int, float, T]] = field(default_factory=list)  # key, a tie's end, megapixels
    given: float = 0.0  # megapixels of work, as if it had never been empty


class Lanes(Generic[T]):
    """Things that wait, each for the tile that it is next to run."""

    def __init__(self, tile_megapixels: float) -> None:
        self._tile_megapixels = tile_megapixels
        self._small: _Lane[T] = _Lane()
        self._large: _Lane[T] = _Lane()
        self._shared = 0.0  # megapixels of one that has shared the large lane from the start
        self._now = 0.0  # what the lane whose tile was taken last had been given before it
        self._ties = itertools.count()

    def __len__(self) -> int:
        return len(self._small.heap) + len(self._large.heap)

    def is_small(self, megapixels: float) -> bool:
        """Whether a request of so much work is one of the small ones."""
        return megapixels <= SMALL_TILES * self._tile_megapixels

    def ahead(self, megapixels: float, others: list[float]) -> float:
        """Of others in the same lane, the work that a new request of so many megapixels waits for."""
        small = self.is_small(megapixels)
        most = megapixels + self._tile_megapixels  # what a large one loses to each of the others
        return sum(other if small else min(other, most) for other in others if self.is_small(other) == small)

    def put(self, thing: T, party: Party, megapixels: float) -> None:
        """Let something wait whose next tile is of a job of so many megapixels."""
        tile = min(megapixels, self._tile_megapixels)
        if self.is_small(party.megapixels):
            lane, key = self._small, float(party.number)
        else:
            party.turn = max(party.turn, self._shared) + tile
            lane, key = self._large, party.turn
        if not lane.heap:  # what it left to the other lane is not owed to it
            lane.given = max(lane.given, self._now)
        heapq.heappush(lane.heap, (key, next(self._ties), tile, thing))

    def take(self) -> T:
        """What is next; there has to be something."""
        small_next = self._small.heap and (not self._large.heap or self._small.given <= self._large.given)
        lane = self._small if small_next else self._large
        num_waiting = len(lane.heap)
        _, _, tile, thing = heapq.heappop(lane.heap)
        self._now = lane.given
        lane.given += tile
        if lane is self._large:
            self._shared += tile / num_waiting
        return thing

    def clear(self) -> list[T]:
        """Everything that waits, and no more waits."""
        things = [thing for lane in (self._small, self._large) for _, _, _, thing in lane.heap]
        self._small.heap.clear()
        self._large.heap.clear()
        return things
