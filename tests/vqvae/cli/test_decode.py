import json
import os

import numpy as np
import pytest

from vqvae.formats import save_codes, to_bytes
from vqvae.pixels import decode_image, sniff
from vqvae.tokenizer import Tokenizer


@pytest.fixture
def tokenizer(weights):
    return Tokenizer.load(weights / "tiny")


@pytest.fixture
def grid(tokenizer, photo, tmp_path):
    """The photo's codes, which lie in photo.vqc, photo.json and photo.npy of the folder `codes`."""
    grid = tokenizer.encode(photo)
    (tmp_path / "codes").mkdir()
    for suffix in ("vqc", "json", "npy"):
        save_codes(grid, tmp_path / f"codes/photo.{suffix}")
    return grid


@pytest.mark.parametrize(
    "arguments",
    [
        ["codes/photo.vqc"],
        ["codes/photo.json"],
        ["codes"],
        ["codes/photo.vqc", "-m", "tiny"],
        ["codes/photo.npy", "-m", "tiny", "--size", "35x21"],
    ],
    ids=" ".join,
)
def test_pixels_are_those_of_the_library(vqvae, grid, tokenizer, tmp_path, arguments):
    ended = vqvae("decode", *arguments, "-o", "out")
    data = (tmp_path / "out/photo.png").read_bytes()
    assert np.array_equal(decode_image(data), tokenizer.decode_rgb8(grid))
    name = "codes/photo.vqc" if arguments == ["codes"] else arguments[0]
    assert ended.out == f"{name} -> out/photo.png  35x21 pixels, {len(data) / 1000:.1f} kB\n"
    assert (ended.code, ended.err) == (0, "")


def test_npy_without_a_size_fills_its_grid(vqvae, grid, tmp_path):
    assert vqvae("decode", "codes/photo.npy", "-m", "tiny", "-o", "out").code == 0
    assert decode_image((tmp_path / "out/photo.png").read_bytes()).shape == (24, 40, 3)


@pytest.mark.parametrize(("format_", "suffix"), [("png", "png"), ("webp", "webp"), ("jpeg", "jpg")])
def test_images_are_of_the_kind_asked_for(vqvae, grid, tmp_path, format_, suffix):
    assert vqvae("decode", "codes/photo.vqc", "-o", "out", "--format", format_).code == 0
    assert sniff((tmp_path / f"out/photo.{suffix}").read_bytes()) == f"image/{format_}"


@pytest.mark.parametrize(("name", "kind"), [("again.webp", "webp"), ("again.JPEG", "jpeg")])
def test_file_says_by_its_end_what_kind_it_is(vqvae, grid, tmp_path, name, kind):
    assert vqvae("decode", "codes/photo.vqc", "-o", name).code == 0
    assert sniff((tmp_path / name).read_bytes()) == f"image/{kind}"


def test_quality_trades_bytes_for_likeness(vqvae, grid, tmp_path):
    for quality in (5, 95):
        vqvae("decode", "codes/photo.vqc", "-o", quality, "--format", "webp", "--quality", quality)
    assert os.path.getsize("5/photo.webp") < os.path.getsize("95/photo.webp")


def test_codes_of_another_model_are_refused_and_both_are_named(vqvae, grid, weights, tmp_path):
    ended = vqvae("decode", "codes/photo.vqc", "-m", "other", "-o", "out")
    other = Tokenizer.load(weights / "other", parts="decoder").space
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert ended.err.startswith("error: codes/photo.vqc: codes carry fingerprint ")
    assert grid.space.fingerprint in ended.err
    assert other.fingerprint in ended.err
    assert list((tmp_path / "out").iterdir()) == []


def test_damaged_code_file_is_named_and_the_others_are_done(vqvae, grid, tmp_path):
    (tmp_path / "cut.vqc").write_bytes((tmp_path / "codes/photo.vqc").read_bytes()[:-1])
    ended = vqvae("decode", "cut.vqc", "missing.vqc", "codes/photo.vqc", "-o", "out")
    assert ended.code == 2
    cut, missing, count = ended.err.splitlines()
    assert cut.startswith("error: cut.vqc: code file: total length must be ")
    assert (missing, count) == ("error: missing.vqc: No such file or directory", "2 of 3 failed")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.png"]


def test_model_that_is_nowhere_can_be_given(vqvae, grid, monkeypatch, weights, tmp_path):
    monkeypatch.delenv("VQVAE_WEIGHTS")
    ended = vqvae("decode", "codes/photo.vqc", "-o", "out")
    assert ended.code == 2
    assert ended.err.startswith("error: codes/photo.vqc: no model at tiny, nor of that name in ")
    assert ended.err.endswith("; say with --model where it is\n")
    assert vqvae("decode", "codes/photo.vqc", "-o", "out", "-m", weights / "tiny").code == 0


@pytest.mark.parametrize(
    ("suffix", "arguments"),
    [(".vqc", []), (".json", []), (".npy", ["-m", "tiny", "--size", "35x21"])],
    ids=str,
)
def test_standard_input_may_be_in_any_format(fed, grid, tokenizer, suffix, arguments):
    ended = fed(to_bytes(grid, suffix), "decode", "-", *arguments)
    assert np.array_equal(decode_image(ended.out), tokenizer.decode_rgb8(grid))
    assert ended.err.startswith("standard input -> standard output  35x21 pixels, ")
    assert ended.code == 0


@pytest.mark.parametrize(
    ("suffix", "arguments", "said"),
    [
        (".npy", [], "an .npy file names no model; say with --model which one made its codes"),
        (".vqc", ["--size", "35x21"], "--size is for .npy files; other files of codes hold the true size"),
    ],
)
def test_standard_input_needs_what_its_format_needs(fed, grid, suffix, arguments, said):
    ended = fed(to_bytes(grid, suffix), "decode", "-", *arguments)
    assert (ended.code, ended.out, ended.err) == (2, b"", f"error: standard input: {said}\n")


def test_json_tells_of_each_file(vqvae, grid, tmp_path):
    (tmp_path / "cut.vqc").write_bytes(b"\x89VQC")
    ended = vqvae("decode", "codes/photo.vqc", "cut.vqc", "-o", "out", "--json")
    done, failed = map(json.loads, ended.out.splitlines())
    assert (done["input"], done["output"]) == ("codes/photo.vqc", "out/photo.png")
    assert done["output_bytes"] == os.path.getsize("out/photo.png")
    assert (done["fingerprint"], done["decoder"]) == (grid.space.fingerprint, "faithful")
    assert done["original_size"] == {"width": 35, "height": 21}
    assert (failed["input"], ended.code) == ("cut.vqc", 2)
    assert failed["error"].startswith("code file: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["codes/photo.npy"], "codes/photo.npy names no model; say with --model which one made its codes"),
        (["codes/photo.vqc", "--size", "35x21"], "--size is for .npy files"),
        (["codes/photo.npy", "-m", "tiny", "--size", "35"], "--size must be WIDTHxHEIGHT in pixels"),
        (["codes/photo.npy", "-m", "tiny", "--size", "35x29"], "codes/photo.npy: codes must fill the grid"),
        (["codes/photo.vqc", "--quality", "80"], "--quality is for webp and jpeg"),
        (["codes/photo.vqc", "--decoder", "vivid"], "codes/photo.vqc: tiny has the decoders faithful, not"),
        (["photo.png"], "photo.png: codes are kept in .vqc, .json, .npy files"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_decoded_is_one_line(vqvae, grid, arguments, said):
    ended = vqvae("decode", *arguments, "-o", "out")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.startswith(f"error: {said}")
