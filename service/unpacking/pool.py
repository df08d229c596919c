"""Unpacking processes, each with a thread that hands it one file after another.

A file whose process ends in the middle of it, or does not take it, is tried once more in a fresh one, for the
reason may have been another; a file that takes too long is not. Either way no other file is touched.
"""

import logging
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from queue import Empty, SimpleQueue
from subprocess import DEVNULL, Popen
from typing import Any

import numpy as np
import orjson

from service.errors import Unavailable
from service.settings import library_paths
from service.unpacking.process import READY
from vqvae.errors import ImageError, LimitError, UnsupportedImageError, VqvaeError
from vqvae.pixels import RGB8

logger = logging.getLogger("service")

NUM_STARTS = 3  # tried for a file that waits
START_S = 30.0  # a process takes a third of one
LOOK_S = 0.5  # between an idle thread's looks at its process
MAX_ANSWER_BYTES = 10_000  # but for the pixels

INSIDE = "service.unpacking.process"

_ERRORS = {cls.__name__: cls for cls in (ImageError, UnsupportedImageError)}


class UnpackingPool:
    """So many processes before one queue; an ended one is replaced, and then `on_replaced` called.

    Args:
        seconds: that one file may take.
        memory_bytes: that a process may take beyond those it begins with.
    """

    def __init__(
        self, num_processes: int, *, seconds: float, memory_bytes: int, on_replaced: Callable[[], None]
    ) -> None:
        self._queue: SimpleQueue[_File | None] = SimpleQueue()
        self._unpackers = [
            _Unpacker(self._queue, seconds, memory_bytes, on_replaced) for _ in range(num_processes)
        ]

    def start(self) -> None:
        """Start the processes; OSError where they do not start."""
        for unpacker in self._unpackers:
            unpacker.begin_process()
        for unpacker in self._unpackers:
            unpacker.await_process()
            unpacker.start()

    def submit(self, data: bytes, max_pixels: int) -> Future[RGB8]:
        """What `decode_image` makes of a file, to come; cancelling drops a file whose turn has not come.

        It ends with the errors of `decode_image`; with ImageError also where a process ended over the file,
        twice, or took too long; with Unavailable where no process can be started.
        """
        return self._put(_File(data, max_pixels))

    def submit_for_size(self, data: bytes) -> Future[tuple[int, int]]:
        """(width, height) by a file's header, to come; all else is as with `submit`."""
        return self._put(_File(data, max_pixels=0))

    def _put(self, file: "_File") -> Future[Any]:
        self._queue.put(file)
        return file.result

    @property
    def num_alive(self) -> int:
        """Processes that are ready for files or at one."""
        return sum(unpacker.is_well for unpacker in self._unpackers)

    def stop(self) -> None:
        """End the processes once they have finished the files that they are at."""
        for _ in self._unpackers:
            self._queue.put(None)
        for unpacker in self._unpackers:
            unpacker.join()


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    max_pixels: int  # 0 where only its size is wanted
    result: Future[Any] = field(default_factory=Future)


class _Unpacker(threading.Thread):
    """One process, and the thread that looks after it."""

    def __init__(
        self,
        queue: "SimpleQueue[_File | None]",
        seconds: float,
        memory_bytes: int,
        on_replaced: Callable[[], None],
    ) -> None:
        super().__init__(name="unpacking", daemon=True)
        self._queue, self._seconds, self._memory_bytes = queue, seconds, memory_bytes
        self._on_replaced = on_replaced
        self.is_well = False

    def begin_process(self) -> None:
        pipe, inner = Pipe()
        python = [sys.executable, "-B", "-P"]  # it writes nothing, and finds modules where we do
        command = [*python, "-m", INSIDE, str(inner.fileno()), str(self._memory_bytes)]
        try:  # not with multiprocessing, whose processes get all of our environment
            process = Popen(command, env=_environment(), stdin=DEVNULL, pass_fds=[inner.fileno()])
        except OSError:
            pipe.close()
            raise
        finally:
            inner.close()  # the process has the only one, so that its end is the pipe's
        _limit_waits(pipe.fileno(), self._seconds)
        self._pipe, self._process = pipe, process

    def await_process(self) -> None:
        try:
            self.is_well = self._pipe.poll(START_S) and self._pipe.recv_bytes() == READY
        except (EOFError, OSError):
            self.is_well = False
        if not self.is_well:
            raise OSError("a process that unpacks images does not start")

    def run(self) -> None:
        while True:
            try:
                file = self._queue.get(timeout=LOOK_S)
            except Empty:
                with suppress(OSError):  # said in the log, and tried again soon
                    self._look_after_process()
                continue
            if file is None:
                self._end_process()
                return
            if file.result.set_running_or_notify_cancel():
                try:
                    file.result.set_result(self._unpack(file))
                except Exception as error:
                    file.result.set_exception(error)

    def _look_after_process(self) -> None:
        if not self.is_well or self._process.poll() is not None:
            self._replace_process()

    def _unpack(self, file: _File) -> RGB8 | tuple[int, int]:
        for _ in range(2):
            self._have_process()
            try:
                return self._ask_process(file)
            except _ProcessEnded:
                self.is_well = False
        raise ImageError("image cannot be decoded: its decoder crashed, twice")

    def _have_process(self) -> None:
        """Replace one that is not well, and the next one too where that does not start."""
        for _ in range(NUM_STARTS):
            with suppress(OSError):  # said in the log
                self._look_after_process()
                return
        raise Unavailable("images cannot be unpacked at the moment", retry_after_s=1)

    def _ask_process(self, file: _File) -> RGB8 | tuple[int, int]:
        try:
            self._pipe.send_bytes(file.max_pixels.to_bytes(8, "little"))
            self._pipe.send_bytes(file.data)
            if not self._pipe.poll(self._seconds):
                self.is_well = False
                raise ImageError(f"image cannot be decoded within {self._seconds:g} s")
            answer = orjson.loads(self._pipe.recv_bytes(MAX_ANSWER_BYTES))
            if "error" in answer:
                raise _error(answer)
            if not file.max_pixels:
                return answer["width"], answer["height"]
            rgb = np.empty((answer["height"], answer["width"], 3), np.uint8)
            self._pipe.recv_bytes_into(rgb.data.cast("B"))
            return rgb
        except (EOFError, OSError):
            raise _ProcessEnded from None

    def _replace_process(self) -> None:
        self._end_process()
        self._on_replaced()
        try:
            self.begin_process()
            self.await_process()
        except OSError:
            logger.exception("an unpacking process ended, and no other one starts")
            raise
        logger.warning("an unpacking process ended or was too slow; another one is in its place")

    def _end_process(self) -> None:
        self.is_well = False
        self._process.kill()
        self._process.wait()
        self._pipe.close()


def _limit_waits(pipe: int, seconds: float) -> None:
    """Let each read and write of a pipe fail with OSError after so long, as on a process that was stopped."""
    limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))  # a timeval
    with socket.socket(fileno=os.dup(pipe)) as same:
        for side in socket.SO_SNDTIMEO, socket.SO_RCVTIMEO:
            same.setsockopt(socket.SOL_SOCKET, side, limit)


def _environment() -> dict[str, str]:
    """All that a process gets of ours: where its modules are. Keys and tokens stay here."""
    return {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path), **library_paths()}


class _ProcessEnded(Exception):  # noqa: N818 - said to the next function, and to nobody else
    pass


def _error(answer: dict[str, Any]) -> VqvaeError:
    if answer["error"] == LimitError.__name__:
        return LimitError(answer["message"], limit=answer["limit"], actual=answer["actual"])
    return _ERRORS[answer["error"]](answer["message"])
