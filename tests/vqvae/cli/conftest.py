"""The command line, run in this process and in an empty folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from vqvae.cli import main
from vqvae.pixels import RGB8, encode_image


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
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
