import getpass
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import vqvae as package
from vqvae import places
from vqvae.checkpoint import load_card, load_model, save_model
from vqvae.doctor.self_test import SIDE, drawn_picture

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def models(vqvae, monkeypatch, tmp_path, weights):
    """The folder of $VQVAE_WEIGHTS, the only one with models: `flat` gives back the picture's mean colour."""
    monkeypatch.setattr(places, "__file__", str(tmp_path / "vqvae" / "places.py"))
    monkeypatch.setenv("VQVAE_WEIGHTS", str(tmp_path / "models"))
    tiny = load_model(weights / "tiny")
    last = tiny.decoder.head[-1]
    last.weight.zero_()
    last.bias.copy_(torch.tensor(drawn_picture(SIDE).mean((0, 1)).round()) / 127.5 - 1)
    save_model(
        tmp_path / "models" / "flat",
        name="flat",
        encoder=tiny.encoder,
        quantizer=tiny.quantizer,
        decoders={"faithful": tiny.decoder},
    )
    return tmp_path / "models"


def in_a_process_of_its_own(*, env, without=()):
    block = f"import sys; sys.modules.update(dict.fromkeys({without!r}))"
    code = f"{block}; from vqvae.cli import main; main(['doctor'])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_a_sound_installation_is_ok(vqvae, models):
    ended = vqvae("doctor")
    lines = ended.out.splitlines()
    assert (ended.code, ended.err, lines[-1]) == (0, "", "OK")
    assert f"vqvae             {package.__version__}" in lines
    assert f"python            CPython {platform.python_version()}" in lines
    assert f"extra model       torch {version('torch')}, safetensors {version('safetensors')}" in lines
    assert "weights           $VQVAE_WEIGHTS: flat" in lines
    card = load_card(models / "flat")
    size = (models / "flat" / "model.safetensors").stat().st_size
    assert f"flat              {card.fingerprint[:12]}, {size / 1000:.1f} kB, digests verified" in lines
    assert re.search(r"^  encode          \d+ ms for 256x256 pixels$", ended.out, re.M)
    assert re.search(r"^  faithful        \d+ ms to decode, \d+\.\d\d dB$", ended.out, re.M)
    assert "  tiles           4096 of 4096 codes are the same in 4 tiles as in one" in lines
    assert re.search(
        r"^  threads         1024 of 1024 codes are the same with \d+ threads as with", ended.out, re.M
    )


def test_the_report_is_as_wide_as_a_terminal_and_its_texts_stand_in_one_column(vqvae):
    lines = vqvae("doctor").out.splitlines()
    *report, ok = lines
    assert ok == "OK"
    assert max(map(len, report)) <= 108
    assert all(line[17] == " " != line[18] for line in report)


def test_json_is_one_object_with_all_of_it(vqvae):
    ended = vqvae("doctor", "--json")
    facts = json.loads(ended.out)
    assert ended.out.count("\n") == 1
    assert facts["packages"]["model"]["torch"] == version("torch")
    assert facts["machine"]["cores"] >= facts["machine"]["usable_cores"] >= 1
    assert facts["torch"]["threads"] >= 1
    assert facts["places"][0] == {"name": "$VQVAE_WEIGHTS", "exists": True, "models": ["flat"]}
    assert facts["models"]["flat"]["tiles"]["differ"] == 0
    assert facts["wrong"] == []


def test_a_damaged_model_is_what_is_wrong(vqvae, models):
    file = models / "flat" / "model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(file).items()}, file)
    ended = vqvae("doctor")
    assert (ended.code, ended.err) == (1, "")
    assert re.search(r"\nwrong: flat: the tensors quantizer\.\* .* their digest differs\n$", ended.out)
    file.unlink()
    said = vqvae("doctor").out.splitlines()[-1]
    assert said.startswith("wrong: flat: $VQVAE_WEIGHTS/flat/model.safetensors is damaged or missing: ")
    assert json.loads(vqvae("doctor", "--json").out)["models"]["flat"]["error"] in said


def test_a_model_that_gives_back_noise_is_what_is_wrong(vqvae, models, weights):
    shutil.copytree(weights / "tiny", models / "tiny")
    ended = vqvae("doctor")
    assert ended.code == 1
    faults = [line for line in ended.out.splitlines() if line.startswith("wrong: ")]
    (fault,) = faults
    assert fault.startswith("wrong: tiny: decoder faithful gives back less than one flat colour would: ")


def test_no_models_are_what_is_wrong(vqvae, models):
    shutil.rmtree(models)
    ended = vqvae("doctor")
    assert ended.code == 1
    assert ended.out.splitlines()[-2:] == [
        "wrong: $VQVAE_WEIGHTS is set, and there is no such folder",
        "wrong: there is no model in any of these places",
    ]


def test_without_torch_it_says_what_is_missing_and_how_to_get_it():
    done = in_a_process_of_its_own(env={}, without=["torch", "safetensors"])
    *_, note, last = done.stdout.splitlines()
    assert (done.returncode, done.stderr, last) == (0, "", "OK")
    assert "pip install 'vqvae[model]'" in note
    assert re.search("^torch +not installed$", done.stdout, re.M)
    assert re.search("^weights +.VQVAE_WEIGHTS: flat$", done.stdout, re.M)
    assert "digests" not in done.stdout


def test_a_torch_that_cannot_be_imported_is_what_is_wrong(tmp_path):
    library = "/".join(["", "home", "jane", "libtorch.so"])
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(f"raise ImportError('{library}: no such file')")
    done = in_a_process_of_its_own(env={"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])})
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith(
        "\nwrong: torch is installed and cannot be imported: ~/libtorch.so: no such file\n"
    )


def test_more_threads_than_the_container_has_time_for_are_a_note(vqvae, monkeypatch):
    monkeypatch.setattr("vqvae.doctor.machine.cpu_quota", lambda: 0.5)
    monkeypatch.setattr("torch.get_num_threads", lambda: 8)
    ended = vqvae("doctor")
    assert ended.code == 0
    assert re.search(r"^cores +\d+ of \d+, a quota of 0\.5$", ended.out, re.M)
    assert (
        "\nnote: torch has more threads than cores to run them; OMP_NUM_THREADS=1 may be faster\n"
        in ended.out
    )


def test_nothing_in_it_tells_of_persons(vqvae, models, monkeypatch, tmp_path):
    monkeypatch.setenv("VQVAE_SERVE_API_KEYS", "a-secret")
    monkeypatch.setenv("LOGNAME", "jane")
    (models / "flat" / "model.json").write_text("{}")  # errors name their file
    for out in vqvae("doctor").out, vqvae("doctor", "--json").out:
        assert "VQVAE_SERVE_API_KEYS" in out
        assert "$VQVAE_WEIGHTS/flat/model.json is not a model card" in out
        for secret in ("a-secret", str(tmp_path), str(Path.home()), str(ROOT), getpass.getuser()):
            assert secret not in out
        assert platform.node() not in out.split()
