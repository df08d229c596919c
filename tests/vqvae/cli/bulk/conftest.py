"""A folder of small images, as `images` in the folder in which commands run."""

import numpy as np
import pytest

from vqvae.pixels import encode_image

NUM_IMAGES = 12


@pytest.fixture
def images(tmp_path):
    """Twelve images of two sizes, 05.png damaged."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(NUM_IMAGES):
        random = np.random.default_rng(number)
        rgb = random.integers(0, 256, (24, 16 + 8 * (number % 2), 3), dtype=np.uint8)
        (folder / f"{number:02}.png").write_bytes(b"hello" if number == 5 else encode_image(rgb))
    return folder


@pytest.fixture
def contents():
    """Gives path -> bytes of every file in a folder, but for the lock."""

    def read(folder):
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != ".lock"
        }

    return read
