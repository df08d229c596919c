"""Ctrl-C, SIGTERM and a terminal that closes: all unwind the stack, so that nothing is left half done."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows lacks the last
_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


@contextmanager
def stoppable() -> Iterator[None]:
    """Within, a signal to stop ends in SystemExit of 128 + its number, and in silence."""
    received: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in [number for number, before in handlers.items() if before is signal.SIG_IGN]:
        del handlers[number]  # nohup wants it so
    for number in handlers:
        signal.signal(number, stop)
    try:
        yield
    except BaseException:
        if not received:
            raise
        # whatever it is, an import that was cut short may have raised it in place of the interruption
        handlers = dict.fromkeys(handlers, signal.SIG_IGN)  # the process is ending: once is enough
        raise SystemExit(128 + received[0]) from None
    finally:
        for number, before in handlers.items():
            signal.signal(number, before)
