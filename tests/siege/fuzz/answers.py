"""What an answer must be, by its status and its Content-Type."""

import base64
import io

import httpx
import numpy as np

from fuzz.goods import JSON, NPY
from service.errors import MEDIA_TYPE as PROBLEM
from service.errors import DeadlinePassed, Unavailable
from vqvae import formats
from vqvae.code_grid import CodeSpace
from vqvae.pixels import decode_image


def check_answer(answer: httpx.Response, space: CodeSpace) -> None:
    """Raises where an answer is not what these say."""
    media_type, size = answer.headers["content-type"], answer.headers.get("x-original-size")
    of_codes = answer.request.url.path == "/v1/encode"
    if answer.status_code != httpx.codes.OK:
        problem = answer.json()
        stated = {503: Unavailable.kind, 504: DeadlinePassed.kind}.get(answer.status_code)
        assert (media_type, problem["status"]) == (PROBLEM, answer.status_code), answer.text
        assert answer.status_code < 500 or problem["type"] == f"urn:vqvae:problem:{stated}", answer.text
    elif media_type == JSON:
        items, counts = answer.json()["data"], answer.json()["counts"]
        num_failed = sum(map(formats.is_failed, items))
        assert (counts["images"], counts["failed"]) == (len(items), num_failed)
        assert items
        for item in items:
            if of_codes and not formats.is_failed(item):
                assert formats.from_item(item).space == space
            elif not formats.is_failed(item):
                rgb = decode_image(base64.b64decode(item["image_b64"]))
                assert rgb.shape == (item["height"], item["width"], 3)
    elif of_codes and media_type == NPY:
        width, height = map(int, size.split("x"))
        formats.from_npy(answer.content, space, (width, height))
    elif of_codes:
        assert formats.from_code_file(answer.content).space == space
    else:
        rgb = np.load(io.BytesIO(answer.content)) if media_type == NPY else decode_image(answer.content)
        assert (rgb.dtype, rgb.shape[2:]) == (np.uint8, (3,))
        assert size in (None, f"{rgb.shape[1]}x{rgb.shape[0]}")
