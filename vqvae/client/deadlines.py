"""Connections of the blocking client that keep to the time of the attempt which uses them.

httpx gives each single read and write the whole timeout anew: a server that sends a byte now and then would
hold a client for as long as it likes. asyncio's timeouts are of the whole attempt, and need nothing of this.
"""

import threading
from typing import Any

from vqvae.client.exchange import CONNECT_S, Attempt

PIECE_BYTES = 65536  # written at one time, between two looks at the clock


class Deadlines:
    """The attempt that each thread is at."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def begin(self, attempt: Attempt) -> None:
        """What this thread reads and writes from now on is the attempt's."""
        self._of_thread.attempt = attempt

    def keep(self, stream: Any) -> None:
        """Bound what is done with a stream of httpcore's by the attempt of the thread that does it."""
        read, write, start_tls = stream.read, stream.write, stream.start_tls

        def read_in_time(max_bytes: int, **_: Any) -> Any:
            return read(max_bytes, timeout=self._left_s())

        def write_in_time(buffer: bytes, **_: Any) -> None:
            rest = memoryview(buffer)
            while rest:
                write(rest[:PIECE_BYTES], timeout=self._left_s())
                rest = rest[PIECE_BYTES:]

        def start_tls_in_time(ssl_context: Any, server_hostname: str, **_: Any) -> Any:
            return start_tls(ssl_context, server_hostname, timeout=min(CONNECT_S, self._left_s()))

        stream.read, stream.write, stream.start_tls = read_in_time, write_in_time, start_tls_in_time

    def _left_s(self) -> float:
        """Of this thread's attempt; raises httpx.ReadTimeout when it is over."""
        attempt: Attempt = self._of_thread.attempt
        attempt.check_time()
        return attempt.left_s
