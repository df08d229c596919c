"""The readers: all that takes bytes of strangers, each with bytes that are good for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial

from fuzz.goods import CODE_FILE, JSON, MULTIPART, NPY, code_bodies, json_of, multipart_of
from fuzz.images import image_files
from service.errors import Problem
from service.intake import read_codes, read_images
from service.negotiation import JPEG, PNG, WEBP, best
from service.schemas.options import DecodeOptions
from service.settings import Settings
from vqvae import formats
from vqvae.code_grid import CodeSpace
from vqvae.errors import VqvaeError
from vqvae.pixels import decode_image, read_size

Reader = Callable[[bytes], object]

SMALL = {"image_megapixels": "1", "request_megapixels": "4"}  # damage to a header makes images large
SPACE = CodeSpace("fuzz", "ab" * 32, codebook_size=4096, downsample_factor=8)  # where there is no service


class _Here:
    """Looks at headers in this process, where the service has others for it."""

    def submit_for_size(self, data: bytes) -> Future[tuple[int, int]]:
        """The size, at once."""
        future: Future[tuple[int, int]] = Future()
        try:
            future.set_result(read_size(data))
        except Exception as error:
            future.set_exception(error)
        return future


def readers() -> dict[str, tuple[Reader, list[bytes]]]:
    """Each by its name."""
    settings = Settings.model_validate(SMALL)
    files = list(image_files().values())
    several = multipart_of(files[::20])
    codes: dict[str, list[bytes]] = {CODE_FILE: [], JSON: [], NPY: []}
    for good in code_bodies(SPACE):
        codes[good.content_type].append(good.body)

    def of_codes(kind: str) -> Reader:
        options = DecodeOptions(fingerprint=SPACE.fingerprint if kind == NPY else None)
        return lambda data: read_codes(data, kind, options, [SPACE], settings)

    def of_images(kind: str) -> Reader:
        return lambda data: asyncio.run(read_images(data, kind, settings, _Here()))

    def from_items(data: bytes) -> None:
        for item in formats.read_document(data):
            if not formats.is_failed(item):
                formats.from_item(item, [SPACE])

    def content_type(data: bytes) -> None:
        asyncio.run(read_images(several, data.decode("latin-1"), settings, _Here()))

    def accept(data: bytes) -> None:
        best(data.decode("latin-1"), [PNG, WEBP, JPEG])

    return {
        "decode_image": (partial(decode_image, max_pixels=2**20), files),
        "from_code_file": (formats.from_code_file, codes[CODE_FILE]),
        "from_npy": (partial(formats.from_npy, space=SPACE), codes[NPY]),
        "from_item": (from_items, codes[JSON]),
        **{f"read_codes of {kind}": (of_codes(kind), bodies) for kind, bodies in codes.items()},
        "read_images of multipart": (of_images(MULTIPART), [several]),
        "read_images of JSON": (of_images(JSON), [json_of(files[::20])]),
        "Content-Type": (content_type, [MULTIPART.encode(), b'multipart/form-data; a=b; boundary="fuzz"']),
        "Accept": (accept, [b"image/webp;q=0.5, image/*;q=0.1, */*"]),
    }


def read(reader: Reader, data: bytes) -> None:
    """Let it read; raises what is no error of ours."""
    with suppress(VqvaeError, Problem):
        reader(data)
