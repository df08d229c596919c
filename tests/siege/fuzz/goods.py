"""Good bodies: all that the verbs take, in all forms; what is damaged later."""

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import orjson

from fuzz.images import image_files
from vqvae import formats
from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.pixels import sniff

CODE_FILE, JSON, NPY = (formats.MEDIA_TYPES[suffix] for suffix in (".vqc", ".json", ".npy"))
MULTIPART = "multipart/form-data; boundary=fuzz"


@dataclass(frozen=True, slots=True)
class Good:
    """A body that is answered 200."""

    name: str
    path: str
    content_type: str
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)


def good_bodies(space: CodeSpace) -> list[Good]:
    """All that the verbs take, in all forms."""
    goods, files = code_bodies(space), image_files()
    several = list(files.values())[::20]
    for path in "/v1/encode", "/v1/reconstruct":
        goods += [Good(name, path, sniff(data), data) for name, data in files.items()]
        goods.append(Good("multipart", path, MULTIPART, multipart_of(several)))
        goods.append(Good("JSON", path, JSON, json_of(several)))
    return goods


def code_bodies(space: CodeSpace) -> list[Good]:
    """The forms of codes, for an image of 40x30 pixels."""
    h, w = space.grid_of(40, 30)
    codes = np.arange(h * w).reshape(h, w) % min(space.codebook_size, 128)
    grid = CodeGrid(codes, 40, 30, space)
    listed, packed = formats.to_item(grid), formats.to_item(grid, 1, "base64")
    failed = {
        "index": 2,
        "error": {"type": "urn:vqvae:problem:x", "title": "X", "status": 422, "detail": "x"},
    }
    goods = [Good("code file", "/v1/decode", CODE_FILE, formats.to_code_file(grid))]
    for name, items in ("list", [listed]), ("base64", [packed]), ("several", [listed, packed, failed]):
        goods.append(Good(f"codes {name}", "/v1/decode", JSON, orjson.dumps(formats.to_document(items))))
    for dtype, order, version in (
        ("u1", "C", 1),
        ("<u2", "C", 2),
        (">u2", "C", 3),
        ("<i4", "F", 1),
        (">i8", "F", 2),
    ):
        file = io.BytesIO()
        np.lib.format.write_array(file, codes.astype(dtype, order=order), version=(version, 0))
        query = {"fingerprint": space.fingerprint, "size": "40x30"}
        goods.append(Good(f"npy {dtype} {order} {version}", "/v1/decode", NPY, file.getvalue(), query))
    return goods


def multipart_of(files: Iterable[bytes]) -> bytes:
    """Image files as fields of a form."""
    head = b'--fuzz\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
    return b"".join(head + data + b"\r\n" for data in files) + b"--fuzz--\r\n"


def json_of(files: Iterable[bytes]) -> bytes:
    """Image files as base64."""
    return orjson.dumps({"images": [{"image_b64": base64.b64encode(data).decode()} for data in files]})
