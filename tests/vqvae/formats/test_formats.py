"""Grids in files, by suffix."""

import os
import subprocess
import sys

import numpy as np
import orjson
import pytest

from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.errors import CodesError, FingerprintError, FormatError
from vqvae.formats import MEDIA_TYPES, load_codes, save_codes, suffix_of, to_bytes, to_document, to_item

SPACE = CodeSpace("photo-f8", "ab" * 32, 4096, 8)
OTHER = CodeSpace("photo-f8", "cd" * 32, 4096, 8)
GRID = CodeGrid([[17, 901, 4095], [0, 1, 2]], 24, 16, SPACE)


@pytest.mark.parametrize("suffix", [*MEDIA_TYPES, ".VQC"])
def test_a_grid_survives_each_kind_of_file(tmp_path, suffix):
    save_codes(GRID, tmp_path / f"photo{suffix}")
    assert load_codes(str(tmp_path / f"photo{suffix}"), SPACE) == GRID
    if suffix != ".npy":
        assert load_codes(tmp_path / f"photo{suffix}") == GRID


def test_an_npy_file_cannot_be_loaded_without_its_space(tmp_path):
    save_codes(GRID, tmp_path / "photo.npy")
    with pytest.raises(FormatError, match=r"photo.npy: an .npy file names no model"):
        load_codes(tmp_path / "photo.npy")


@pytest.mark.parametrize("suffix", [".vqc", ".json"])
def test_codes_of_another_space_than_asked_for_are_refused(tmp_path, suffix):
    save_codes(GRID, tmp_path / f"photo{suffix}")
    with pytest.raises(FingerprintError) as caught:
        load_codes(tmp_path / f"photo{suffix}", OTHER)
    assert (caught.value.expected, caught.value.actual) == (OTHER.fingerprint, SPACE.fingerprint)


def test_unknown_suffixes_are_named_with_those_that_are_known(tmp_path):
    for attempt in (lambda path: save_codes(GRID, path), load_codes):
        with pytest.raises(FormatError, match=r"photo.png: codes are kept in .vqc, .json, .npy files"):
            attempt(tmp_path / "photo.png")


def test_a_document_of_several_items_says_how_many(tmp_path):
    path = tmp_path / "two.json"
    path.write_bytes(orjson.dumps(to_document([to_item(GRID, 0), to_item(GRID, 1)])))
    with pytest.raises(FormatError, match=r"two.json: one item can be loaded, this document has 2"):
        load_codes(path)


def test_errors_begin_with_the_file_and_the_path_in_it(tmp_path):
    path = tmp_path / "bad.json"
    path.write_bytes(orjson.dumps({"data": [to_item(GRID) | {"codes": [[17, 901, 4096], [0, 1, 2]]}]}))
    with pytest.raises(
        CodesError, match=r"bad.json: data\[0\].codes: codes must lie in \[0, 4096\), got 4096 at row 0"
    ):
        load_codes(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "photo.vqc"
    save_codes(GRID, path)
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save_codes(CodeGrid(np.zeros((2, 3), int), 24, 16, SPACE), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_saving_replaces_what_was_there(tmp_path):
    path = tmp_path / "photo.vqc"
    path.write_bytes(b"something old")
    save_codes(GRID, path)
    assert load_codes(path) == GRID


@pytest.mark.parametrize("suffix", MEDIA_TYPES)
def test_formats_are_known_by_how_they_begin(suffix):
    assert suffix_of(to_bytes(GRID, suffix)) == suffix


def test_damage_by_a_transfer_as_text_is_left_to_the_reader():
    assert suffix_of(b"\xefVQC\n\x1a\n") == ".vqc"


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n"])
def test_other_bytes_are_no_codes(data):
    with pytest.raises(FormatError, match=f"these {len(data)} bytes are no codes"):
        suffix_of(data)


def test_formats_need_no_torch():
    code = "import sys, vqvae.formats; sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
