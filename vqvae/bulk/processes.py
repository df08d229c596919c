"""The engine of one machine: processes with a model each.

A worker says that it is ready, gets a piece of work, tells its progress and gives the record, all over one
pipe. When the main process is gone, however it went, so is the other end of the pipe, and the worker ends.
"""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from vqvae.bulk.records import ShardRecord
from vqvae.bulk.shard import NOTHING, ShardWork, Tally, encode_shard
from vqvae.errors import BulkError, VqvaeError
from vqvae.tokenizer import Tokenizer

REPORT_EVERY_S = 0.5
READY = "ready"


class Processes:
    """Workers that are processes.

    Started by spawning: in a script of your own, call it below `if __name__ == "__main__":`.

    Args:
        model: a name or a folder; every worker loads it.
        readers: threads of each that read and unpack images while others are encoded.
    """

    def __init__(self, model: str | Path, *, workers: int, device: str = "cpu", readers: int = 1) -> None:
        self._model = model
        self._workers = workers
        self._device = device
        self._readers = readers

    def run(self, work: Iterable[ShardWork], on_images: Callable[[Tally], None]) -> Generator[ShardRecord]:
        """The record of each piece as it is finished.

        After a failure no new piece is begun; those that are under way are finished, then it is raised.
        """
        pieces = iter(work)
        crew = _Crew(self._workers, (self._model, self._device, self._readers))
        failure: BaseException | None = None
        try:
            while crew.busy:
                for connection, message in crew.messages():
                    match message:
                        case Tally():
                            on_images(message)
                            continue
                        case ShardRecord():
                            yield message
                        case BaseException():
                            failure = failure or message
                    piece = None if failure else next(pieces, None)
                    crew.tell(connection, piece)
        finally:
            crew.end()
        if failure is not None:
            raise failure


class _Crew:
    """Worker processes by their pipes."""

    def __init__(self, size: int, arguments: tuple[str | Path, str, int]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process with torch's threads may hang
        self._processes: list[SpawnProcess] = []
        self._pieces: dict[Connection, ShardWork | None] = {}
        self.busy: dict[Connection, SpawnProcess] = {}
        for number in range(size):
            here, there = context.Pipe()
            process = context.Process(
                target=_work, args=(there, *arguments), name=f"vqvae-bulk-{number}", daemon=True
            )
            process.start()
            there.close()
            self._processes.append(process)
            self.busy[here] = process

    def messages(self) -> Iterator[tuple[Connection, object]]:
        """What workers have to say, as soon as one has; of one that died, a BulkError."""
        for connection in wait(list(self.busy)):
            assert isinstance(connection, Connection)
            try:
                yield connection, connection.recv()
            except (EOFError, ConnectionResetError):
                yield connection, self._death(connection)

    def tell(self, connection: Connection, piece: ShardWork | None) -> None:
        """Give a worker its next piece, or None: that it may go."""
        self._pieces[connection] = piece
        with suppress(OSError):  # it died, which `messages` tells
            connection.send(piece)
        if piece is None:
            del self.busy[connection]
            connection.close()

    def end(self) -> None:
        """End those that still work, at once: what they were writing counts as never begun."""
        for connection, process in self.busy.items():
            process.kill()
            connection.close()
        for process in self._processes:
            process.join()

    def _death(self, connection: Connection) -> BulkError:
        process, piece = self.busy[connection], self._pieces.get(connection)
        process.join()
        code = process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        where = "before its first shard" if piece is None else f"in the middle of {piece.shard.name}"
        return BulkError(
            f"a worker {how} {where}; if memory ran out, give fewer workers. What is finished stays, and the "
            "same command goes on from there"
        )


def _work(main: Connection, model: str | Path, device: str, readers: int) -> None:
    """What a worker does until it is told to go, or nobody is left to tell it."""
    # the main process decides when to end; a terminal or a cluster would signal all processes of the group
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        tokenizer = Tokenizer.load(model, device=device, parts="encoder")
        _tell(main, READY)
        while (piece := _hear(main)) is not None:
            progress = _Progress(main)
            record = encode_shard(piece, tokenizer, readers=readers, on_images=progress.add)
            progress.send()
            _tell(main, record)
    except VqvaeError as error:
        _tell(main, error)
    except Exception:  # a fault of ours, or of the machine: as text, for not every error can be sent
        _tell(main, RuntimeError(f"in a worker:\n{traceback.format_exc()}"))


def _tell(main: Connection, message: object) -> None:
    try:
        main.send(message)
    except OSError:
        raise SystemExit(1) from None  # nobody is left to tell


def _hear(main: Connection) -> ShardWork | None:
    try:
        piece: ShardWork | None = main.recv()
    except (EOFError, OSError):
        raise SystemExit(1) from None
    return piece


class _Progress:
    """Tallies, gathered and sent a few times a second."""

    def __init__(self, main: Connection) -> None:
        self._main = main
        self._sum = NOTHING
        self._due = time.monotonic() + REPORT_EVERY_S

    def add(self, tally: Tally) -> None:
        self._sum += tally
        if time.monotonic() >= self._due:
            self.send()

    def send(self) -> None:
        _tell(self._main, self._sum)
        self._sum = NOTHING
        self._due = time.monotonic() + REPORT_EVERY_S


def usable_cores() -> int:
    """The processor's cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
