"""The code file: as written down, and refused when anything is wrong with it."""

import re
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.errors import CodesError, FormatError
from vqvae.formats import code_file
from vqvae.formats.code_file import MAGIC, from_code_file, read_header, to_code_file

EXAMPLE = CodeGrid([[0, 1, 2], [2, 1, 0]], 17, 16, CodeSpace("m", bytes(range(32)).hex(), 3, 8))


def random_grid(codebook_size, depth=1, grid=(5, 7)):
    shape = grid if depth == 1 else (*grid, depth)
    codes = np.random.default_rng(codebook_size).integers(0, codebook_size, shape)
    codes.flat[0], codes.flat[-1] = codebook_size - 1, 0
    space = CodeSpace("photo-f8", "ab" * 32, codebook_size, 8)
    return CodeGrid(codes, grid[1] * 8 - 3, grid[0] * 8, space)


def with_crc(body):
    return bytes(body) + struct.pack("<I", zlib.crc32(body))


def patched(offset, fmt, value, grid=EXAMPLE):
    """A file with one field overwritten and a checksum that fits: not damaged, but written wrong."""
    body = bytearray(to_code_file(grid)[:-4])
    struct.pack_into(fmt, body, offset, value)
    return with_crc(body)


def test_the_example_in_the_docstring_is_what_is_written_and_read():
    lines = code_file.__doc__.partition("An example.")[2].splitlines()
    example = bytes.fromhex(" ".join(line for line in lines if re.fullmatch(r"    [0-9A-F ]+", line)))
    assert to_code_file(EXAMPLE) == example
    assert from_code_file(example) == EXAMPLE


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("codebook_size", [2, 3, 256, 257, 4096, 16384, 65536, 65537, 262144, 2**32])
def test_codes_survive_the_file(codebook_size, depth):
    grid = random_grid(codebook_size, depth)
    data = to_code_file(grid)
    assert from_code_file(data) == grid
    bits = int(np.ceil(np.log2(codebook_size)))
    assert len(data) == 80 + len("photo-f8") + depth * (9 + -(-5 * 7 * bits // 8)) + 4


@pytest.mark.parametrize("codebook_size", [3, 4096, 65537])
def test_packing_agrees_with_a_string_of_bits(codebook_size):
    grid = random_grid(codebook_size)
    bits = (codebook_size - 1).bit_length()
    text = "".join(f"{code:0{bits}b}" for code in grid.codes.ravel().tolist())
    text += "0" * (-len(text) % 8)
    packed = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    assert bytes(read_header(to_code_file(grid)).sections[0]) == packed


@pytest.mark.parametrize("depth", [1, 2])
def test_grids_of_several_blocks_survive_the_file_in_bounded_memory(depth):
    grid = random_grid(512, depth, grid=(1000, 1000))
    tracemalloc.start()
    data = to_code_file(grid)
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    back = from_code_file(data)
    read = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert back == grid
    assert (
        written < 3 * len(data) + 8 * 2**20
    )  # as bits, one byte each, the codes would take 9 to 32 MB a layer
    assert read < len(data) + grid.codes.nbytes + 8 * 2**20


def test_a_file_can_be_inspected_without_unpacking():
    grid = random_grid(4096, depth=4)
    file = read_header(to_code_file(grid))
    assert (file.space, file.width, file.height) == (grid.space, grid.width, grid.height)
    assert (file.grid, file.depth) == (grid.grid, 4)


def test_a_file_cut_at_any_byte_is_an_error():
    data = to_code_file(EXAMPLE)
    for length in range(len(data)):
        with pytest.raises(FormatError, match=r"truncated|total length"):
            from_code_file(data[:length])


def test_a_file_with_any_bit_flipped_is_an_error():
    data = to_code_file(EXAMPLE)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError, match=r"magic|version|total length|CRC-32"):
            from_code_file(bytes(flipped))


def test_any_bit_flipped_under_a_fitting_checksum_is_an_error_or_a_grid_that_is_written_so():
    body = to_code_file(EXAMPLE)[:-4]
    for bit in range(len(body) * 8):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        data = with_crc(flipped)
        try:
            grid = from_code_file(data)
        except (FormatError, CodesError):
            continue
        assert to_code_file(grid) == data


@given(st.binary(max_size=300))
def test_random_bytes_are_an_error(data):
    for candidate in (data, MAGIC + data, with_crc(MAGIC + struct.pack("<HQ", 1, len(data) + 22) + data)):
        with pytest.raises(FormatError):
            from_code_file(candidate)


@pytest.mark.parametrize(
    "damage", [(b"\r\n", b"\n"), (b"\n", b"\r\n"), (b"\x1a", b""), (b"\x89", b"\xc2\x89")]
)
def test_a_transfer_as_text_is_noticed(damage):
    with pytest.raises(FormatError, match="magic"):
        from_code_file(to_code_file(EXAMPLE).replace(*damage))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(90), "this is no code file"),
        (to_code_file(EXAMPLE).replace(b"\r\n", b"\n"), "transferred as text"),
        (to_code_file(EXAMPLE) + b"\0", "total length must be 96 bytes, got 97"),
        (with_crc(MAGIC + struct.pack("<HQ", 1, 22)), "total length must be at least 84, got 22"),
        (patched(8, "<H", 2), "version must be 1, got 2"),
        (patched(18, "<B", 0), "model must match"),
        (patched(18, "<B", 12), "model must match|utf-8"),
        (patched(18, "<B", 13), "name of 13 bytes runs over the end"),
        (patched(80, "<B", 0xFF), "utf-8"),
        (patched(80, "<B", 0x2F), "model must match"),
        (patched(51, "<Q", 1), "codebook_size must be an integer in"),
        (patched(51, "<Q", 2**32 + 1), "codebook_size must be an integer in"),
        (patched(51, "<Q", 2**64 - 1), "codebook_size must be an integer in"),
        (patched(51, "<Q", 5), "1 sections of 6 codes take 12 bytes, got 11"),
        (patched(59, "<I", 0), "downsample_factor must be an integer in"),
        (patched(59, "<I", 9), r"grid must be ceil\(size / f\) = 2x2, got 2x3"),
        (patched(63, "<I", 0), "width must be an integer in"),
        (patched(67, "<I", 0), "height must be an integer in"),
        (patched(67, "<I", 2**32 - 1), "grid must be"),
        (patched(71, "<I", 3), "grid must be"),
        (patched(75, "<I", 2**32 - 1), "grid must be"),
        (patched(79, "<B", 0), "depth must be at least 1"),
        (patched(79, "<B", 2), "2 sections of 6 codes take 22 bytes, got 11"),
        (patched(81, "<B", 2), "coder must be 1, got 2 in section 0"),
        (patched(82, "<Q", 2**63), "section 0 must have 2 bytes, got"),
        (patched(91, "<B", 0x41), "the last 4 bits of section 0 must be zero"),
    ],
)
def test_a_file_written_wrong_is_refused_by_the_check_that_failed(data, message):
    with pytest.raises(FormatError, match=message):
        from_code_file(data)


def test_the_sizes_that_a_file_claims_are_not_allocated():
    body = bytearray(to_code_file(EXAMPLE)[:-4])
    struct.pack_into("<IIIIIB", body, 59, 1, *[2**32 - 1] * 4, 255)
    tracemalloc.start()
    with pytest.raises(FormatError, match="255 sections"):
        from_code_file(with_crc(body))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_code_of_the_codebook_size_or_more_is_named_with_its_place():
    with pytest.raises(CodesError, match=r"codes must lie in \[0, 3\), got 3 at row 0, column 2"):
        from_code_file(patched(90, "<B", 0b00_01_11_10))
