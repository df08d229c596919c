"""Encode, decode and reconstruct on the wire: what is sent of one item or of several, and what comes back.

One image travels as its own file and one grid as a code file; several images as multipart/form-data, which
takes their files as they are, and several grids as JSON. Nothing here knows of sockets, attempts or waits.
"""

import base64
import html
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import orjson
from PIL import Image

from vqvae.client.exchange import Answer, Request
from vqvae.client.problems import problem_of
from vqvae.client.uploads import Upload, upload_of
from vqvae.code_grid import CodeGrid, check_fingerprint
from vqvae.errors import CodesError, FingerprintError, FormatError, ImageError, ItemError, VqvaeError
from vqvae.formats import (
    MEDIA_TYPES,
    from_code_file,
    from_item,
    is_failed,
    read_document,
    to_code_file,
    to_document,
    to_item,
)
from vqvae.pixels import ImageLike, decode_image, encode_image

CODE_FILE, JSON = MEDIA_TYPES[".vqc"], MEDIA_TYPES[".json"]
PNG = "image/png"

PART_BYTES = 256  # of a multipart's headers and boundary, at most
ITEM_BYTES = 1024  # of a JSON item besides its codes, at most

Raw = TypeVar("Raw")
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """An image as it comes back from its codes, and what was lost on the way."""

    image: Image.Image  # RGB, of the original's true size
    psnr: float | None  # dB; None where the images are equal
    ssim: float | None  # None where a side is under 11 pixels
    bits_per_pixel: float
    model: str
    fingerprint: str

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        return encode_image(np.asarray(self.image))

    def _repr_html_(self) -> str:
        """The same with what was lost, for notebooks that show HTML."""
        picture = base64.b64encode(self._repr_png_()).decode("ascii")
        figures = [
            "equal to the original" if self.psnr is None else f"{self.psnr:.2f} dB",
            *([] if self.ssim is None else [f"SSIM {self.ssim:.3f}"]),
            f"{self.bits_per_pixel:.4g} bits per pixel",
        ]
        caption = html.escape(f"{self.model}@{self.fingerprint[:12]}: {', '.join(figures)}")
        return (
            f'<figure style="margin:0"><img src="data:image/png;base64,{picture}" alt="{caption}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """What of a request's limits an item takes."""

    num_bytes: int
    num_pixels: int
    num_codes: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.num_bytes + other.num_bytes,
            self.num_pixels + other.num_pixels,
            self.num_codes + other.num_codes,
        )


class Pins:
    """The fingerprint that each model's codes have to have: the one that was given, else that of the first.

    Codes of two fingerprints do not belong in one data set, and a service may get another model at any time.
    """

    def __init__(self, model: str | None, fingerprint: str | None) -> None:
        self._pins: dict[str | None, str] = {}
        if fingerprint is not None:
            check_fingerprint(fingerprint)
            self._pins[model] = fingerprint

    def check(self, asked: str | None, name: str, fingerprint: str) -> None:
        """FingerprintError unless codes of model `name` are of one kind with those before them.

        `asked` is how the model was asked for, None for the service's default one, which may change too.
        """
        for model in (asked, name):
            pinned = self._pins.setdefault(model, fingerprint)  # one step for all threads
            if pinned != fingerprint:
                raise FingerprintError(
                    f"the service's model {name} makes codes of fingerprint {fingerprint}, while this client "
                    f"holds to {pinned}; the two do not mix: ask a service that has the old model, or begin "
                    "anew with another client",
                    expected=pinned,
                    actual=fingerprint,
                )


class Verb(ABC, Generic[Raw, Item, Result]):
    """One of the three; `Raw` is what a caller gives, `Item` what is kept of it to be sent."""

    path: ClassVar[str]

    @abstractmethod
    def prepare(self, raw: Raw) -> Item:
        """The item to send; a VqvaeError where there can be none."""

    @abstractmethod
    def request(self, items: Sequence[Item]) -> Request:
        """What to send for one item, or for several by a GroupVerb."""

    @abstractmethod
    def results(self, items: Sequence[Item], answer: Answer) -> list[Result | VqvaeError]:
        """What came back for the items; an error that is no ServiceError where that cannot be read."""

    def check(self, result: Result) -> None:
        """FingerprintError where the result is of another model than those before it."""


class GroupVerb(Verb[Raw, Item, Result]):
    """A verb that takes several items in one request."""

    @abstractmethod
    def cost(self, item: Item) -> Cost:
        """What the item takes of a request's limits."""


@dataclass(frozen=True, slots=True)
class Encode(GroupVerb[ImageLike, Upload, CodeGrid]):
    """Images to codes."""

    path = "/v1/encode"
    model: str | None
    pins: Pins

    def prepare(self, raw: ImageLike) -> Upload:
        """The image's file."""
        return upload_of(raw)

    def cost(self, item: Upload) -> Cost:
        """Its bytes and pixels."""
        return Cost(len(item.data) + PART_BYTES, item.num_pixels(), 0)

    def request(self, items: Sequence[Upload]) -> Request:
        """A file itself, or several in multipart/form-data."""
        if len(items) == 1:
            return _request_of_file(self.path, {"model": self.model}, items[0], CODE_FILE)
        options = {"model": self.model, "encoding": "base64"}
        return Request("POST", self.path, options, {"Accept": JSON}, images=items)

    def results(self, items: Sequence[Upload], answer: Answer) -> list[CodeGrid | VqvaeError]:
        """Grids, from a code file or from JSON; every code is checked."""
        if len(items) == 1:
            answer.expect(CODE_FILE)
            return [from_code_file(answer.body)]
        return [
            problem_of(item["error"], answer) if is_failed(item) else from_item(item, path=f"data[{i}]")
            for i, item in enumerate(_items_of(answer, len(items)))
        ]

    def check(self, result: CodeGrid) -> None:
        """Codes of one data set have one fingerprint."""
        self.pins.check(self.model, result.space.model, result.space.fingerprint)


@dataclass(frozen=True, slots=True)
class Decode(GroupVerb[CodeGrid | ItemError, CodeGrid, Image.Image]):
    """Codes to images."""

    path = "/v1/decode"
    decoder: str | None

    def prepare(self, raw: CodeGrid | ItemError) -> CodeGrid:
        """The grid itself; one that failed before it was one fails with the same error."""
        if isinstance(raw, ItemError):
            raise raw.error
        if not isinstance(raw, CodeGrid):
            raise CodesError(f"decode takes a CodeGrid, got {type(raw).__name__}; for several, decode_many")
        return raw

    def cost(self, item: CodeGrid) -> Cost:
        """Its codes, and the pixels that they become."""
        num_bytes = item.codes.nbytes * 4 // 3 + ITEM_BYTES
        return Cost(num_bytes, item.width * item.height, item.codes.size)

    def request(self, items: Sequence[CodeGrid]) -> Request:
        """A code file, or several grids as JSON."""
        options = {"decoder": self.decoder}
        if len(items) == 1:
            headers = {"Accept": PNG, "Content-Type": CODE_FILE}
            return Request("POST", self.path, options, headers, to_code_file(items[0]))
        document = to_document(to_item(grid, i, "base64") for i, grid in enumerate(items))
        headers = {"Accept": JSON, "Content-Type": JSON}
        return Request("POST", self.path, options, headers, orjson.dumps(document))

    def results(self, items: Sequence[CodeGrid], answer: Answer) -> list[Image.Image | VqvaeError]:
        """Images of the grids' true sizes."""
        if len(items) == 1:
            answer.expect(PNG)
            return [_image_of(answer.body, items[0])]
        return [
            problem_of(item["error"], answer)
            if is_failed(item)
            else _image_of(base64.b64decode(item["image_b64"]), grid)
            for item, grid in zip(_items_of(answer, len(items)), items, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Reconstruct(Verb[ImageLike, Upload, Reconstruction]):
    """Images to codes and back."""

    path = "/v1/reconstruct"
    model: str | None
    decoder: str | None
    pins: Pins

    def prepare(self, raw: ImageLike) -> Upload:
        """The image's file."""
        return upload_of(raw)

    def request(self, items: Sequence[Upload]) -> Request:
        """The file itself, for an answer in JSON, which alone tells what was lost."""
        (item,) = items
        return _request_of_file(self.path, {"model": self.model, "decoder": self.decoder}, item, JSON)

    def results(self, items: Sequence[Upload], answer: Answer) -> list[Reconstruction | VqvaeError]:
        """The image with its figures."""
        (item,) = _items_of(answer, len(items))
        return [_reconstruction_of(item)]

    def check(self, result: Reconstruction) -> None:
        """What is compared has to be of one model."""
        self.pins.check(self.model, result.model, result.fingerprint)


def _request_of_file(path: str, options: dict[str, str | None], upload: Upload, accept: str) -> Request:
    headers = {"Accept": accept, "Content-Type": upload.media_type}
    return Request("POST", path, options, headers, upload.data)


def _items_of(answer: Answer, num_items: int) -> Iterator[dict[str, Any]]:
    """The items of a document, each in its place; FormatError unless there is one for each that was sent."""
    answer.expect(JSON)
    items = read_document(answer.body)
    if len(items) != num_items:
        raise FormatError(f"it has {len(items)} items for the {num_items} that were sent")
    for i, item in enumerate(items):
        if not isinstance(item, dict) or item.get("index") != i:
            raise FormatError(f"data[{i}] is not the item of index {i}")
        if is_failed(item) and not isinstance(item["error"], dict):
            raise FormatError(f"data[{i}].error is no problem")
        yield item


def _image_of(data: bytes, grid: CodeGrid) -> Image.Image:
    """A file as an image of the grid's size, which is looked at before anything is unpacked."""
    rgb = decode_image(data, max_pixels=grid.width * grid.height)
    height, width = rgb.shape[:2]
    if (width, height) != (grid.width, grid.height):
        raise ImageError(f"the image is {width}x{height}, its codes say {grid.width}x{grid.height}")
    return Image.fromarray(rgb)


def _reconstruction_of(item: dict[str, Any]) -> Reconstruction:
    psnr, ssim = item["psnr"], item["ssim"]
    return Reconstruction(
        image=Image.fromarray(decode_image(base64.b64decode(item["image_b64"]))),
        psnr=None if psnr is None else float(psnr),
        ssim=None if ssim is None else float(ssim),
        bits_per_pixel=float(item["bits_per_pixel"]),
        model=str(item["model"]),
        fingerprint=str(item["fingerprint"]),
    )
