"""Contenders: processes that hold their works ready and do one when told, and nothing in between.

Each has its own number of threads, set before any library that counts processors is imported. What memory a
work takes is the kernel's word: the highest resident set while it is done, less what was resident before.
"""

import math
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

Work = Callable[[], object]

LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# glibc gives every block from 64 KiB on its own pages, and back when it is freed: no peak hides in its pools
EXACT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
# and here it keeps all, so that few pages have to come anew from the kernel
KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}  # torch asks the kernel for pages of 2 MiB
SHORT_S = 1.0  # a call that takes less is done once before it is timed: caches held another's data
END_S = 10


class Contender:
    """A process with works by name; `with` ends it.

    Args:
        make: a function of a module, called in the process with these arguments; what it gives are the works.
        allocator: variables of glibc's or torch's. EXACT_MEMORY lets `peak_bytes` see all, and spoils times.
    """

    def __init__(
        self,
        make: Callable[..., Mapping[str, Work]],
        *args: object,
        threads: int,
        allocator: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        context = get_context("spawn")
        self._pipe, inner = context.Pipe()
        self._process = context.Process(target=_serve, args=(inner, threads, make, args), daemon=True)
        self._warm_s: dict[str, float] = {}
        with _environment({**dict.fromkeys(LIBRARIES, str(threads)), **allocator}):
            self._process.start()
        inner.close()
        self._await_answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(END_S)
        self._process.kill()

    def timer(self, work: str, round_s: float) -> Callable[[], float]:
        """A measure of seconds a call, over calls that fill so many seconds; the work is warm then."""
        call_s = self._warm_s[work] if work in self._warm_s else self.warm(work)
        if call_s < SHORT_S:
            call_s = self.warm(work)
        num_calls = max(1, math.ceil(round_s / call_s))

        def seconds_a_call() -> float:
            if call_s < SHORT_S:
                self._ask("time", work, 1)
            return float(self._ask("time", work, num_calls)) / num_calls

        return seconds_a_call

    def warm(self, work: str) -> float:
        """Do a work once, and keep nothing of it but the seconds that it took."""
        self._warm_s[work] = float(self._ask("time", work, 1))
        return self._warm_s[work]

    def result(self, work: str) -> Any:
        """What a work gives."""
        return self._ask("do", work)

    def peak_bytes(self, work: str) -> int:
        """Memory that a work takes at most, beyond what the process holds."""
        return int(self._ask("peak", work))

    def _ask(self, *question: object) -> Any:
        self._pipe.send(question)
        return self._await_answer()

    def _await_answer(self) -> Any:
        try:
            answer, trouble = self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"a contender ended, exit code {self._process.exitcode}") from None
        if trouble:
            raise RuntimeError(f"a contender failed:\n{trouble}")
        return answer


def _serve(
    pipe: Connection, threads: int, make: Callable[..., Mapping[str, Work]], args: tuple[object, ...]
) -> None:
    """The inside of the process: one answer for having begun, then one for each question."""
    import torch  # noqa: PLC0415 - the contender that starts this process needs none

    torch.set_num_threads(threads)
    works: Mapping[str, Work] = {}
    question: tuple[Any, ...] = ("make",)
    while True:
        try:
            answer: object = None
            match question:
                case ("make",):
                    works = make(*args)
                case "time", name, num_calls:
                    answer = _seconds(works[name], num_calls)
                case "do", name:
                    answer = works[name]()
                case "peak", name:
                    answer = _peak_bytes(works[name])
            pipe.send((answer, ""))
        except Exception:
            pipe.send((None, traceback.format_exc()))
        try:
            question = pipe.recv()
        except EOFError:
            return


def _seconds(work: Work, num_calls: int) -> float:
    began = time.perf_counter()
    for _ in range(num_calls):
        work()
    return time.perf_counter() - began


def _peak_bytes(work: Work) -> int:
    Path("/proc/self/clear_refs").write_text("5")  # the highest resident set begins anew
    before = _status_bytes("VmRSS")
    work()
    return _status_bytes("VmHWM") - before


def _status_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Meanwhile a process that is started has these variables too."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
