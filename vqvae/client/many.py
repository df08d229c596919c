"""Many images or grids: grouped into requests, each failing for itself, handed out in the order they came.

Small ones share a request and its overhead. A group keeps to the service's limits, and to smaller ones of its
own, for it is repeated as a whole, and several are under way at once. Yet it may be more than the service
counts as small, so that a data set does not stand in the way of those who ask for a single picture.

A group that is refused as a whole is asked for again one by one, so that no image fails for its neighbours.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from os import PathLike
from typing import Generic, Literal, TypeAlias

from PIL import Image

from vqvae.client.exchange import Steps
from vqvae.client.models import Limits
from vqvae.client.problems import concerns_one
from vqvae.client.session import Session
from vqvae.client.verbs import Cost, GroupVerb, Item, Raw, Result
from vqvae.errors import ConfigError, ItemError, VqvaeError

GROUP_IMAGES = 32
GROUP_PIXELS = 2**21  # 32 of 256x256; a small request has up to a quarter of that
GROUP_BYTES = 2**22
MULTIPART_BYTES = 1024  # of a body besides its items, at most

_NOTHING = Cost(0, 0, 0)
_LEAST = Cost(1, 1, 1)

Errors: TypeAlias = Literal["raise", "yield"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far many images have come."""

    done: int  # with the failed ones
    failed: int
    total: int | None  # None where the images do not say how many they are


@dataclass(frozen=True, slots=True)
class Piece(Generic[Item]):
    """One of many, ready to be sent; or the reason why it cannot be."""

    index: int
    source: str | None
    item: Item | VqvaeError
    cost: Cost


Group: TypeAlias = tuple[Piece[Item], ...]


class Run(Generic[Raw, Item, Result]):
    """One call for many: its options, checked, and how far it has come. Made for one thread, or one task."""

    def __init__(
        self,
        session: Session,
        verb: GroupVerb[Raw, Item, Result],
        raws: object,
        *,
        errors: Errors,
        max_in_flight: int,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        if isinstance(raws, str | bytes | PathLike | Image.Image):
            raise ConfigError(f"many come as a list or another iterable, got one {type(raws).__name__}")
        if errors not in ("raise", "yield"):
            raise ConfigError(f"errors must be 'raise' or 'yield', got {errors!r}")
        if max_in_flight < 1:
            raise ConfigError(f"max_in_flight must be at least 1, got {max_in_flight}")
        self.max_in_flight = max_in_flight
        self.max_waiting = 2 * max_in_flight  # groups that are sent or answered, but not handed out
        self._session = session
        self._verb = verb
        self._errors = errors
        self._on_progress = on_progress
        self._total = len(raws) if isinstance(raws, Sized) else None
        self._num_prepared = self._done = self._failed = 0
        self._open: list[Piece[Item]] = []
        self._open_cost = _NOTHING

    def limits(self) -> Steps[Limits]:
        """To be known before the first group."""
        return self._session.limits()

    def prepare(self, raw: Raw) -> Piece[Item]:
        """The next one, read and written as it will be sent."""
        index = self._num_prepared
        self._num_prepared += 1
        source: str | None = None
        match raw:
            case str() | PathLike():
                source = str(raw)
            case ItemError():
                source = raw.source
        try:
            item = self._verb.prepare(raw)
            return Piece(index, source, item, self._verb.cost(item))
        except VqvaeError as error:
            return Piece(index, source, error, _NOTHING)

    def add(self, piece: Piece[Item], limits: Limits) -> Iterator[Group[Item]]:
        """The groups that are complete now that there is one more."""
        if self._open and not self._has_room(piece.cost, limits):
            yield self._close()
        self._open.append(piece)
        self._open_cost += piece.cost
        if not self._has_room(_LEAST, limits):
            yield self._close()

    def rest(self) -> Iterator[Group[Item]]:
        """The last group, now that there are no more."""
        if self._open:
            yield self._close()

    def steps(self, group: Group[Item]) -> Steps[list[Result | ItemError]]:
        """What becomes of a group; raises what goes wrong with more than single ones of it."""
        items = [piece.item for piece in group if not isinstance(piece.item, VqvaeError)]
        results = iter((yield from self._together(items)) if items else [])
        return [_outcome(piece, results) for piece in group]

    def hand_out(self, outcomes: Iterable[Result | ItemError]) -> Iterator[Result | ItemError]:
        """A group's outcomes as the caller gets them; raises the first error if that is wanted."""
        for outcome in outcomes:
            self._done += 1
            self._failed += isinstance(outcome, ItemError)
            if self._on_progress is not None:
                self._on_progress(Progress(self._done, self._failed, self._total))
            if isinstance(outcome, ItemError) and self._errors == "raise":
                outcome.add_note("errors='yield' gives such an error in its place and goes on")
                raise outcome
            yield outcome

    def _together(self, items: Sequence[Item]) -> Steps[list[Result | VqvaeError]]:
        try:
            results = yield from self._session.together(self._verb, items)
        except VqvaeError as error:
            if not concerns_one(error):
                raise
            if len(items) == 1:
                return [error]
            results = []
            for item in items:
                results += yield from self._together([item])
            return results
        for result in results:
            if isinstance(result, VqvaeError) and not concerns_one(result):
                raise result
        return results

    def _has_room(self, cost: Cost, limits: Limits) -> bool:
        """Whether one more of that cost may share the request of those that are waiting for company."""
        total = self._open_cost + cost
        return (
            len(self._open) < min(GROUP_IMAGES, limits.num_images)
            and total.num_bytes <= min(GROUP_BYTES, limits.body_bytes) - MULTIPART_BYTES
            and total.num_pixels <= min(GROUP_PIXELS, limits.request_pixels)
            and total.num_codes <= limits.num_codes
        )

    def _close(self) -> Group[Item]:
        group = tuple(self._open)
        self._open.clear()
        self._open_cost = _NOTHING
        return group


def _outcome(piece: Piece[Item], results: Iterator[Result | VqvaeError]) -> Result | ItemError:
    result = piece.item if isinstance(piece.item, VqvaeError) else next(results)
    return ItemError(piece.index, result, piece.source) if isinstance(result, VqvaeError) else result
