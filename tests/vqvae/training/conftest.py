import numpy as np
import pytest

from vqvae.pixels import encode_image


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """A folder with 20 small photographs in two groups: soft colours with noise on them."""
    folder = tmp_path_factory.mktemp("photographs")
    for i in range(20):
        random = np.random.default_rng(i)
        y, x = np.mgrid[0:60, 0:80]
        waves = [128 + 90 * np.sin((a * x + b * y) / 20 + c) for a, b, c in random.uniform(-2, 2, (3, 3))]
        rgb = np.stack(waves, axis=-1) + random.integers(-20, 20, (60, 80, 1))
        path = folder / f"{'boats' if i % 3 else 'cats'}__{i:02}.png"
        path.write_bytes(encode_image(rgb.clip(0, 255).astype(np.uint8)))
    return folder
