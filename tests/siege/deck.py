"""What is asked of the service: photograph-like images drawn by a seed, and requests around them.

A deck is a list of requests, of which a load takes one after another. A megapixel is 2^20 pixels, and the
work of a request in megapixels is counted as the service counts it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import httpx
import numpy as np
from PIL import Image, ImageDraw

from service.settings import MEGAPIXEL
from vqvae.formats import MEDIA_TYPES
from vqvae.pixels import RGB8, encode_image

JPEG = "image/jpeg"
CODE_FILE = MEDIA_TYPES[".vqc"]
ANSWER_S = 600  # an idle service needs no such time for 16 megapixels


@dataclass(frozen=True, slots=True)
class Request:
    """A POST, and by what its right answer is known."""

    path: str
    body: bytes
    megapixels: float  # of work
    content_type: str = JPEG
    accept: str = "*/*"
    right: str = ""  # SHA-256 of the right answer's body; empty until it was learned

    @property
    def headers(self) -> dict[str, str]:
        """All that tell of its body and its answer."""
        return {"Content-Type": self.content_type, "Accept": self.accept}


def typical(seed: int, num_requests: int = 32) -> list[Request]:
    """Encoding of images with sides between 256 and 512."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(256, 513, (num_requests, 2))
    return [_of_image("/v1/encode", photograph(rng, height, width)) for height, width in sizes]


def mixed(url: str, seed: int, num_requests: int = 24) -> list[Request]:
    """Encoding, decoding and reconstruction, sides from 64 to 4096; the service makes what is decoded."""
    rng = np.random.default_rng(seed)
    requests = []
    for i, side in enumerate(np.geomspace(64, 4096, num_requests).round().astype(int)):
        rgb = photograph(rng, side, side)
        match i % 3:
            case 0:
                requests.append(_of_image("/v1/encode", rgb))
            case 1:
                codes = _answer(url, _of_image("/v1/encode", rgb, accept=CODE_FILE))
                requests.append(Request("/v1/decode", codes, _megapixels(rgb), CODE_FILE))
            case _:
                requests.append(_of_image("/v1/reconstruct", rgb, passes=2, accept=JPEG))
    return requests


def learned(url: str, deck: Sequence[Request]) -> list[Request]:
    """The deck with its right answers: those of a service that has nothing else to do."""
    return [replace(request, right=sha256(_answer(url, request)).hexdigest()) for request in deck]


def _answer(url: str, request: Request) -> bytes:
    answer = httpx.post(url + request.path, content=request.body, headers=request.headers, timeout=ANSWER_S)
    return answer.raise_for_status().content


def _of_image(path: str, rgb: RGB8, *, passes: int = 1, accept: str = "*/*") -> Request:
    return Request(path, encode_image(rgb, JPEG, 90), passes * _megapixels(rgb), accept=accept)


def _megapixels(rgb: RGB8) -> float:
    return max(rgb[..., 0].size / MEGAPIXEL, 1 / 64)


def photograph(rng: np.random.Generator, height: int, width: int) -> RGB8:
    """Detail at every scale, the coarser the stronger, and the sharp edges of some shapes."""
    total = np.full((height, width, 3), 127.5, np.float32)
    cells = 2
    while cells <= min(height, width):
        noise = rng.integers(0, 256, (cells, cells, 3), np.uint8)
        octave = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        total += (np.asarray(octave, np.float32) - 127.5) / cells**0.5
        cells *= 2
    image = Image.fromarray(total.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        x, y, radius = (rng.random(3) * (width, height, min(height, width) / 4)).tolist()
        draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius), tuple(rng.integers(256, size=3).tolist())
        )
    return np.asarray(image)
