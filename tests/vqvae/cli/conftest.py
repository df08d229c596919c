"""The command line in an empty folder: in this process, fed by a pipe, or in a process on a terminal."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from vqvae.cli import main
from vqvae.pixels import RGB8, encode_image

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class EndedPipe:
    code: int
    out: bytes
    err: str


@pytest.fixture
def vqvae(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Runs the command line in `tmp_path`, where the models `tiny` and `other` are known by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VQVAE_WEIGHTS", str(weights))
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(ended.value.code or 0, out, err)

    return run


@pytest.fixture
def fed(
    tmp_path: Path,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Callable[..., EndedPipe]:
    """The same with bytes as standard input, and bytes as what comes out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VQVAE_WEIGHTS", str(weights))

    def run(standard_input: bytes, *arguments: object) -> EndedPipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(standard_input)))
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsysbinary.readouterr()
        return EndedPipe(ended.value.code or 0, out, err.decode())

    return run


@pytest.fixture
def terminal(tmp_path: Path) -> Callable[..., Ended]:
    """Runs Python in a process on a terminal of 80 columns that shows 24-bit colours; `out` is all it got.

    `stdout` may go to a file instead, and further variables into the environment.
    """

    def run(*arguments: object, stdout: object = None, **environment: str) -> Ended:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env={
                **env,
                "PYTHONPATH": str(ROOT),
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                **environment,
            },
            stdin=theirs,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
        )
        os.close(theirs)
        shown = bytearray()
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
        os.close(ours)
        return Ended(process.wait(60), shown.decode().replace("\r\n", "\n"), "")

    return run


def gradient(height: int, width: int) -> RGB8:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([5 * x, 3 * y, x + y], axis=-1).astype(np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """photo.png, 35 wide and 21 high: no multiples of f = 8."""
    path = tmp_path / "photo.png"
    path.write_bytes(encode_image(gradient(21, 35)))
    return path


@pytest.fixture
def not_a_photo(tmp_path: Path) -> Path:
    path = tmp_path / "bad.png"
    path.write_text("hello")
    return path
