"""What README says is run as it stands there but for the size of a shard: these sets of images are small."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vqvae.bulk
from vqvae.bulk import CodeDataset
from vqvae.pixels import encode_image

ROOT = Path(__file__).parents[3]
README = (Path(vqvae.bulk.__file__).parent / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(sh|python) runnable\n(.*?)^```$", README, re.M | re.S)
SHARD_SIZE = "--shard-size 500"


def run_blocks(folder, num_blocks, shard_size):
    """What each of the first so many blocks prints, in a folder that holds photos."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder)}
    outputs = []
    for language, text in BLOCKS[:num_blocks]:
        command = [sys.executable, "-c"] if language == "python" else ["bash", "-euc"]
        done = subprocess.run(
            [*command, text.replace(SHARD_SIZE, f"--shard-size {shard_size}")],
            cwd=folder,
            env={**os.environ, **offline, "PATH": path, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    return outputs


def losses(line):
    """Nats a code: of the transformer, and of who knows only how often each code occurs."""
    found = re.fullmatch(r"(.*) nats a held-out code; their zero-order entropy is (.*)\n", line)
    return map(float, found.groups())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds the repository's four images."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "photos").symlink_to(ROOT / "tests/images")
    return folder


@pytest.fixture(scope="module")
def printed(folder):
    """What each block prints on these images, the last of which is alone in its shard."""
    assert BLOCKS[0][1].count(SHARD_SIZE) == 1
    return run_blocks(folder, len(BLOCKS), shard_size=3)


def test_commands_encode_verify_and_tell(printed):
    assert "codes: 4 images in 2 shards, 1024 codes" in printed[0]
    assert "4 images encoded again: 0 of 1024 codes differ\nall as the manifest says\n" in printed[0]
    assert "duplicates: 0 images" in printed[0]


def test_the_picture_of_the_common_codes_is_written(printed, folder):
    assert (folder / "common.png").stat().st_size


def test_the_transformer_is_held_against_the_zero_order_entropy_of_the_last_shard(printed, folder):
    loss, entropy = losses(printed[1])
    *_, held_out = CodeDataset(folder / "codes")
    counts = np.unique(held_out, return_counts=True)[1]
    assert entropy == pytest.approx(np.log(256) - (counts * np.log(counts)).sum() / 256, abs=0.006)
    assert loss == pytest.approx(np.log(4096), abs=1)  # a guess's: three images and five steps teach little


@pytest.mark.slow
def test_on_images_it_has_not_seen_the_transformer_is_below_their_zero_order_entropy(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "tests/siege")
    photograph = importlib.import_module("deck").photograph
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(320):
        (tmp_path / f"photos/{i:03}.png").write_bytes(encode_image(photograph(rng, 128, 128)))
    *_, trained = run_blocks(tmp_path, 2, shard_size=64)
    loss, entropy = losses(trained)
    assert loss < entropy


def test_datasets_reads_what_was_written(printed):
    assert printed[2] == "torch.Size([256])\n"
