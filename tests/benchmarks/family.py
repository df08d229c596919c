"""A process and all that it has started, looked at and held from outside; /proc, so Linux."""

import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            with suppress(OSError):  # it has ended
                after_name = (path / "stat").read_text("utf-8", "replace").rpartition(")")[2]
                children[int(after_name.split()[1])].append(int(path.name))
    found = [pid]
    for member in found:
        found += children[member]
    return found


def pss_bytes(pid: int) -> int:
    """Memory of a family: what processes share counts once, in parts."""
    total = 0
    for member in family(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{member}/smaps_rollup").read_text("ascii").splitlines()
            total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def processor_s(pid: int) -> dict[int, float]:
    """How long each thread of a family has computed, by the number of the thread."""
    seconds = {}
    for member in family(pid):
        with suppress(OSError):
            for path in Path(f"/proc/{member}/task").iterdir():
                seconds[int(path.name)] = int((path / "schedstat").read_text("ascii").split()[0]) / 1e9
    return seconds


class Held:
    """A family that is stopped but for its turns: an idle server costs no other contender anything."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Meanwhile it runs."""
        self.signal(signal.SIGCONT)
        try:
            yield
        finally:
            self.signal(signal.SIGSTOP)

    def signal(self, number: int) -> None:
        """To all of it."""
        for member in family(self._pid):
            with suppress(ProcessLookupError):
                os.kill(member, number)


@contextmanager
def holding(pid: int) -> Iterator[Held]:
    """A family that is held until this is left."""
    held = Held(pid)
    held.signal(signal.SIGSTOP)
    try:
        yield held
    finally:
        held.signal(signal.SIGCONT)
