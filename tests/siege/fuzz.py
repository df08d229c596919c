"""Damaged bodies by the thousand: what the service answers to them, and what its readers make of them.

A case is a good body after a few mutations. It is drawn by the run's seed and its own number alone, so these
two make it again; where its answer is wrong, its body is written to a file that bears both in its name.
"""

import asyncio
import base64
import io
import logging
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from itertools import islice
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import numpy as np
import orjson
import tifffile  # comes with scikit-image
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms
from server import Server, serving

from service.errors import MEDIA_TYPE as PROBLEM
from service.errors import DeadlinePassed, Problem, Unavailable
from service.intake import read_codes, read_images
from service.negotiation import best
from service.schemas.options import DecodeOptions
from service.settings import Settings
from vqvae import formats
from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.errors import VqvaeError
from vqvae.formats.code_file import MAGIC
from vqvae.pixels import decode_image, sniff

logger = logging.getLogger("siege")

Row = tuple[str, str, bool]  # a claim, its figure, whether it held
Reader = Callable[[bytes], object]

SMALL = {"image_megapixels": "1", "request_megapixels": "4"}  # damage to a header makes images large
NUM_CONNECTIONS = 4
LOOKING_S = 10  # at the headers of a case's images, before its deadline begins
MOST_GROWTH = 1.25  # of memory, after the first tenth
NUM_TOLD, MOST_TOLD = 3, 160  # cases that a figure names, and characters about each
FOR_READERS = 0.25  # of the number of cases: damaged bodies for each, and as many runs of libFuzzer
FOR_HYPOTHESIS = 0.02
POOLS = ("headers", "unpacking", "model")
HANG_S = 20  # in libFuzzer

CODE_FILE, JSON, NPY = (formats.MEDIA_TYPES[suffix] for suffix in (".vqc", ".json", ".npy"))
MULTIPART = "multipart/form-data; boundary=fuzz"
PICTURES = ["image/png", "image/webp", "image/jpeg"]
ANSWERS = {
    "/v1/encode": ["*/*", JSON, NPY, CODE_FILE],
    "/v1/decode": ["*/*", JSON, NPY, *PICTURES],
    "/v1/reconstruct": ["*/*", JSON, NPY, *PICTURES],
}
OTHER_TYPES = [
    "",
    ";=\xff",
    "text/plain",
    "image/png",
    "multipart/form-data",
    MULTIPART,
    JSON,
    NPY,
    CODE_FILE,
]
FOLDER = Path(__file__).parent
SPACE = CodeSpace("fuzz", "ab" * 32, codebook_size=4096, downsample_factor=8)  # where there is no service


def fuzz(cases: int, settings: Mapping[str, str], seed: int) -> list[Row]:
    """So many damaged bodies for the service; then some for each reader, damaged in three ways."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    with serving({**SMALL, **settings}) as server:
        rows = _besiege(server, cases, seed, folder)
    num_bodies, num_examples = ceil(FOR_READERS * cases), ceil(FOR_HYPOTHESIS * cases)
    rows.append(_try_readers(num_bodies, num_examples, seed, folder))
    rows.append(_try_readers_by_atheris(num_bodies, seed, folder))
    with suppress(OSError):  # it holds something
        folder.rmdir()
    return rows


# ---- good bodies


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
        goods.append(Good("multipart", path, MULTIPART, _multipart(several)))
        goods.append(Good("JSON", path, JSON, _json(several)))
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


def image_files() -> dict[str, bytes]:
    """Small files of every listed type, by type, mode and variant."""
    y, x = np.mgrid[:30, :40]
    values = np.stack([6 * x, 8 * y, 3 * x + 4 * y], axis=-1).clip(0, 255).astype(np.uint8)
    rgb = Image.fromarray(values)
    line, grey, palette, ink = rgb.convert("1"), rgb.convert("L"), rgb.quantize(16), rgb.convert("CMYK")
    alpha = Image.merge("RGBA", (*rgb.split(), grey))
    deep = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    meta = {"exif": exif, "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    frames = {"save_all": True, "append_images": [rgb.rotate(180), rgb.rotate(90)]}
    variants: list[tuple[str, Iterable[Image.Image], dict[str, Any]]] = [
        ("JPEG", [rgb, grey, ink], {}),
        ("JPEG", [rgb, ink], {"progressive": True}),
        ("JPEG", [rgb], {"subsampling": 0, **meta}),
        ("JPEG", [rgb], {"restart_marker_blocks": 2}),
        ("PNG", [line, grey, grey.convert("LA"), palette, rgb, alpha, deep], {}),
        ("PNG", [deep], {"transparency": 257}),
        ("PNG", [rgb], {"transparency": (0, 0, 0)}),
        ("PNG", [palette], {"transparency": b"\0\x80", "bits": 4}),
        ("PNG", [rgb], meta),
        ("PNG", [rgb], frames),
        ("WEBP", [rgb, alpha], {}),
        ("WEBP", [rgb, alpha], {"lossless": True}),
        ("WEBP", [rgb], meta),
        ("WEBP", [alpha], frames),
        ("GIF", [palette, grey], {}),
        ("GIF", [palette], {"transparency": 3, "interlace": 0}),
        ("GIF", [palette], frames),
        ("BMP", [line, grey, palette, rgb, alpha], {}),
        ("TIFF", [line, grey, palette, rgb, alpha, ink, deep, rgb.convert("LAB")], {}),
        *(("TIFF", [rgb], {"compression": way}) for way in ("tiff_lzw", "tiff_deflate", "lzma", "jpeg")),
        *(("TIFF", [line], {"compression": way}) for way in ("group3", "group4", "packbits")),
        ("TIFF", [deep], {"compression": "tiff_lzw"}),
        ("TIFF", [rgb], {"big_tiff": True}),
        ("TIFF", [rgb], meta),
        ("TIFF", [rgb], frames),
    ]
    files = {"PNG interlaced": _interlaced_png(), "PNG RGB 16": _deep_png(), "BMP run-length": _packed_bmp()}
    for kind, images, options in variants:
        told = [f"{key}={value}" if isinstance(value, str) else key for key, value in options.items()]
        for image in images:
            file = io.BytesIO()
            image.save(file, kind, **options)
            files[" ".join([kind, image.mode, *told])] = file.getvalue()
    for name, options in {
        "tiles": {"tile": (16, 16)},
        "packed tiles": {"tile": (16, 16), "compression": "zlib", "predictor": True},
        "strips": {"rowsperstrip": 7, "byteorder": ">"},
    }.items():
        file = io.BytesIO()
        tifffile.imwrite(file, values, photometric="rgb", **options)
        files[f"TIFF {name}"] = file.getvalue()
    return files


def _png(side: int, depth: int, colour: int, rows: bytes, *, interlaced: bool = False) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _interlaced_png() -> bytes:
    """Grey, 8x8, in the seven passes of the PNG specification's 8.2, which Pillow does not write."""
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    passes = (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
    rows = [b"\0" + row.tobytes() for x, y, dx, dy in passes for row in grey[y::dy, x::dx]]
    return _png(8, 8, 0, b"".join(rows), interlaced=True)


def _deep_png() -> bytes:
    """RGB of 16 bits, 4x4."""
    return _png(4, 16, 2, (b"\0" + bytes(range(24))) * 4)


def _packed_bmp() -> bytes:
    """Run-length encoded, 16x4: a run a row."""
    data = b"".join(bytes([16, 50 * row, 0, 0]) for row in range(4)) + b"\0\1"
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    header = struct.pack("<IiiHHIIiiII", 40, 16, 4, 1, 8, 1, len(data), 0, 0, 256, 0)
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + palette + data


def _multipart(files: Iterable[bytes]) -> bytes:
    head = b'--fuzz\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
    return b"".join(head + data + b"\r\n" for data in files) + b"--fuzz--\r\n"


def _json(files: Iterable[bytes]) -> bytes:
    return orjson.dumps({"images": [{"image_b64": base64.b64encode(data).decode()} for data in files]})


# ---- damage

MUTATIONS = ["flip", "overwrite", "insert", "delete", "repeat", "splice", "cut", *["integer", "token"] * 2]
INTEGERS = [2**power + step for power in (7, 8, 15, 16, 24, 31, 32, 64) for step in (-1, 0)] + [0, 1, 2]
TOKENS = [b"-1", b"0", b"4096", b"1e999", b"NaN", b"9" * 30, b"1.0", b"null", b"true", b"[]", b"{}", b"\xff"]
TOKENS += [b'""', b'"1"', b'"\\ud800"', b'"' + b"A" * 5000 + b'"', b"[" * 2000]
TOKEN = re.compile(rb'"[^"]*"|[-\w.+]+')  # of JSON, and of the header of npy


def damaged(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """After a mutation or a few; half of the time, checksums are then made to fit."""
    for _ in range(1 + int(rng.expovariate(0.7))):
        data = _mutated(rng, data, other)
    return mended(data) if rng.random() < 0.5 else data


def _mutated(rng: random.Random, data: bytes, other: bytes) -> bytes:
    start = int(len(data) * rng.random() ** 2)  # squared: headers are hit more often
    num, byteorder = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    old, new = data[start : start + num], rng.randbytes(num)
    match rng.choice(MUTATIONS):
        case "flip":
            old = old[:1]
            new = bytes(byte ^ 1 << rng.randrange(8) for byte in old)
        case "insert":
            old = b""
        case "delete":
            old, new = data[start : start + rng.choice((1, 8, 64, len(data) // 2))], b""
        case "repeat":
            old = data[start : start + rng.choice((4, 12, 64, 256))]
            new = old * rng.choice((2, 2, 2, 50))
        case "splice":
            old, new = data[start:], other[int(len(other) * rng.random()) :]
        case "cut":
            old, new = data[start:], b""
        case "integer":
            new = (rng.choice([*INTEGERS, len(data)]) % 256**num).to_bytes(num, byteorder)
        case "token" if tokens := list(TOKEN.finditer(data, 0, 4096)):
            token = rng.choice(tokens)
            start, old, new = token.start(), token[0], rng.choice(TOKENS)
    return data[:start] + new + data[start + len(old) :]


def mended(data: bytes) -> bytes:
    """With checksums and lengths that fit, so that the damage gets past them: of PNG, WebP and code files."""
    if data.startswith(MAGIC) and len(data) > 22:
        body = data[:10] + struct.pack("<Q", len(data)) + data[18:-4]
        return body + struct.pack("<I", zlib.crc32(body))
    if data.startswith(b"RIFF"):
        return data[:4] + struct.pack("<I", max(0, len(data) - 8)) + data[8:]
    if not data.startswith(b"\x89PNG"):
        return data
    whole, at = bytearray(data), 8
    while (end := at + 8 + int.from_bytes(whole[at : at + 4], "big")) + 4 <= len(whole):
        whole[end : end + 4] = struct.pack(">I", zlib.crc32(whole[at + 4 : end]))
        at = end + 4
    return bytes(whole)


# ---- the service


@dataclass(frozen=True, slots=True)
class Case:
    """A request."""

    good: Good  # that its body was
    body: bytes
    content_type: str
    accept: str = "*/*"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case."""

    status: int | None  # None: no answer
    seconds: float
    wrong: str | None  # what is


def draw_case(goods: Sequence[Good], seed: int, number: int) -> Case:
    """The case of that number."""
    rng = random.Random(f"{seed} {number}")
    path = rng.choice(list(ANSWERS))
    good, other = rng.choices([good for good in goods if good.path == path], k=2)
    body, content_type = damaged(rng, good.body, other.body), good.content_type
    if content_type.startswith("image/") and rng.random() < 0.2:  # in an envelope, beside a good one or none
        wrap, content_type = rng.choice([(_multipart, MULTIPART), (_json, JSON)])
        body = wrap(rng.choice(([body, good.body], [body], [])))
    if rng.random() < 0.1:
        content_type = rng.choice(OTHER_TYPES)
    return Case(good, body, content_type, rng.choice(ANSWERS[path]))


def ask(url: str, cases: Iterable[Case], space: CodeSpace, patience_s: float) -> list[Outcome]:
    """Outcomes in the order of the cases, of which some are under way at one time."""
    numbered = enumerate(cases)
    outcomes: dict[int, Outcome] = {}

    async def connection(client: httpx.AsyncClient) -> None:
        for number, case in numbered:
            outcomes[number] = await _ask(client, case, space)

    async def all_connections() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=patience_s) as client:
            await asyncio.gather(*(connection(client) for _ in range(NUM_CONNECTIONS)))

    asyncio.run(all_connections())
    return [outcomes[number] for number in sorted(outcomes)]


async def _ask(client: httpx.AsyncClient, case: Case, space: CodeSpace) -> Outcome:
    headers = {"Content-Type": case.content_type.encode("latin-1"), "Accept": case.accept}
    began = time.monotonic()
    try:
        answer = await client.post(case.good.path, params=case.good.query, content=case.body, headers=headers)
    except httpx.TransportError as error:
        return Outcome(None, time.monotonic() - began, repr(error))
    seconds = time.monotonic() - began
    try:
        check_answer(answer, space)
    except Exception as error:  # whatever reading it raises: it is not what it should be
        return Outcome(answer.status_code, seconds, f"{answer.status_code}, {error!r}"[:MOST_TOLD])
    return Outcome(answer.status_code, seconds, None)


def check_answer(answer: httpx.Response, space: CodeSpace) -> None:
    """Raises where an answer is not what its status and its Content-Type say."""
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


def _besiege(server: Server, num_cases: int, seed: int, folder: Path) -> list[Row]:
    card = server.client.get("/v1/models").json()["data"][0]
    space = CodeSpace(card["name"], card["fingerprint"], card["codebook_size"], card["downsample_factor"])
    goods, settings = good_bodies(space), server.settings
    most_work = 2 * settings.request_megapixels  # reconstruct passes over an image twice
    most_s = LOOKING_S + settings.deadline_s + settings.deadline_s_per_megapixel * most_work
    asked = partial(ask, server.url, space=space, patience_s=2 * most_s)
    intact = [Case(good, good.body, good.content_type) for good in goods]
    cases = (draw_case(goods, seed, number) for number in range(num_cases))

    logger.info("fuzz: %d good bodies, then %d damaged ones", len(goods), num_cases)
    of_intact = asked(intact)
    outcomes = asked(islice(cases, num_cases // 10))
    early_bytes = server.resident_bytes[1]
    outcomes += asked(cases)
    late_bytes = server.resident_bytes[1]
    of_intact += asked(intact)

    def row(claim: str, figure: str, is_amiss: Callable[[Outcome], object]) -> Row:
        """A claim that holds where nothing is amiss; bodies of the cases where it is are kept."""
        numbers = [number for number, outcome in enumerate(outcomes) if is_amiss(outcome)]
        for number in numbers:
            (folder / f"seed{seed}-case{number}").write_bytes(draw_case(goods, seed, number).body)
        told = [f"case {number}: {outcomes[number].wrong}" for number in numbers[:NUM_TOLD]]
        told += [f"{len(numbers)} bodies are in {folder}"] if numbers else []
        return claim, "; ".join([figure, *told]), not numbers

    def wrong(hundred: int) -> Callable[[Outcome], object]:
        return lambda outcome: (
            outcome.wrong and outcome.status is not None and outcome.status // 100 == hundred
        )

    statuses = Counter(outcome.status for outcome in outcomes)
    seconds = sorted(outcome.seconds for outcome in outcomes)
    restarts = {pool: server.metric("vqvae_worker_restarts_total", pool=pool) for pool in POOLS}
    num_accepted = sum(outcome.status == httpx.codes.OK and not outcome.wrong for outcome in of_intact)
    num_failed = sum(num for status, num in statuses.items() if status is not None and status >= 500)
    return [
        (
            f"{len(goods)} good bodies are accepted, before and after",
            f"{num_accepted} of {len(of_intact)}",
            num_accepted == len(of_intact),
        ),
        row(
            f"{num_cases} damaged bodies (seed {seed}) are answered, each of them",
            ", ".join(f"{num} by {status}" for status, num in sorted(statuses.items(), key=str)),
            lambda outcome: outcome.status is None,
        ),
        row("no 5xx but a 503 or a 504 that says why", f"{num_failed}", wrong(5)),
        row("every refusal is a problem of its status", "read, all of them", wrong(4)),
        row("every 200 is what it says", "read, all of them", wrong(2)),
        row(
            f"no answer takes longer than deadline and headers do, {most_s:g} s",
            f"median {seconds[len(seconds) // 2]:.3f} s, slowest {seconds[-1]:.2f} s",
            lambda outcome: outcome.seconds > most_s,
        ),
        (
            f"memory grows by at most {MOST_GROWTH - 1:.0%} after the first tenth, child processes included",
            f"{early_bytes / 2**20:.0f} MiB, then {late_bytes / 2**20:.0f} MiB",
            late_bytes <= MOST_GROWTH * early_bytes,
        ),
        (
            "the model's worker is not replaced; processes that read files may be",
            ", ".join(f"{pool} {num:g} times" for pool, num in restarts.items()),
            not restarts["model"],
        ),
    ]


# ---- its readers


class _Here:
    """Looks at headers in this process, where the service has others for it."""

    def submit(self, data: bytes, max_pixels: int) -> Future[object]:
        """What there is, at once."""
        future: Future[object] = Future()
        try:
            future.set_result(decode_image(data, max_pixels=max_pixels))
        except Exception as error:
            future.set_exception(error)
        return future


def readers() -> dict[str, tuple[Reader, list[bytes]]]:
    """What reads bytes of strangers, and bytes that are good for it."""
    settings = Settings.model_validate(SMALL)
    files = list(image_files().values())
    several = _multipart(files[::20])
    codes: dict[str, list[bytes]] = {CODE_FILE: [], JSON: [], NPY: []}
    for good in code_bodies(SPACE):
        codes[good.content_type].append(good.body)

    def of_codes(kind: str) -> Reader:
        options = DecodeOptions(fingerprint=SPACE.fingerprint if kind == NPY else None)
        return lambda data: read_codes(data, kind, options, [SPACE], settings)

    def of_images(kind: str) -> Reader:
        return lambda data: read_images(data, kind, settings, _Here())

    def from_items(data: bytes) -> None:
        for item in formats.read_document(data):
            if not formats.is_failed(item):
                formats.from_item(item, [SPACE])

    def content_type(data: bytes) -> None:
        read_images(several, data.decode("latin-1"), settings, _Here())

    def accept(data: bytes) -> None:
        best(data.decode("latin-1"), PICTURES)

    return {
        "decode_image": (partial(decode_image, max_pixels=2**20), files),
        "from_code_file": (formats.from_code_file, codes[CODE_FILE]),
        "from_npy": (partial(formats.from_npy, space=SPACE), codes[NPY]),
        "from_item": (from_items, codes[JSON]),
        **{f"read_codes of {kind}": (of_codes(kind), bodies) for kind, bodies in codes.items()},
        "read_images of multipart": (of_images(MULTIPART), [several]),
        "read_images of JSON": (of_images(JSON), [_json(files[::20])]),
        "Content-Type": (content_type, [MULTIPART.encode(), b'multipart/form-data; a=b; boundary="fuzz"']),
        "Accept": (accept, [b"image/webp;q=0.5, image/*;q=0.1, */*"]),
    }


def try_reader(name: str, seed: int, num_damaged: int, num_examples: int, last: Path | None = None) -> None:
    """Damaged bodies, then those of hypothesis, for a reader; raises what is no error of ours.

    Args:
        last: file for the body that is being read, should it end the process.
    """
    reader, goods = readers()[name]

    def read(data: bytes) -> None:
        if last is not None:
            last.write_bytes(data)
        _read(reader, data)

    for number in range(num_damaged):
        rng = random.Random(f"{seed} {name} {number}")
        try:
            read(damaged(rng, *rng.choices(goods, k=2)))
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}, damaged body {number}: {error!r}") from error
    bodies = st.builds(_edited, st.sampled_from(goods), EDITS) | st.binary(max_size=300)
    patient = hypothesis.settings(
        max_examples=num_examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.seed(seed)(patient(hypothesis.given(bodies)(read)))()


EDITS = st.lists(  # places as parts of the whole, how many bytes go, what comes
    st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8)), max_size=6
)


def _edited(data: bytes, edits: Iterable[tuple[float, int, bytes]]) -> bytes:
    for where, num, new in edits:
        start = int(len(data) * where**2)
        data = data[:start] + new + data[start + num :]
    return data


def _read(reader: Reader, data: bytes) -> None:
    with suppress(VqvaeError, Problem):
        reader(data)


def _try_readers(num_damaged: int, num_examples: int, seed: int, folder: Path) -> Row:
    """Each in a process of its own, which it may end."""
    logger.info("fuzz: %d bodies for each reader", num_damaged + num_examples)
    told = [f"{num_damaged} damaged bodies (seed {seed}) and {num_examples} of hypothesis for each"]
    for name in readers():
        last = folder / f"last-{name.replace('/', '-')}"
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_hush) as pool:
            try:
                pool.submit(try_reader, name, seed, num_damaged, num_examples, last).result()
            except BrokenProcessPool:
                told.append(f"{name}: the body in {last} ended the process")
            except Exception as error:
                told.append(f"{name}: {error!r}")
            else:
                last.unlink()
    return f"{', '.join(readers())}: read, or refused with an error of ours", "; ".join(told), len(told) == 1


def _hush() -> None:
    """Keep what decoders and parsers say of damage to themselves."""
    warnings.simplefilter("ignore")
    logging.disable()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff writes there by itself


def try_reader_by_atheris(name: str, arguments: Sequence[str]) -> None:
    """What libFuzzer makes of a reader's coverage, by its own arguments; ends the process."""
    import atheris  # noqa: PLC0415 - not for every Python

    reader, _ = readers()[name]
    atheris.Setup(["fuzz", *arguments], lambda data: _read(reader, data))
    atheris.Fuzz()


BY_ATHERIS = """
import sys, atheris
with atheris.instrument_imports(include=["vqvae", "service", "PIL"]):
    import fuzz
fuzz.try_reader_by_atheris(sys.argv[1], sys.argv[2:])
"""


def _try_readers_by_atheris(num_runs: int, seed: int, folder: Path) -> Row:
    claim = "the same where coverage leads libFuzzer"
    if find_spec("atheris") is None:
        return claim, "skipped: atheris is not installed; there is none for every Python", True
    logger.info("fuzz: %d runs of libFuzzer for each reader", num_runs)
    told = [f"{num_runs} runs (seed {seed + 1}) for each"]
    options = [f"-runs={num_runs}", f"-seed={seed + 1}", f"-timeout={HANG_S}", f"-artifact_prefix={folder}/"]
    for name, (_, goods) in readers().items():
        with tempfile.TemporaryDirectory() as corpus:
            for number, good in enumerate(goods):
                (Path(corpus) / str(number)).write_bytes(good)
            ended = subprocess.run(
                [sys.executable, "-c", BY_ATHERIS, name, *options, corpus],
                cwd=FOLDER,
                capture_output=True,
                text=True,
                check=False,
            )
        if ended.returncode:
            cause = re.search(r"Uncaught Python exception: ===\n(.*)", ended.stderr)
            told.append(f"{name}: {cause[1] if cause else 'ended'}; its body is in {folder}")
    return claim, "; ".join(told), len(told) == 1
