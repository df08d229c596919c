"""Admission, the queue, and the workers that do the models' work; their unit of work is a tile.

The way of a request: it is admitted into a `Place`, or refused at once; from its place it hands in one job
after another; the workers run the waiting jobs tile by tile, each in its turn, which `lanes` knows. A job
ends with its result, with its own error, at its deadline (looked at before each tile), when its place is
given up, or when the workers stop, and no other job is touched by that.

A tile that is alone is computed by all threads, so that it is soon done. Where several wait, they share the
threads that are free: two tiles on a thread each are done sooner than one after the other on both, for no
thread waits then for another at the end of each step, least of all for one that was interrupted.

What a job computes is not known here. Admission belongs to the event loop's thread. The workers share with it
the queue of tasks and a few numbers, which are written behind a lock, and a task's `wanted`.
"""

import asyncio
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from service.errors import DeadlinePassed, Overloaded, TooLarge, Unavailable
from service.lanes import Lanes

logger = logging.getLogger("service")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

PROBE_AFTER_S = 2.0  # without a finished tile a worker tries itself: twice before it is not believed
STALE_AFTER_S = 5.0  # without a finished tile readiness is not believed any more
STUCK_AFTER_S = 60.0  # without a finished tile, or at one, only a restart will help

STOPPED = "the service stopped before the work was done"

FOR_SMALL = 1 / 16  # of the queue: room that large requests together leave to small ones


class Job(Protocol[T_co]):
    """Work in tiles, each to be run once, one at a time; then it has a result."""

    @property
    def num_tiles(self) -> int:
        """At least one."""

    def run(self, i: int) -> None:
        """Do tile i."""

    def result(self) -> T_co:
        """What the tiles have made."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the scheduler knows of itself; `fault` is None when it is ready for work."""

    fault: str | None
    last_tile_age_s: float  # infinite before the first one
    is_stuck: bool  # for so long that it will not come free
    queue_megapixels: float
    num_requests: int


class _Task:
    """A job in the queue, with the future that somebody waits for."""

    def __init__(self, start: Callable[[], Job[Any]], megapixels: float, place: "Place") -> None:
        self.start = start
        self.megapixels = megapixels
        self.place = place
        self.wanted = True  # False once nobody waits any more: it is dropped at its next turn
        self.model_s = 0.0
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.job: Job[Any] | None = None
        self.next_tile = 0

    def settle(self, result: object = None, error: Exception | None = None) -> None:
        """Hand the waiting side its result or error; from a worker's thread."""

        def set_future() -> None:
            if self.future.done():  # given up in the meantime
                return
            if error is None:
                self.future.set_result(result)
            else:
                self.future.set_exception(error)

        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self.loop.call_soon_threadsafe(set_future)


class Place:
    """A request's place in the queue, from admission to answer."""

    def __init__(self, scheduler: "Scheduler", number: int, megapixels: float, deadline: float) -> None:
        self.number = number
        self.megapixels = megapixels
        self.turn = 0.0  # the lanes'
        self.deadline = deadline  # by the scheduler's clock
        self.queue_s = 0.0  # waited so far
        self.model_s = 0.0  # computed so far
        self._scheduler = scheduler

    async def run(self, start: Callable[[], Job[T]], megapixels: float) -> T:
        """Result of the job that `start` makes, in a worker's thread; raises what the job raises.

        Cancelling this drops the tiles that have not begun.
        """
        task = _Task(start, megapixels, self)
        began = self._scheduler.clock()
        try:
            self._scheduler.enqueue(task)
            result: T = await task.future
            return result
        finally:
            task.wanted = False
            self.model_s += task.model_s
            self.queue_s += max(0.0, self._scheduler.clock() - began - task.model_s)


class Scheduler:
    """The workers and the queue before them.

    Args:
        tile_megapixels: that a tile of a large image has, about.
        threads: of arithmetic that the tiles at work have together, each at least one.
        use_threads: called in a worker's thread, with how many its next tile is computed by.
        probe: makes the tiny job by which a worker tries itself.
        on_restart: called when a worker survived what ends a thread.
    """

    def __init__(
        self,
        *,
        queue_megapixels: float,
        tile_megapixels: float,
        threads: int,
        use_threads: Callable[[int], None],
        probe: Callable[[], Job[object]],
        on_restart: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.queue_megapixels = queue_megapixels
        self.clock = clock
        self._threads = threads
        self._use_threads = use_threads
        self._probe = probe
        self._on_restart = on_restart
        self._closed = False
        self._places: set[Place] = set()
        self._numbers = itertools.count()
        self._workers = [
            threading.Thread(target=self._work, args=(i,), name=f"model-worker-{i}", daemon=True)
            for i in range(threads)
        ]
        self._began_at = self.clock()
        # Written behind the lock; the rate is one megapixel a second until it is measured.
        self._lock = threading.Lock()
        self._idle: list[threading.Condition] = []  # of the lock, a worker each; the last had work last
        self._lanes: Lanes[_Task] = Lanes(tile_megapixels)
        self._stopping = False
        self._free_threads = threads
        self._at_work_since = [math.inf] * threads  # each worker's present tile, or inf
        self._last_tile_at = -math.inf
        self._probe_at = -math.inf
        self._recent_megapixels = 1.0
        self._recent_thread_s = float(threads)

    # The event loop's side

    def start(self) -> None:
        """Start the workers, one of which tries itself at once."""
        for worker in self._workers:
            worker.start()

    @contextmanager
    def admit(self, megapixels: float, seconds: float) -> Iterator[Place]:
        """A place for work of so many megapixels, to be done in so many seconds, or a refusal.

        Raises Unavailable when closed, TooLarge for more than the whole queue, Overloaded when it is full or
        there is so much before this work that it would not be done in time.
        """
        if self._closed:
            raise Unavailable("the service is stopping; ask again in a moment", retry_after_s=1)
        capacity = self.queue_megapixels
        if megapixels > capacity:
            raise TooLarge(
                f"the request is work for {megapixels:.6g} megapixels; the queue holds {capacity:g}",
                limit=capacity,
                actual=round(megapixels, 6),
            )
        wanted = self._admitted_megapixels + megapixels
        room = self._room_for(megapixels)
        rate = self._threads * self._recent_megapixels / self._recent_thread_s
        if wanted > room:
            wait_s = max(1, math.ceil((wanted - room) / rate))
            raise Overloaded(
                f"the queue is full; there should be room in {wait_s} s",
                limit=room,
                actual=round(wanted, 6),
                retry_after_s=wait_s,
            )
        ahead = self._lanes.ahead(megapixels, [place.megapixels for place in self._places])
        work_s = 2 * (megapixels + ahead) / rate  # twice, for the other lane may take half of the time
        if ahead and work_s > seconds:
            raise Overloaded(
                f"the work could take {work_s:.0f} s beside what was accepted before, longer than it may",
                limit=round(seconds, 3),
                actual=round(work_s, 3),
                retry_after_s=max(1, math.ceil(work_s - seconds)),
            )
        place = Place(self, next(self._numbers), megapixels, self.clock() + seconds)
        self._places.add(place)
        try:
            yield place
        finally:
            self._places.remove(place)

    def _room_for(self, megapixels: float) -> float:
        """Of the queue: all of it for a small request, and for a large one that is the only large one."""
        is_small = self._lanes.is_small
        if is_small(megapixels) or all(is_small(place.megapixels) for place in self._places):
            return self.queue_megapixels
        return (1 - FOR_SMALL) * self.queue_megapixels

    def enqueue(self, task: _Task) -> None:
        """Put a task among the waiting; Unavailable once the workers were told to stop."""
        with self._lock:
            if self._stopping:
                raise Unavailable("the workers are not running", retry_after_s=1)
            self._lanes.put(task, task.place, task.megapixels)
            self._wake_one()

    def close(self) -> None:
        """Admit nobody any more; accepted requests go on. A signal handler may call this."""
        self._closed = True

    @property
    def is_closed(self) -> bool:
        """Whether nobody is admitted any more."""
        return self._closed

    def stop(self) -> None:
        """End the workers after the tiles that they are at; tasks that still wait fail with Unavailable."""
        self.close()
        with self._lock:
            self._stopping = True
            left = self._lanes.clear()
            while self._idle:
                self._wake_one()
        for task in left:
            task.settle(error=Unavailable(STOPPED, retry_after_s=1))
        give_up_at = time.monotonic() + STALE_AFTER_S  # a tile that takes longer than this never ends
        for worker in self._workers:
            worker.join(timeout=max(0.0, give_up_at - time.monotonic()))

    @property
    def is_running(self) -> bool:
        """Whether the workers were started and none has ended."""
        return all(worker.is_alive() for worker in self._workers)

    @property
    def health(self) -> Health:
        """Ready is: open, all workers live, a tile or a probe was finished in the last five seconds, and
        no worker has been at its tile for longer.
        """
        now = self.clock()
        age_s = now - self._last_tile_at
        at_work_s = max(0.0, now - min(self._at_work_since))
        fault = None
        if self._closed:
            fault = "the service is stopping"
        elif not self.is_running:
            fault = "a worker is not running"
        elif age_s == math.inf:
            fault = "the workers have finished no tile yet"
        elif age_s > STALE_AFTER_S:
            fault = f"the workers have finished no tile for {age_s:.1f} s"
        elif at_work_s > STALE_AFTER_S:
            fault = f"a worker has been at its tile for {at_work_s:.1f} s"
        silent_s = now - max(self._last_tile_at, self._began_at)
        is_stuck = max(silent_s, at_work_s) > STUCK_AFTER_S
        return Health(fault, age_s, is_stuck, self._admitted_megapixels, len(self._places))

    @property
    def _admitted_megapixels(self) -> float:
        return math.fsum(place.megapixels for place in self._places)

    # The workers' side

    def _work(self, worker: int) -> None:
        awake = threading.Condition(self._lock)
        while (turn := self._next_turn(worker, awake)) is not None:
            task, threads = turn
            try:
                self._use_threads(threads)
                if task is None:
                    self._try_itself()
                else:
                    self._run_a_tile(task, threads)
            except BaseException:  # not even an exit that some library calls ends a worker
                logger.exception("a worker died at its work; it begins anew")
                self._on_restart()
            finally:
                with self._lock:
                    self._at_work_since[worker] = math.inf
                    self._free_threads += threads

    def _next_turn(self, worker: int, awake: threading.Condition) -> tuple[_Task | None, int] | None:
        """The task whose turn it is, or None for a probe, and its threads; None when it is time to stop."""
        with self._lock:
            while not self._stopping:
                probe_in_s = self._probe_at - self.clock()
                if self._free_threads and (self._lanes or probe_in_s <= 0):
                    return self._take_turn(worker, is_probe=probe_in_s <= 0)
                self._idle.append(awake)
                awake.wait(timeout=probe_in_s if self._free_threads else None)
                if awake in self._idle:  # it was the time that woke it
                    self._idle.remove(awake)
        return None

    def _wake_one(self) -> None:
        """The worker that had work last: its threads and its memory are still warm."""
        if self._idle:
            self._idle.pop().notify()

    def _take_turn(self, worker: int, *, is_probe: bool) -> tuple[_Task | None, int]:
        threads = max(1, self._free_threads // max(1, len(self._lanes)))
        self._free_threads -= threads
        self._at_work_since[worker] = self.clock()
        task = None if is_probe else self._lanes.take()
        if is_probe:
            self._probe_at = self.clock() + PROBE_AFTER_S  # also if it fails: not in a tight loop
        if self._free_threads and self._lanes:
            self._wake_one()
        return task, threads

    def _run_a_tile(self, task: _Task, threads: int) -> None:
        """One tile of a task, which is settled then or waits for its next turn."""
        began = self.clock()
        if not task.wanted:
            return
        if began >= task.place.deadline:
            task.settle(error=DeadlinePassed("the deadline passed before the work was done"))
            return
        try:
            job = task.job = task.job or task.start()
            job.run(task.next_tile)
            task.next_tile += 1
            finished = task.next_tile == job.num_tiles
            result = job.result() if finished else None
        except Exception as error:
            task.settle(error=error)
            return
        except BaseException:
            task.settle(error=Unavailable("the worker died at this work", retry_after_s=1))
            raise
        seconds = self.clock() - began
        task.model_s += seconds
        with self._lock:
            self._note_finished_tile()
            self._recent_megapixels = 0.95 * self._recent_megapixels + task.megapixels / job.num_tiles
            self._recent_thread_s = 0.95 * self._recent_thread_s + threads * seconds
            if not finished and not self._stopping:
                self._lanes.put(task, task.place, task.megapixels)
        if finished:
            task.settle(result)
        elif self._stopping:
            task.settle(error=Unavailable(STOPPED, retry_after_s=1))

    def _try_itself(self) -> None:
        try:
            probe = self._probe()
            for i in range(probe.num_tiles):
                probe.run(i)
            probe.result()
        except Exception:
            logger.exception("the idle probe failed")
        else:
            with self._lock:
                self._note_finished_tile()

    def _note_finished_tile(self) -> None:
        self._last_tile_at = self.clock()
        self._probe_at = self._last_tile_at + PROBE_AFTER_S
