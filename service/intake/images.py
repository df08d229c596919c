"""Images in a body, in three forms: an image file itself, multipart/form-data, or JSON with base64."""

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import BadRequest, Malformed, Problem, UnsupportedType, as_problem, describe_validation
from service.intake import limits
from service.schemas.images import ImagesBody
from service.settings import Settings
from service.unpacking.pool import UnpackingPool
from vqvae.errors import ImageError, UnsupportedImageError, VqvaeError
from vqvae.pixels import sniff


@dataclass(frozen=True, slots=True)
class Upload:
    """An image file as it came."""

    data: bytes
    width: int  # by its header, as stored
    height: int

    @property
    def num_pixels(self) -> int:
        """What limits count."""
        return self.width * self.height

    def padded_pixels(self, f: int) -> int:
        """What a model of downsample factor f works on, where one row of pixels is f rows."""
        return -(-self.width // f) * -(-self.height // f) * f * f


async def read_images(
    body: bytes, content_type: str, settings: Settings, headers: UnpackingPool
) -> list[Upload | Problem]:
    """The images of a body; what the bytes are counts for more than what `content_type` says.

    Raises UnsupportedType, Malformed, BadRequest or TooLarge. Of its files one at a time waits for a look at
    its header: so a request of one image passes those of many.
    """
    files = await asyncio.to_thread(_files, body, content_type, settings.images_per_request)
    uploads: list[Upload | Problem] = []
    num_pixels = 0
    for file in files:
        upload = file if isinstance(file, Problem) else await _upload(file, settings, headers)
        uploads.append(upload)
        if isinstance(upload, Upload):
            num_pixels += upload.num_pixels
            more_to_come = len(uploads) < len(files)
            limits.check_request(num_pixels, settings.request_megapixels, at_least=more_to_come)
    return uploads


def _files(body: bytes, content_type: str, max_images: int) -> Sequence[bytes | Problem]:
    media_type, parameters = parse_options_header(content_type)
    try:
        sniff(body)
    except UnsupportedImageError as error:
        match media_type:
            case b"multipart/form-data":
                return _multipart_files(body, parameters.get(b"boundary", b""), max_images)
            case b"application/json":
                return _json_files(body, max_images)
        raise UnsupportedType(f"{error}; several come as multipart/form-data or application/json") from None
    return [body]


def _multipart_files(body: bytes, boundary: bytes, max_images: int) -> list[bytes]:
    """The fields called `image`, in memory; Starlette's own parser would write large ones to disk."""
    files: list[bytes] = []
    name, value, data = bytearray(), bytearray(), bytearray()
    disposition = b""
    ended = False

    def into(buffer: bytearray) -> Callable[[bytes, int, int], None]:
        return lambda piece, start, end: buffer.extend(memoryview(piece)[start:end])

    def on_header_end() -> None:
        nonlocal disposition
        if name.lower() == b"content-disposition":
            disposition = bytes(value)
        name.clear()
        value.clear()

    def on_headers_finished() -> None:
        nonlocal disposition
        if parse_options_header(disposition)[1].get(b"name") != b"image":
            raise BadRequest("every field of the multipart is called image; options ride in the query")
        limits.check("the request", "images", max_images, len(files) + 1, at_least=True)
        disposition = b""

    def on_part_end() -> None:
        files.append(bytes(data))
        data.clear()

    def on_end() -> None:
        nonlocal ended
        ended = True

    try:
        parser = MultipartParser(
            boundary,
            {
                "on_header_field": into(name),
                "on_header_value": into(value),
                "on_header_end": on_header_end,
                "on_headers_finished": on_headers_finished,
                "on_part_data": into(data),
                "on_part_end": on_part_end,
                "on_end": on_end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise Malformed("the body is not the multipart/form-data that its Content-Type announces") from None
    if not ended:
        raise Malformed("the multipart/form-data ends before its closing boundary")
    if not files:
        raise BadRequest("the multipart/form-data has no field; each image is one called image")
    return files


def _json_files(body: bytes, max_images: int) -> list[bytes | Problem]:
    limits.check_json(body, max_images)
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is not valid JSON: {error}") from None
    if isinstance(parsed, dict) and isinstance(parsed.get("images"), list):  # before each becomes an object
        limits.check("the request", "images", max_images, len(parsed["images"]))
    try:
        images = ImagesBody.model_validate(parsed).images
    except ValidationError as error:
        raise BadRequest(describe_validation(error.errors(include_input=False))) from None
    return [_from_base64(image.image_b64, f"images.{i}.image_b64") for i, image in enumerate(images)]


def _from_base64(text: str, where: str) -> bytes | Problem:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return BadRequest(f"{where}: not valid base64 (standard alphabet, padded, no white space)")


async def _upload(data: bytes, settings: Settings, headers: UnpackingPool) -> Upload | Problem:
    try:
        upload = Upload(data, *await asyncio.wrap_future(headers.submit_for_size(data)))
        if not upload.num_pixels:
            raise ImageError("the image has no pixels")
        limits.check_image(upload.num_pixels, settings.image_megapixels)
    except (VqvaeError, Problem) as error:
        return as_problem(error)
    return upload
