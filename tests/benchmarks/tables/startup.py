"""From start to ready, what is in memory then, and what an image adds to its base.

Files are warm: a start that is not counted comes first. Memory is PSS, in which processes count what they
share in parts, of the service and all that it has started, at the moment that it is ready.
"""

import logging
import os
import socket
import sys
import time
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from subprocess import DEVNULL, Popen

from family import pss_bytes
from figures import Goal, Row, Spread, Table
from machine import machine
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service.settings import PREFIX

logger = logging.getLogger("benchmarks")

ROOT = Path(__file__).parents[3]
START_GOAL = Goal("at most", 2.5)  # seconds
MEMORY_GOAL = Goal("at most", 450)  # MB
MB = 1e6
PATIENCE_S = 300
LOOK_S = 0.01
END_S = 60
READY = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def startup(num_rounds: int, *, quick: bool) -> Table:
    """Start to ready, memory when ready, and the size of an image without torch."""
    rows: list[Row] = []
    for models, memory_goal in (("photo-f8", MEMORY_GOAL), ("photo-f8,photo-f16", None)):
        if quick and memory_goal is None:
            continue
        logger.info("starting %s", models)
        starts = [_start(models) for _ in range(2 if quick else num_rounds + 1)][1:]
        seconds, pss = zip(*starts, strict=True)
        rows.append(Row((f"start to ready, s: {models}",), (Spread.of(seconds),), START_GOAL))
        rows.append(Row((f"PSS when ready, MB: {models}",), (Spread.of(pss).times(1 / MB),), memory_goal))
    packages = {found.name: _bytes_of(found) for found in _installed("vqvae", {"service"})}
    packages.pop("vqvae")  # installed from the folders below
    folders = {name: _bytes_below(ROOT / name) for name in ("service", "vqvae", "weights")}
    torch_bytes = packages.pop("torch")
    everything = {**packages, **folders}
    largest = sorted(everything, key=lambda name: everything[name], reverse=True)[:6]
    rows.append(Row(("on disk without torch, MB",), (Spread.of([sum(everything.values()) / MB]),)))
    rows.append(Row(("torch itself on disk, MB",), (Spread.of([torch_bytes / MB]),)))
    told = ", ".join(f"{name} {everything[name] / MB:.0f}" for name in largest)
    notes = (
        f"From starting `python -m service` to the first 200 of /readyz, asked every {1000 * LOOK_S:.0f} ms, "
        "with warm files and settings as they are but for the models. Without torch, what the container "
        "puts on its base is the packages of the extra `service` as they are installed here and the folders "
        f"service, vqvae and weights; the largest are, in MB, {told}. An MB is 10^6 bytes.",
        machine("uvicorn"),
    )
    return Table("startup", ("what",), ("figure",), tuple(rows), notes)


def _start(models: str) -> tuple[float, int]:
    """Seconds to readiness, and PSS then."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {f"{PREFIX}MODELS": models, f"{PREFIX}PORT": str(port)}
    began = time.perf_counter()
    process = Popen(
        [sys.executable, "-m", "service"], cwd=ROOT, env=clean | given, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        while not _is_ready(port):
            if process.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                raise RuntimeError(f"the service did not start within {PATIENCE_S} s")
            time.sleep(LOOK_S)
        return time.perf_counter() - began, pss_bytes(process.pid)
    finally:
        process.terminate()
        process.wait(END_S)


def _is_ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(READY)
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def _installed(name: str, extras: set[str]) -> list[Distribution]:
    """A package and all that it needs with these extras, each once."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(f"{name}[{','.join(extras)}]")]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            package = found.setdefault(key[0], distribution(wanted.name))
        except PackageNotFoundError:  # of another platform
            continue
        for requirement in map(Requirement, package.requires or []):
            asked_for = [{"extra": extra} for extra in ("", *wanted.extras)]
            if requirement.marker is None or any(map(requirement.marker.evaluate, asked_for)):
                waiting.append(requirement)
    return list(found.values())


def _bytes_of(package: Distribution) -> int:
    paths = (Path(str(package.locate_file(file))) for file in package.files or [])
    return sum(path.stat().st_size for path in paths if path.is_file())


def _bytes_below(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sum(path.stat().st_size for path in files)
