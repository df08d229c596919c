"""A small data set of images, and the tiny model's codes of it."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from vqvae import Tokenizer
from vqvae.bulk import InProcess, Options, plan_job, read_manifest, run_job
from vqvae.bulk.records import read_record, write_record
from vqvae.bulk.shard_files import read_rows, row_writer
from vqvae.pixels import encode_image

SIZES = [(40, 24), (24, 40), (24, 40), (24, 40), (9, 7), (33, 64)]  # width, height

DEADLY = """
import os, signal
from PIL.PngImagePlugin import PngImageFile

once = os.path.join(os.path.dirname(__file__), "once")
before = PngImageFile.load_prepare

def load_prepare(image):
    if image.size == (13, 13):
        os.kill(os.getpid(), signal.SIGSEGV)
    if image.size == (11, 11):
        os.kill(os.getpid(), signal.SIGKILL)
    if image.size == (9, 7) and os.path.exists(once):
        os.remove(once)
        os.kill(os.getpid(), signal.SIGKILL)
    before(image)

PngImageFile.load_prepare = load_prepare
"""


def smooth(width, height, seed):
    """Smooth colours with noise on them, so that neighbouring codes differ."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin((a * x + b * y) / 10 + c) for a, b, c in random.uniform(-2, 2, (3, 3))]
    noise = random.integers(-30, 30, (height, width, 1))
    return (np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def picture():
    """Makes pixels (H, W, 3) of a width, a height and a seed."""
    return smooth


@pytest.fixture(scope="session")
def files():
    """Image files by key: of four sizes, one twice, one damaged."""
    pictures = {f"a/{i}.png": encode_image(smooth(*size, seed=i)) for i, size in enumerate(SIZES)}
    return {**pictures, "b/bad.png": b"hello", "b/twin.png": pictures["a/0.png"]}


@pytest.fixture(scope="session")
def photographs(files, tmp_path_factory):
    """A folder of these."""
    folder = tmp_path_factory.mktemp("data") / "photographs"
    for key, data in files.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(data)
    return folder


@pytest.fixture(scope="session")
def deadly(tmp_path_factory):
    """A folder for PYTHONPATH that makes unpacking a PNG of some sizes deadly to the process.

    13x13 pixels crash it, 11x11 kill it, and 9x7 kill it where the folder holds `once`, which is removed.
    """
    folder = tmp_path_factory.mktemp("deadly")
    (folder / "sitecustomize.py").write_text(DEADLY)
    return folder


@pytest.fixture(scope="session")
def tokenizer(weights):
    return Tokenizer.load(weights / "tiny")


@pytest.fixture(scope="session")
def encode(weights, tokenizer):
    """Encodes a source into a folder with the model `tiny`, in this process unless told otherwise."""

    def run(source, folder, *, engine=None, max_error_rate=1, is_stopped=lambda: False, **options):
        job = plan_job(source, folder, model=weights / "tiny", options=Options(**options))
        engine = engine or InProcess(tokenizer)
        return run_job(job, engine, max_error_rate=max_error_rate, is_stopped=is_stopped)

    return run


@pytest.fixture(scope="session")
def finished(encode, photographs, tmp_path_factory):
    """Their codes in their own sizes, three images a shard; not to be written to."""
    folder = tmp_path_factory.mktemp("finished") / "codes"
    encode(photographs, folder, shard_size=3)
    return folder


@pytest.fixture(scope="session")
def contents():
    """Gives path -> bytes of every file in a folder, but for the lock."""

    def read(folder):
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != ".lock"
        }

    return read


@pytest.fixture(scope="session")
def rewrite():
    """Replaces the rows of a shard by what a function makes of them, and lets its record follow."""

    def change(folder, name, of_rows):
        manifest, path = read_manifest(folder), folder / "data" / name
        rows = of_rows(list(read_rows(path, manifest)))
        with path.open("wb") as file:
            writer = row_writer(file, manifest)
            for row in rows:
                writer.write(row)
            writer.close()
        data = path.read_bytes()
        record = replace(
            read_record(folder, name),
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            num_images=len(rows),
            num_errors=sum(row.error is not None for row in rows),
            num_codes=sum(row.codes.size for row in rows if row.codes is not None),
            num_pixels=sum((row.width or 0) * (row.height or 0) for row in rows),
        )
        write_record(folder, record)

    return change
