"""The service with the shipped weights: what a stranger's first request meets."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vqvae import Tokenizer, load_codes
from vqvae.metrics import psnr
from vqvae.pixels import encode_image

ROOT = Path(__file__).parents[2]
IMAGES = sorted((ROOT / "tests" / "images").glob("*.png"))
MEDIA_TYPES = ["image/png", "image/jpeg", "image/webp"]

pytestmark = pytest.mark.skipif(
    not (ROOT / "weights" / "photo-f8" / "model.json").exists(), reason="weights/photo-f8 is not there yet"
)


@pytest.fixture(scope="module")
def client(start_service):
    return start_service(models="photo-f8", threads=2).client


def there_and_back(client, data, media_type):
    """The document of codes that the service made, and the picture that it made of that."""
    encoded = client.post("/v1/encode", content=data, headers={"Content-Type": media_type})
    assert encoded.status_code == 200, encoded.text
    decoded = client.post("/v1/decode", content=encoded.content, headers={"Content-Type": "application/json"})
    assert decoded.status_code == 200, decoded.text
    assert decoded.headers["content-type"] == "image/png"
    return encoded.json(), np.asarray(Image.open(io.BytesIO(decoded.content)))


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_codes_are_the_same_by_http_by_library_and_on_the_command_line(client, path, tmp_path):
    document, pixels = there_and_back(client, path.read_bytes(), "image/png")
    tokenizer = Tokenizer.load("photo-f8")
    grid = tokenizer.encode(path)
    assert document["data"][0]["codes"] == grid.codes.tolist()
    assert document["data"][0]["fingerprint"] == grid.space.fingerprint
    assert np.array_equal(pixels, tokenizer.decode(grid))
    subprocess.run([sys.executable, "-m", "vqvae", "encode", path, "-o", tmp_path], check=True)
    assert load_codes(tmp_path / f"{path.stem}.vqc") == grid


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_kodak_goes_through_the_service(client, kodak, media_type):
    figures = []
    for path in sorted(kodak.glob("kodim*.png"))[:: 1 if media_type == "image/png" else 4]:
        rgb = np.asarray(Image.open(path).convert("RGB"))
        data = path.read_bytes() if media_type == "image/png" else encode_image(rgb, media_type, 90)
        _, pixels = there_and_back(client, data, media_type)
        assert pixels.shape == rgb.shape
        figures.append(psnr(rgb, pixels))
    assert np.mean(figures) >= (26.0 if media_type == "image/png" else 24.9)
