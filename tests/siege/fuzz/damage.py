"""Damage: mutations of bytes, and checksums that fit again, so that some of it gets past them."""

import random
import re
import struct
import zlib

from vqvae.formats.code_file import MAGIC

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
