"""The inside of an unpacking process: files come in through a pipe, pixels or an error go back.

`python -m service.unpacking.process FD BYTES`: the pipe, open under that number, and the limit of memory.

A file is two messages, the most pixels that it may have (eight bytes, little-endian; 0 where only its size is
wanted) and its bytes. An answer is JSON, {"height", "width"} or {"error", "message", "limit", "actual"}, and
after the former the pixels where they were wanted.
"""

import os
import resource
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import orjson

from vqvae.errors import ImageError, LimitError
from vqvae.pixels import decode_image, read_size

READY = b"ready"


def main() -> None:
    """Serve as the command line says."""
    serve(Connection(int(sys.argv[1])), int(sys.argv[2]))


def serve(pipe: Connection, memory_bytes: int) -> None:
    """Unpack what comes until the pipe is closed, in so many bytes of memory beyond those of the start."""
    _forgo(memory_bytes)
    pipe.send_bytes(READY)
    with suppress(EOFError, ConnectionError):
        while True:
            max_pixels = int.from_bytes(pipe.recv_bytes(), "little")
            _answer(pipe, pipe.recv_bytes(), max_pixels)


def _answer(pipe: Connection, data: bytes, max_pixels: int) -> None:
    try:
        rgb = decode_image(data, max_pixels=max_pixels) if max_pixels else None
        width, height = read_size(data) if rgb is None else (rgb.shape[1], rgb.shape[0])
    except (ImageError, LimitError) as error:
        numbers = {"limit": error.limit, "actual": error.actual} if isinstance(error, LimitError) else {}
        answer = {"error": type(error).__name__, "message": str(error), **numbers}
        pipe.send_bytes(orjson.dumps(answer))
    else:
        pipe.send_bytes(orjson.dumps({"height": height, "width": width}))
        if rgb is not None:
            pipe.send_bytes(np.ascontiguousarray(rgb).data.cast("B"))


def _forgo(memory_bytes: int) -> None:
    """Give up what unpacking does not need: the terminal's signals, stderr, files, children, more memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the service's, which drains
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what a decoder prints was written by strangers
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if sys.platform == "linux":  # elsewhere the kernel does not hold to this limit
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        most = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
