import json

import numpy as np
import pytest

from vqvae.checkpoint import load_card
from vqvae.cli.picture import half_blocks
from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.code_picture import colours_of
from vqvae.formats import save_codes
from vqvae.model.cost import cost_of_encoder

SPACE = CodeSpace("m", "ab" * 32, codebook_size=16, downsample_factor=8)


@pytest.fixture
def codes(tmp_path):
    path = tmp_path / "a.vqc"
    save_codes(CodeGrid([[0, 15, 0], [3, 3, 0]], width=17, height=16, space=SPACE), path)
    return path


def test_codes_are_described(vqvae, codes):
    ended = vqvae("info", "a.vqc")
    assert ended.out.splitlines() == [
        f"codes             a.vqc, {codes.stat().st_size} B",
        "model             m",
        f"fingerprint       {'ab' * 32}",
        "image             17x16 pixels",
        "grid              3x2 codes, one for 8x8 pixels",
        "bits/pixel        0.088",  # 6 codes of 4 bits over 272 pixels
        "distinct codes    3 of 16",
    ]
    assert (ended.code, ended.err) == (0, "")


def test_layers_of_codes_are_told(vqvae, tmp_path):
    save_codes(CodeGrid([[[0, 1, 2]]], width=8, height=8, space=SPACE), tmp_path / "deep.json")
    assert "grid              1x1 codes in 3 layers, one for 8x8 pixels" in vqvae("info", "deep.json").out


def test_model_is_described_by_name_and_by_folder(vqvae, weights):
    card = load_card(weights / "tiny")
    lines = vqvae("info", "tiny").out.splitlines()
    assert f"fingerprint       {card.fingerprint}" in lines
    assert "codebook          64 code vectors of 4 numbers" in lines
    assert "grid              one code for 8x8 pixels, 0.094 bits/pixel" in lines  # 6 bits for 64 pixels
    assert "training data     noise, CC0-1.0" in lines
    assert "figures           psnr: 7.5" in lines
    assert vqvae("info", weights / "tiny").out.splitlines() == lines


def test_model_as_json_holds_its_card_and_what_follows_from_its_tensors(vqvae, weights):
    facts = json.loads(vqvae("info", "tiny", "--json").out)
    card = load_card(weights / "tiny")
    assert facts["fingerprint"] == card.fingerprint
    assert facts["training_data"] == card.training_data
    cost = cost_of_encoder(card.encoder, card.quantizer.codebook_dim)
    assert facts["encoder"] == {
        "parameters": cost.parameters,
        "gflop": cost.gflop,
        "receptive_field_pixels": cost.receptive_field,
    }
    assert set(facts["decoders"]) == {"faithful"}
    assert facts["decoders"]["faithful"]["digest"] == card.decoders["faithful"].digest


def test_json_is_one_object_a_line(vqvae, codes):
    ended = vqvae("info", "a.vqc", "tiny", "--json")
    first, second = map(json.loads, ended.out.splitlines())
    assert (first["model"], second["model"]) == ("m", "tiny")
    assert first["grid"] == {"height": 2, "width": 3}
    assert (first["codes"], first["distinct_codes"], first["depth"]) == (6, 3, 1)


def test_standard_input_may_be_codes(fed, codes):
    ended = fed(codes.read_bytes(), "info", "-")
    assert ended.out.decode().startswith(f"codes             standard input, {codes.stat().st_size} B\n")
    assert json.loads(fed(codes.read_bytes(), "info", "-", "--json").out)["input"] == "-"
    ended = fed(b"hello", "info", "-")
    assert ended.err.startswith("error: standard input: these 5 bytes are no codes")


@pytest.mark.parametrize("target", ["codes", "codes/*.vqc", "co*"])
def test_folder_and_pattern_are_the_codes_in_them(vqvae, codes, tmp_path, target):
    (tmp_path / "codes").mkdir()
    for name in ("one", "two"):
        (tmp_path / f"codes/{name}.vqc").write_bytes(codes.read_bytes())
    told = [json.loads(line)["input"] for line in vqvae("info", target, "--json").out.splitlines()]
    assert told == ["codes/one.vqc", "codes/two.vqc"]


def test_json_tells_failures_too(vqvae, codes):
    ended = vqvae("info", "missing.vqc", "a.vqc", "--json")
    failed, done = map(json.loads, ended.out.splitlines())
    assert failed == {"input": "missing.vqc", "error": "No such file or directory"}
    assert (done["input"], ended.code) == ("a.vqc", 2)


def test_terminal_shows_the_codes_below(terminal, codes):
    ended = terminal("-m", "vqvae", "info", "a.vqc")
    facts, _, picture = ended.out.partition("\n\n")
    assert facts.endswith("distinct codes    3 of 16")
    codes = np.array([[0, 15, 0], [3, 3, 0]])
    assert picture.splitlines() == half_blocks(colours_of(codes), true_colour=True)


def test_several_targets_stand_apart(vqvae, codes):
    assert "of 16\n\nmodel             tiny\n" in vqvae("info", "a.vqc", "tiny").out


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("unknown", "error: unknown: no model at unknown, nor of that name in "),
        ("missing.vqc", "error: missing.vqc: No such file or directory"),
        ("bad.png", "error: bad.png: codes are kept in .vqc, .json, .npy files"),
        (".", "error: .: no model at ., nor of that name in "),
    ],
)
def test_what_is_neither_is_one_line(vqvae, not_a_photo, target, said):
    ended = vqvae("info", target)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.startswith(said)


def test_damaged_model_is_one_line(vqvae, weights, tmp_path):
    (tmp_path / "broken").mkdir()
    for file in (weights / "tiny").iterdir():
        data = bytearray(file.read_bytes())
        if file.suffix == ".safetensors":
            data[-1] ^= 0x40
        (tmp_path / "broken" / file.name).write_bytes(data)
    ended = vqvae("info", "broken")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert "digest differs" in ended.err
