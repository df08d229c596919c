"""CodeGrid <-> code file (.vqc), a packed form that stands alone and shows damage.

Version 1, little-endian throughout, no alignment. Letters: h w grid height and width, d depth, K codebook
size, f downsample factor, n length of the model's name, b = ceil(log2 K) bits a code.

    offset  bytes  field
         0      8  magic, 89 56 51 43 0D 0A 1A 0A: like PNG's, it does not survive a transfer as text
         8      2  version, 1
        10      8  total length of the file in bytes, from the magic's first to the checksum's last
        18      1  n, in [1, 64]
        19     32  fingerprint of the code space
        51      8  K, in [2, 2^32]
        59      4  f, at least 1
        63      4  width of the image in pixels, at least 1
        67      4  height of the image in pixels, at least 1
        71      4  h = ceil(height / f)
        75      4  w = ceil(width / f)
        79      1  d, at least 1
        80      n  the model's name in UTF-8; it matches [A-Za-z0-9][A-Za-z0-9._-]{0,63}
      80+n         d sections, the layers of a residual model from first to last, each:
                     1  coder; 1 is the only one so far
                     8  s, length of what follows in bytes
                     s  the layer's h·w codes, as the coder writes them
       end      4  CRC-32 (that of zlib, PNG and Ethernet) of every byte before it

Coder 1 writes each code in b bits, most significant bit first, in raster order (row by row from the top, each
from the left), without gaps; zero bits fill the last byte, so s = ceil(h·w·b / 8).

A reader refuses a file in which any of this does not hold, or where a code is K or more. It checks magic,
version, total length and CRC-32 first: a damaged file fails there, one that fails later was written wrong.

An example. Model "m" of fingerprint 00 01 02 ... 1F, K = 3 (so b = 2), f = 8; an image 17 wide and 16 high;
codes [[0, 1, 2], [2, 1, 0]], that is 00 01 10 10 01 00, and four zero bits:

    89 56 51 43 0D 0A 1A 0A  01 00  60 00 00 00 00 00 00 00  01
    00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F
    03 00 00 00 00 00 00 00  08 00 00 00  11 00 00 00  10 00 00 00  02 00 00 00  03 00 00 00  01
    6D
    01  02 00 00 00 00 00 00 00  1A 40
    0C D9 A9 7E
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vqvae.code_grid import CodeArray, CodeGrid, CodeSpace
from vqvae.errors import CodesError, FormatError

MAGIC = b"\x89VQC\r\n\x1a\n"
VERSION = 1

_PREFIX = struct.Struct("<8sHQ")  # magic, version, total length
_HEADER = struct.Struct("<8sHQB32sQIIIIIB")  # the prefix, then n, fingerprint, K, f, width, height, h, w, d
_SECTION = struct.Struct("<BQ")  # coder, length
_CRC = struct.Struct("<I")
_CODER_PACKED = 1
_CODES_PER_BLOCK = 2**15  # a multiple of 8, so that a block is whole bytes; 1 MiB as single bits


@dataclass(frozen=True, slots=True)
class CodeFileHeader:
    """What a code file says of itself, checked; its codes are still packed, and their range is not."""

    space: CodeSpace
    width: int  # true size in pixels
    height: int
    grid: tuple[int, int]  # (h, w)
    depth: int
    sections: tuple[memoryview, ...]  # the packed codes of each layer


def to_code_file(grid: CodeGrid) -> bytes:
    """The grid as a code file of version 1."""
    space, (h, w), depth = grid.space, grid.grid, grid.depth
    name = space.model.encode()
    bits = _bits_per_code(space.codebook_size)
    length = _section_bytes(h * w, bits)
    total = _HEADER.size + len(name) + depth * (_SECTION.size + length) + _CRC.size
    out = bytearray(
        _HEADER.pack(
            MAGIC,
            VERSION,
            total,
            len(name),
            bytes.fromhex(space.fingerprint),
            space.codebook_size,
            space.downsample_factor,
            grid.width,
            grid.height,
            h,
            w,
            depth,
        )
    )
    out += name
    layers = grid.codes.reshape(h * w, depth)
    for layer in range(depth):
        out += _SECTION.pack(_CODER_PACKED, length)
        for start in range(0, h * w, _CODES_PER_BLOCK):
            out += _pack(layers[start : start + _CODES_PER_BLOCK, layer], bits)
    out += _CRC.pack(zlib.crc32(out))
    return bytes(out)


def from_code_file(data: bytes) -> CodeGrid:
    """The grid of a code file; FormatError says which check failed, CodesError which code is K or more."""
    header = read_header(data)
    (h, w), depth, space = header.grid, header.depth, header.space
    bits = _bits_per_code(space.codebook_size)
    codes = np.empty((h, w) if depth == 1 else (h, w, depth), dtype=space.dtype)
    layers = codes.reshape(h * w, depth)
    for layer, packed in enumerate(header.sections):
        for start in range(0, h * w, _CODES_PER_BLOCK):
            stop = min(start + _CODES_PER_BLOCK, h * w)
            layers[start:stop, layer] = _unpack(packed[start * bits // 8 :], stop - start, bits)
    codes.flags.writeable = False
    return CodeGrid(codes=codes, width=header.width, height=header.height, space=space)


def read_header(data: bytes) -> CodeFileHeader:
    """A code file checked but not unpacked, to inspect it or hold it to limits; FormatError as above."""
    _check_envelope(data)
    *_, name_length, fingerprint, codebook_size, f, width, height, h, w, depth = _HEADER.unpack_from(data)
    start, end = _HEADER.size + name_length, len(data) - _CRC.size
    if start > end:
        raise FormatError(f"code file: the model's name of {name_length} bytes runs over the end")
    try:
        name = data[_HEADER.size : start].decode()
        space = CodeSpace(name, fingerprint.hex(), codebook_size, f)
        grid = space.grid_of(width, height)
    except (UnicodeDecodeError, CodesError) as error:
        raise FormatError(f"code file: {error}") from error
    if (h, w) != grid:
        raise FormatError(f"code file: grid must be ceil(size / f) = {grid[0]}x{grid[1]}, got {h}x{w}")
    if depth < 1:
        raise FormatError("code file: depth must be at least 1, got 0")
    sections = _read_sections(memoryview(data)[start:end], space, h * w, depth)
    return CodeFileHeader(space, width, height, grid, depth, sections)


def _check_envelope(data: bytes) -> None:
    """Magic, version, total length and checksum, before any field is believed."""
    if not data.startswith(MAGIC) and not MAGIC.startswith(data):
        cause = "was it transferred as text?" if data[1:4] == MAGIC[1:4] else "this is no code file"
        raise FormatError(f"code file: it does not begin with the magic bytes; {cause}")
    if len(data) < _PREFIX.size:
        raise FormatError(f"code file: truncated after {len(data)} bytes")
    _, version, total = _PREFIX.unpack_from(data)
    if version != VERSION:
        raise FormatError(f"code file: version must be {VERSION}, got {version}")
    if total != len(data):
        raise FormatError(f"code file: total length must be {total} bytes, got {len(data)}")
    if len(data) < _HEADER.size + _CRC.size:
        raise FormatError(f"code file: total length must be at least {_HEADER.size + _CRC.size}, got {total}")
    (expected,) = _CRC.unpack_from(data, len(data) - _CRC.size)
    actual = zlib.crc32(memoryview(data)[: -_CRC.size])
    if actual != expected:
        raise FormatError(f"code file: CRC-32 must be {expected:08x}, got {actual:08x}; the file is damaged")


def _read_sections(body: memoryview, space: CodeSpace, num_codes: int, depth: int) -> tuple[memoryview, ...]:
    """The packed codes of each layer; sizes are checked as a whole before the first section is looked at."""
    bits = _bits_per_code(space.codebook_size)
    length = _section_bytes(num_codes, bits)
    expected = depth * (_SECTION.size + length)
    if len(body) != expected:
        raise FormatError(
            f"code file: {depth} sections of {num_codes} codes take {expected} bytes, got {len(body)}"
        )
    padding = length * 8 - num_codes * bits
    sections = []
    for layer in range(depth):
        start = layer * (_SECTION.size + length)
        coder, actual = _SECTION.unpack_from(body, start)
        if coder != _CODER_PACKED:
            raise FormatError(f"code file: coder must be {_CODER_PACKED}, got {coder} in section {layer}")
        if actual != length:
            raise FormatError(f"code file: section {layer} must have {length} bytes, got {actual}")
        section = body[start + _SECTION.size :][:length]
        if section[-1] & ((1 << padding) - 1):
            raise FormatError(f"code file: the last {padding} bits of section {layer} must be zero")
        sections.append(section)
    return tuple(sections)


def _bits_per_code(codebook_size: int) -> int:
    """ceil(log2 K), exactly."""
    return (codebook_size - 1).bit_length()


def _section_bytes(num_codes: int, bits: int) -> int:
    return -(-num_codes * bits // 8)


def _pack(codes: CodeArray, bits: int) -> bytes:
    """(N,) codes -> ceil(N·bits / 8) bytes."""
    big_endian = codes.astype(">u4").view(np.uint8).reshape(-1, 4)
    return np.packbits(np.unpackbits(big_endian, axis=1)[:, 32 - bits :]).tobytes()


def _unpack(packed: memoryview, num_codes: int, bits: int) -> npt.NDArray[np.uint32]:
    """The first N codes of a packed section -> (N,)."""
    raw = np.frombuffer(packed, dtype=np.uint8, count=_section_bytes(num_codes, bits))
    words = np.zeros((num_codes, 32), dtype=np.uint8)
    words[:, 32 - bits :] = np.unpackbits(raw, count=num_codes * bits).reshape(num_codes, bits)
    return np.packbits(words, axis=1).view(">u4").ravel()
