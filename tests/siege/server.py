"""The real service in a process of its own: started with given settings, looked at from outside, stopped.

What it and its child processes use is read from /proc, so this needs Linux.
"""

import io
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from service.settings import PREFIX, Settings
from service.unpacking.pool import INSIDE as UNPACKING

ROOT = Path(__file__).parents[2]
SERVICE = (sys.executable, "-m", "service")
START_S = 120
END_S = 30  # beyond the time to drain
LOG_S = 5  # for the last of the log, unless a process that was left over holds it open
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Server:
    """A service that is running, on a free port of 127.0.0.1.

    Args:
        settings: by name, as their environment variables would hold them.
        command: that runs the service; it must not fork.
        environment: other variables than those of this process.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        command: Sequence[str] = SERVICE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = Settings.model_validate(dict(settings))
        given = {"port": "0", **settings}
        variables = {f"{PREFIX}{name.upper()}": value for name, value in given.items()}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._log = io.StringIO()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean | variables | dict(environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._log_reader = threading.Thread(target=self._read_log, daemon=True)
        self._log_reader.start()
        try:
            self.url = self._await_url()
            self.client = httpx.Client(base_url=self.url, timeout=START_S)
            self._await_readiness()
        except BaseException:
            self.process.kill()
            raise

    def stop(self) -> int:
        """Tell it to stop; its exit code, negative where it had to be killed."""
        self.process.terminate()
        try:
            code = self.process.wait(self.settings.drain_s + END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._log_reader.join(LOG_S)
        return code

    @property
    def log(self) -> str:
        """What it has said so far; all of it once it was stopped."""
        return self._log.getvalue()

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of a metric that have these labels."""
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    @property
    def unpacking_processes(self) -> list[int]:
        """Process ids of those that look at image files, be it at headers or pixels."""
        return [pid for pid in self._children if UNPACKING.encode() in _read(pid, "cmdline")]

    @property
    def resident_bytes(self) -> tuple[int, int]:
        """Memory of the service's own process, and of it and all child processes together."""
        own = _resident_bytes(self.process.pid)
        return own, own + sum(map(_resident_bytes, self._children))

    @property
    def _children(self) -> list[int]:
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [pid for pid in pids if f"\nPPid:\t{self.process.pid}\n".encode() in _read(pid, "status")]

    def _read_log(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._log.write(line)

    def _await_url(self) -> str:
        for _ in range(10 * START_S):
            if found := re.search(r"serving on (\S+)", self.log):
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"the service did not start: {self.log}")

    def _await_readiness(self) -> None:
        for _ in range(10 * START_S):
            if self.client.get("/readyz").is_success:
                return
            time.sleep(0.1)
        raise RuntimeError(f"the service is not ready: {self.log}")


@contextmanager
def serving(
    settings: Mapping[str, str],
    command: Sequence[str] = SERVICE,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A running service, stopped when this is left."""
    server = Server(settings, command, environment)
    try:
        yield server
    finally:
        server.client.close()
        server.stop()


def _read(pid: int, file: str) -> bytes:
    """A file of a process in /proc; empty where the process has ended."""
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return b""


def _resident_bytes(pid: int) -> int:
    fields = _read(pid, "statm").split()
    return int(fields[1]) * PAGE_BYTES if fields else 0
