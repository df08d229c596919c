"""Unpacking in a process apart, where an image that makes its decoder crash costs its own row alone.

That process gets an image file and its options, gives pixels or an exception, and ends when the pipe does.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from subprocess import Popen
from threading import Lock

from vqvae.bulk.manifest import Options
from vqvae.bulk.preparing import unpack
from vqvae.errors import BulkError, ImageError
from vqvae.pixels import RGB8

ENDED = "image cannot be decoded: its decoder crashed"
# Of a file's making. Others are the machine's: SIGKILL is what comes where memory runs out.
_CRASHES = {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGILL, -signal.SIGABRT}


@contextmanager
def unpacking_apart() -> Iterator[Callable[[bytes, Options], RGB8]]:
    """What does as `unpack` in a process apart, for any thread.

    ImageError where the image ends the process by a crash, BulkError where that ends otherwise.
    """
    apart = _Apart()
    try:
        yield apart.unpack
    finally:
        apart.end()


class _Apart:
    """The process, and the next one after a crash."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._begin()

    def _begin(self) -> None:
        self._pipe, inner = Pipe()
        # not with multiprocessing, whose processes may have no children where they are daemons
        inside = f"from vqvae.bulk.apart import serve; serve({inner.fileno()})"
        path = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._process = Popen(
            [sys.executable, "-c", inside],
            env={**os.environ, "PYTHONPATH": path},
            pass_fds=[inner.fileno()],
        )
        inner.close()  # the process has the only one, so that its end is the pipe's

    def unpack(self, data: bytes, options: Options) -> RGB8:
        with self._lock:
            try:
                self._pipe.send((data, options))
                answer: RGB8 | Exception = self._pipe.recv()
            except (EOFError, OSError):
                code = self._process.wait()
                self.end()
                self._begin()
                if code in _CRASHES:
                    raise ImageError(ENDED) from None
                raise BulkError(
                    f"the process that unpacked it ended with {code}; if memory ran out, give fewer workers "
                    "or a lower max_megapixels"
                ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.wait()


def serve(descriptor: int) -> None:
    """What the process does until nobody is left to ask."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the worker decides when to end
    with suppress(EOFError, ConnectionError):
        pipe = Connection(descriptor)
        while True:
            data, options = pipe.recv()
            try:
                pipe.send(unpack(data, options))
            except Exception as error:
                pipe.send(error)
