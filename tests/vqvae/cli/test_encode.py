import json

import numpy as np
import pytest

from vqvae.formats import from_bytes, load_codes
from vqvae.tokenizer import Tokenizer


@pytest.mark.parametrize("format_", ["vqc", "json"])
def test_codes_are_those_of_the_library(vqvae, photo, weights, format_):
    assert vqvae("encode", photo, "-m", "tiny", "-o", "out", "--format", format_).code == 0
    assert load_codes(f"out/photo.{format_}") == Tokenizer.load(weights / "tiny").encode(photo)


def test_npy_holds_the_bare_codes(vqvae, photo, weights):
    assert vqvae("encode", photo, "-m", weights / "tiny", "--format", "npy").code == 0
    codes = np.load("photo.npy")
    assert codes.dtype == np.uint16
    assert np.array_equal(codes, Tokenizer.load(weights / "tiny").encode(photo).codes)


def test_result_lies_in_this_folder_by_default_and_is_told_in_a_line(vqvae, photo, tmp_path):
    ended = vqvae("encode", "photo.png", "-m", "tiny")
    size = (tmp_path / "photo.vqc").stat().st_size
    # 5 x 3 codes of 6 bits over 35 x 21 pixels
    assert ended.out == f"photo.png -> photo.vqc  5x3 codes, {size} B, 0.122 bits/pixel\n"
    assert (ended.code, ended.err) == (0, "")


def test_folder_is_walked_and_its_tree_kept(vqvae, photo, tmp_path):
    (tmp_path / "photos/sea").mkdir(parents=True)
    photo.rename(tmp_path / "photos/sea/photo.png")
    ended = vqvae("encode", "photos", "-m", "tiny", "-o", "codes")
    assert ended.out.startswith("photos/sea/photo.png -> codes/sea/photo.vqc  ")
    assert load_codes("codes/sea/photo.vqc").width == 35


def test_bad_photo_is_named_and_the_others_are_done(vqvae, photo, not_a_photo, tmp_path):
    ended = vqvae("encode", "missing.png", "bad.png", "photo.png", "-m", "tiny", "-o", "out")
    assert ended.code == 2
    missing, bad, count = ended.err.splitlines()
    assert missing == "error: missing.png: No such file or directory"
    assert bad.startswith("error: bad.png: image must be a JPEG, PNG, WebP, GIF, BMP or TIFF")
    assert count == "2 of 3 failed"
    assert ended.out.startswith("photo.png -> out/photo.vqc  ")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.vqc"]


def test_existing_codes_are_kept_unless_forced(vqvae, photo, tmp_path):
    (tmp_path / "photo.vqc").write_text("mine")
    ended = vqvae("encode", photo, "-m", "tiny")
    assert (ended.code, ended.err) == (
        2,
        "error: photo.vqc exists; --force replaces it, -o writes elsewhere\n",
    )
    assert (tmp_path / "photo.vqc").read_text() == "mine"
    assert vqvae("encode", photo, "-m", "tiny", "--force").code == 0
    assert load_codes("photo.vqc").width == 35


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-m", "unknown"], "error: no model at unknown, nor of that name in "),
        (["-m", "tiny", "-o", "photo.png"], "error: photo.png must end in .vqc or .json or .npy, or be a "),
        (["-m", "tiny", "-o", "a.vqc", "--format", "npy"], "error: a.vqc must end in .npy, or be a folder"),
        (["-m", "tiny", "-o", "-", "--json"], "error: standard output takes either --json or the result"),
        (["*.gif", "-m", "tiny"], "error: nothing matches *.gif; "),
        (["-m", "tiny", "--device", "toaster"], "error: device 'toaster' cannot be used here ("),
        (["-m", "tiny", "--device", "meta"], "error: device 'meta' cannot be used here ("),
    ],
)
def test_what_cannot_work_at_all_is_one_line(vqvae, photo, options, said):
    ended = vqvae("encode", photo, *options)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.startswith(said)


@pytest.mark.parametrize("format_", ["vqc", "json"])
def test_codes_go_from_standard_input_to_standard_output(fed, photo, weights, format_, tmp_path):
    ended = fed(photo.read_bytes(), "encode", "-", "-m", "tiny", "--format", format_)
    assert from_bytes(ended.out, f".{format_}") == Tokenizer.load(weights / "tiny").encode(photo)
    line = "standard input -> standard output  5x3 codes, "
    assert (ended.code, ended.err.startswith(line), len(ended.err.splitlines())) == (0, True, 1)
    assert list(tmp_path.iterdir()) == [photo]


def test_standard_input_may_go_to_a_file_or_a_folder(fed, photo):
    assert fed(photo.read_bytes(), "encode", "-", "-m", "tiny", "-o", "out").out.startswith(
        b"standard input -> out/stdin.vqc  5x3 codes, "
    )
    fed(photo.read_bytes(), "encode", "-", "-m", "tiny", "-o", "mine.json")
    assert load_codes("out/stdin.vqc") == load_codes("mine.json")


def test_file_may_go_to_standard_output(fed, photo):
    out = fed(b"", "encode", photo, "-m", "tiny", "-o", "-").out
    fed(b"", "encode", photo, "-m", "tiny", "-o", "photo.vqc")
    assert from_bytes(out, ".vqc") == load_codes("photo.vqc")


def test_bad_standard_input_is_named_and_nothing_comes_out(fed):
    ended = fed(b"hello", "encode", "-", "-m", "tiny")
    assert (ended.code, ended.out) == (2, b"")
    assert ended.err.startswith("error: standard input: image must be a JPEG, PNG, WebP, GIF, BMP or TIFF")


def test_json_tells_of_each_file(vqvae, photo, not_a_photo, tmp_path):
    ended = vqvae("encode", "photo.png", "bad.png", "-m", "tiny", "-o", "out", "--json")
    done, failed = map(json.loads, ended.out.splitlines())
    grid = load_codes("out/photo.vqc")
    assert done == {
        "input": "photo.png",
        "output": "out/photo.vqc",
        "input_bytes": photo.stat().st_size,
        "output_bytes": (tmp_path / "out/photo.vqc").stat().st_size,
        "model": "tiny",
        "fingerprint": grid.space.fingerprint,
        "codebook_size": 64,
        "downsample_factor": 8,
        "original_size": {"width": 35, "height": 21},
        "grid": {"height": 3, "width": 5},
        "depth": 1,
        "codes": 15,
        "distinct_codes": len(np.unique(grid.codes)),
        "bits_per_pixel": 15 * 6 / (35 * 21),
    }
    assert set(failed) == {"input", "error"}
    assert failed["input"] == "bad.png"
    assert ended.err == f"error: bad.png: {failed['error']}\n1 of 2 failed\n"
    assert ended.code == 2


def test_auto_takes_the_device_that_is_there(vqvae, photo):
    assert vqvae("encode", photo, "-m", "tiny", "--device", "auto").code == 0


def test_terminal_shows_how_far_it_is_and_then_the_lines_alone(terminal, photo, weights, tmp_path):
    (tmp_path / "other.png").write_bytes(photo.read_bytes())
    ended = terminal("-m", "vqvae", "encode", "*.png", "-m", weights / "tiny")
    assert ended.code == 0
    assert "0/2" in ended.out
    assert "other.png -> other.vqc  5x3 codes, " in ended.out
    assert "photo.png -> photo.vqc  5x3 codes, " in ended.out
