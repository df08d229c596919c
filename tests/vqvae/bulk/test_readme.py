"""What README says is run as it stands there, in one folder, on the repository's four images."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vqvae.bulk

ROOT = Path(__file__).parents[3]
README = (Path(vqvae.bulk.__file__).parent / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(sh|python) runnable\n(.*?)^```$", README, re.M | re.S)


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each block prints."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "photos").symlink_to(ROOT / "tests/images")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder)}
    outputs = []
    for language, text in BLOCKS:
        command = [sys.executable, "-c"] if language == "python" else ["bash", "-euc"]
        done = subprocess.run(
            [*command, text],
            cwd=folder,
            env={**os.environ, **offline, "PATH": path, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert (folder / "common.png").stat().st_size
    return outputs


def test_commands_encode_verify_and_tell(printed):
    assert "codes: 4 images in 1 shards, 1024 codes" in printed[0]
    assert "4 images encoded again: 0 of 1024 codes differ\nall as the manifest says\n" in printed[0]
    assert "duplicates: 0 images" in printed[0]


def test_the_transformer_learns(printed):
    losses = [float(line.split()[0]) for line in printed[1].splitlines()]
    assert len(losses) == 30
    assert losses[0] > 8  # ln 4096 = 8.3: it knows nothing
    assert sum(losses[-5:]) / 5 < 6.5


def test_datasets_reads_what_was_written(printed):
    assert printed[2] == "torch.Size([256])\n"
