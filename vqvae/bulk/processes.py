"""The engine of one machine: processes with a model each.

A worker says that it is ready, gets a piece of work, tells its progress and gives the record, all over one
pipe. When the main process is gone, however it went, so is the other end of the pipe, and the worker ends.
"""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from vqvae.bulk.crew import Death, Gathered, Ready, run_crew
from vqvae.bulk.records import ShardRecord
from vqvae.bulk.shard import ShardWork, Tally, encode_shard
from vqvae.errors import VqvaeError
from vqvae.tokenizer import Tokenizer


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
        """The record of each piece as it is finished; of failures, see `run_crew`."""
        crew = _Crew((self._model, self._device, self._readers))
        return run_crew(crew, self._workers, work, on_images)


class _Crew:
    """Worker processes by their pipes."""

    def __init__(self, arguments: tuple[str | Path, str, int]) -> None:
        self._context = multiprocessing.get_context(
            "spawn"
        )  # a fork of a process with torch's threads may hang
        self._arguments = arguments
        self._hired: list[SpawnProcess] = []
        self._busy: dict[Connection, SpawnProcess] = {}

    def hire(self) -> None:
        here, there = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(there, *self._arguments), name=f"vqvae-bulk-{len(self._hired)}", daemon=True
        )
        process.start()
        there.close()
        self._hired.append(process)
        self._busy[here] = process

    def messages(self) -> Iterator[tuple[Connection, object]]:
        for connection in wait(list(self._busy)):
            assert isinstance(connection, Connection)
            try:
                message = connection.recv()
            except (EOFError, ConnectionResetError):
                message = self._death(connection)
            yield connection, message

    def tell(self, connection: Connection, piece: ShardWork) -> None:
        with suppress(OSError):  # it died, which `messages` tells
            connection.send(piece)

    def dismiss(self, connection: Connection) -> None:
        with suppress(OSError):
            connection.send(None)
        del self._busy[connection]
        connection.close()

    def end(self) -> None:
        for connection, process in self._busy.items():
            process.kill()
            connection.close()
        for process in self._hired:
            process.join()

    def _death(self, connection: Connection) -> Death:
        process = self._busy.pop(connection)
        connection.close()
        process.join()
        code = process.exitcode or 0
        return Death(f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}")


def _work(main: Connection, model: str | Path, device: str, readers: int) -> None:
    """What a worker does until it is told to go, or nobody is left to tell it."""
    # the main process decides when to end; a terminal or a cluster would signal all processes of the group
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        tokenizer = Tokenizer.load(model, device=device, parts="encoder")
        _tell(main, Ready())
        while (piece := _hear(main)) is not None:
            progress = Gathered(partial(_tell, main))
            record = encode_shard(piece, tokenizer, readers=readers, on_images=progress.add)
            progress.flush()
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


def usable_cores() -> int:
    """The processor's cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
