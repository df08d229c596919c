"""`vqvae train`, as its user meets it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vqvae import Tokenizer
from vqvae.checkpoint import load_card
from vqvae.cli import main
from vqvae.cli.train import assign, read_recipe
from vqvae.errors import ConfigError
from vqvae.pixels import encode_image

ROOT = Path(__file__).parents[3]
THREADS = torch.get_num_threads()  # the weights depend on their number, so every run here sets it

TINY = [
    *("--steps", "60", "--checkpoint-every", "4", "--evaluate-every", "30", "--device", "cpu"),
    *(
        "--set",
        "model.encoder.patch=2",
        "--set",
        "model.encoder.widths=[6,8]",
        "--set",
        "model.encoder.blocks=[1,0]",
    ),
    *(
        "--set",
        "model.decoder.patch=2",
        "--set",
        "model.decoder.widths=[6,8]",
        "--set",
        "model.decoder.blocks=[1,0]",
    ),
    *("--set", "model.quantizer.codebook_size=16", "--set", "model.quantizer.codebook_dim=3"),
    *(
        "--set",
        "training.batch_size=2",
        "--set",
        "training.crops.size=16",
        "--set",
        "training.precision=float32",
    ),
    *("--set", "training.warmup=0.25", "--set", "training.window=5"),
]

# `vqvae` that kills itself in the middle of a call: METHOD NUMBER THREADS ARGUMENTS...
DYING = """
import os, signal, sys
import torch
from vqvae.cli import main
from vqvae.quantizers import EmaQuantizer
from vqvae.training.trainer import Trainer

method, calls_left, threads, *arguments = sys.argv[1:]
torch.set_num_threads(int(threads))
owner = {"_follow_codes_": Trainer, "train_step_": Trainer, "init_codebook_": EmaQuantizer}[method]
whole, calls_left = getattr(owner, method), int(calls_left)

def dying(self, *args):
    global calls_left
    calls_left -= 1
    if calls_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, *args)

setattr(owner, method, dying)
main(arguments)
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for i in range(20):
        rgb = np.random.default_rng(i).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        (folder / f"{i:02}.png").write_bytes(encode_image(rgb.repeat(8, 0).repeat(8, 1)))
    return folder


def command(*arguments):
    """Run a command line in this process; returns its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code or 0


@pytest.fixture(scope="module")
def undisturbed(photographs, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    torch.set_num_threads(THREADS)
    assert command("train", photographs, out, *TINY) == 0
    return out


def steps_done(out):
    return torch.load(out / "run" / "checkpoint.pt", weights_only=True)["trainer"]["step"]


def test_a_run_killed_in_every_phase_ends_with_the_weights_of_an_undisturbed_one(
    undisturbed, photographs, tmp_path
):
    out = tmp_path / "killed"
    for method, calls, checkpoint in (
        ("train_step_", 8, 4),  # in the warm-up, at step 8
        ("init_codebook_", 1, 12),  # at the k-means start, after step 15
        ("_follow_codes_", 16, 28),  # in the quantized phase, at step 31
    ):
        process = subprocess.run(
            [
                *(sys.executable, "-c", DYING, method, str(calls), str(THREADS)),
                *("train", photographs, out, *TINY, "--resume"),
            ],
            cwd=ROOT,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert process.returncode == -signal.SIGKILL, process.stderr.decode()
        assert steps_done(out) == checkpoint
        assert not (out / "model.json").exists()
    assert command("train", photographs, out, *TINY, "--resume") == 0
    assert (out / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()
    steps = [json.loads(line)["step"] for line in (out / "run" / "log.jsonl").read_text().splitlines()]
    others = [
        json.loads(line)["step"] for line in (undisturbed / "run" / "log.jsonl").read_text().splitlines()
    ]
    assert steps == others  # and every line stands once


def test_a_trained_model_can_be_evaluated(undisturbed, photographs, tmp_path):
    assert command("evaluate", undisturbed, photographs, "--json", tmp_path / "figures.json") == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures.keys() >= {
        "psnr",
        "ssim",
        "bits_per_pixel",
        "entropy_bits_per_pixel",
        "usage",
        "perplexity",
    }
    assert len(figures["images"]) == 20
    assert figures["psnr"] > 5
    assert figures["bits_per_pixel"] == 4 / 4**2  # 16 codes are 4 bits, one for 4 x 4 pixels


def test_the_model_is_named_after_its_folder_or_as_told(undisturbed, photographs, tmp_path, capsys):
    assert Tokenizer.load(undisturbed).space.model == "undisturbed"
    assert command("train", photographs, tmp_path, *TINY, "--steps", 2, "--name", "mine") == 0
    assert "mine@" in capsys.readouterr().err
    assert Tokenizer.load(tmp_path).space.model == "mine"


def test_a_models_own_recipe_makes_it_again(undisturbed, photographs, tmp_path):
    recipe = undisturbed / "model.json"
    assert command("train", photographs, tmp_path, "--config", recipe, "--device", "cpu") == 0
    assert (tmp_path / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()


def test_the_card_says_what_the_photographs_are(photographs, tmp_path):
    entries = [{"name": "squares", "licence": "CC0-1.0"}]
    (tmp_path / "card.json").write_text(json.dumps(entries))
    arguments = ["train", photographs, tmp_path / "out", *TINY, "--steps", 2, "--data-card"]
    assert command(*arguments, tmp_path / "card.json") == 0
    assert Tokenizer.load(tmp_path / "out").card.training_data == entries
    assert command(*arguments, tmp_path / "out" / "model.json", "--resume") == 0
    assert Tokenizer.load(tmp_path / "out").card.training_data == entries


def test_a_second_decoder_is_trained_beside_the_first(undisturbed, photographs, tmp_path, capsys):
    vivid = ["--decoder", "vivid", "--set", "training.trained=decoder", "--set", "training.crops.size=32"]
    weights = ["--set", "training.adversarial_weight=0.5", "--steps", "8", "--device", "cpu"]
    assert command("train", photographs, tmp_path / "both", "--from", undisturbed, *vivid, *weights) == 0
    assert "8 steps, held-out " in " ".join(capsys.readouterr().err.split())
    before, after = load_card(undisturbed), load_card(tmp_path / "both")
    assert after.fingerprint == before.fingerprint
    assert after.decoders["faithful"] == before.decoders["faithful"]
    for decoder in ("faithful", "vivid"):
        arguments = ("--decoder", decoder, "--json", tmp_path / f"{decoder}.json")
        assert command("evaluate", tmp_path / "both", photographs, *arguments) == 0
    psnrs = [json.loads((tmp_path / f"{name}.json").read_text())["psnr"] for name in after.decoders]
    assert psnrs[0] != psnrs[1]
    # and its recipe makes it again
    again = ["--config", tmp_path / "both" / "model.json", "--decoder", "vivid", "--device", "cpu"]
    assert command("train", photographs, tmp_path / "again", "--from", undisturbed, *again) == 0
    assert load_card(tmp_path / "again").decoders == after.decoders


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "steps must be at least 1, got 0"),
        (["--set", "training.steps=many"], "TrainingConfig.steps must be of type int, got 'many'"),
        (["--set", "training.stepz=3"], "TrainingConfig has no variable 'stepz'"),
        (["--set", "model.quantizer.decays=0.5"], "EmaQuantizerConfig has no variable 'decays'"),
        (["--set", "model.encoder=3"], "AutoencoderConfig.encoder must be of type EncoderConfig, got 3"),
        (["--set", "steps=3"], "--set takes model.NAME=VALUE or training.NAME=VALUE, got 'steps=3'"),
        (["--set", "training.crops.size=18"], "training.crops.size must be a multiple of 4, got 18"),
        (["--set", "training.learning_rate=1e30"], "step 2 is not finite, its loss is "),
        (["--decoder", "vivid"], "a decoder other than faithful needs training.trained=decoder"),
        (["--decoder", "../vivid"], "decoder must match "),
        (["--set", "training.adversarial_weight=1"], "adversarial_weight needs trained=decoder, got all"),
        (["--config", "nowhere.json"], "nowhere.json is no recipe with `model` and `training`"),
        (["--data-card", "nowhere.json"], "nowhere.json is no data card"),
        (["--device", "abacus"], "abacus"),
        (["--name", "my model"], "model must match"),
        (["--checkpoint-every", "0"], "checkpoint-every"),
    ],
)
def test_a_mistake_is_one_line(photographs, tmp_path, capsys, arguments, message):
    assert command("train", photographs, tmp_path / "out", *TINY, *arguments) == 2
    terminal = capsys.readouterr()
    lines = [line for line in terminal.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in terminal.err + terminal.out


def test_a_folder_that_is_not_there_is_one_line(tmp_path, capsys):
    assert command("train", tmp_path / "nowhere", tmp_path / "out") == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'nowhere'} does not exist\n"


def test_a_variable_is_set_as_json_or_else_as_text():
    recipe = {"model": {"encoder": {"blocks": [1]}}, "training": {"loss": "l2", "crops": {"size": 128}}}
    assign(recipe, "model.encoder.blocks=[2, 3]")
    assign(recipe, "training.loss=l1")
    assign(recipe, "training.crops.size=64")
    assign(recipe, "training.seed=7")
    assert recipe == {
        "model": {"encoder": {"blocks": [2, 3]}},
        "training": {"loss": "l1", "crops": {"size": 64}, "seed": 7},
    }


@pytest.mark.parametrize(
    "assignment", ["training.cropz.size=3", "training.loss.size=3", "model.encoder.widths.0=3"]
)
def test_a_variable_of_nothing_is_rejected_by_name(assignment):
    recipe = {"model": {"encoder": {"widths": [1]}}, "training": {"loss": "l2", "crops": {"size": 128}}}
    with pytest.raises(ConfigError, match=rf"--set {assignment}: there is no '{assignment.split('.')[-2]}'"):
        assign(recipe, assignment)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"model": {}}', '{"model": 3, "training": {}}', '{"recipe": 3}']
)
def test_what_is_no_recipe_is_rejected(tmp_path, text):
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(ConfigError, match=r"recipe\.json is no recipe"):
        read_recipe(tmp_path / "recipe.json")


@pytest.mark.parametrize("text", ["", "3", "[3]", "{}", '{"training_data": 3}'])
def test_what_is_no_data_card_is_rejected(photographs, tmp_path, capsys, text):
    (tmp_path / "card.json").write_text(text)
    assert command("train", photographs, tmp_path / "out", "--data-card", tmp_path / "card.json") == 2
    assert "card.json is no data card" in capsys.readouterr().err
