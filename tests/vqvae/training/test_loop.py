"""Runs on disk, 60 tiny steps each: warm-up to step 15, then 16 codes at f = 4."""

import io
import json
import os
import shutil
import signal
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from vqvae import Tokenizer
from vqvae.checkpoint import load_card, load_model
from vqvae.errors import CodesError, ConfigError, DataError, ModelError
from vqvae.model import AutoencoderConfig, DecoderConfig, EncoderConfig
from vqvae.pixels import encode_image
from vqvae.quantizers import EmaQuantizerConfig, VectorQuantizerConfig
from vqvae.training import Sitting, TrainingConfig, loop, train
from vqvae.training.data import CropConfig
from vqvae.training.trainer import Trainer

SHAPE = {"patch": 2, "widths": (6, 8), "blocks": (1, 0)}
EMA = EmaQuantizerConfig(codebook_size=16, codebook_dim=3)
WEIGHTS = "model.safetensors"


def run(
    photographs,
    out,
    *,
    quantizer=EMA,
    shape=SHAPE,
    name="small",
    sitting=None,
    size=16,
    start=None,
    **config,
):
    """Train, and return what the terminal saw."""
    settings = {"steps": 60, "batch_size": 2, "warmup": 0.25, "window": 5, "precision": "float32"} | config
    console = Console(file=io.StringIO(), width=1000)
    train(
        photographs,
        out,
        AutoencoderConfig(EncoderConfig(**shape), quantizer, DecoderConfig(**shape, full_width=4)),
        TrainingConfig(crops=CropConfig(size=size), **settings),
        name=name,
        device=torch.device("cpu"),
        sitting=Sitting(**{"log_every": 10, "evaluate_every": 25, "checkpoint_every": 4} | (sitting or {})),
        console=console,
        start=start,
    )
    return console.file.getvalue()


def log_of(out):
    return [json.loads(line) for line in (out / "run" / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(photographs, tmp_path_factory):
    """A finished run: its folder, and what the terminal saw."""
    out = tmp_path_factory.mktemp("undisturbed")
    terminal = run(photographs, out)
    return SimpleNamespace(out=out, terminal=terminal, weights=(out / WEIGHTS).read_bytes())


def test_a_run_writes_a_model_that_codes_images(undisturbed, photographs):
    tokenizer = Tokenizer.load(undisturbed.out)
    assert tokenizer.space.short.startswith("small@")
    assert (tokenizer.space.codebook_size, tokenizer.space.downsample_factor) == (16, 4)
    path = sorted(photographs.iterdir())[0]
    assert np.array_equal(tokenizer.reconstruct(path), tokenizer.decode(tokenizer.encode(path)))


def test_the_card_says_how_the_model_was_made(undisturbed):
    card = Tokenizer.load(undisturbed.out).card
    recipe = card.recipe
    assert recipe["steps_done"] == recipe["training"]["steps"] == 60
    assert AutoencoderConfig.from_dict(recipe["model"]).quantizer == EMA
    groups = {entry["name"]: entry["photographs"] for entry in card.training_data}
    assert set(groups) == {"boats", "cats"}
    assert sum(groups.values()) == 19  # one of the twenty was held out
    assert card.figures["held_out"].keys() == {"psnr", "usage", "perplexity", "codes", "crops", "side"}
    assert card.figures["held_out"]["crops"] == 1
    assert card.figures["held_out"]["codes"] == (256 / 4) ** 2
    assert card.figures["held_out"]["psnr"] > 10


def test_the_log_has_losses_figures_and_rate(undisturbed):
    lines = log_of(undisturbed.out)
    steps = [line["step"] for line in lines]
    assert steps == sorted(steps)
    assert {"step": 16, "event": "k-means start"} in lines
    training = {line["step"]: line for line in lines if "train/reconstruction" in line}
    assert list(training) == [10, 20, 30, 40, 50, 60]
    assert "train/commitment" not in training[10]
    keys = {"reconstruction", "codebook", "commitment", "learning_rate", "crops_per_second"}
    assert training[30].keys() >= {f"train/{key}" for key in keys}
    assert training[30]["train/window_codes"] == 5 * 2 * (16 / 4) ** 2  # a window of 5 steps
    assert 0 < training[30]["train/window_usage"] <= 1 <= training[30]["train/window_perplexity"] <= 16
    # 44 of the 54 steps after the ramp are done when step 50 begins: (1 + cos(43 / 54 of 180 degrees)) / 2
    assert training[50]["train/learning_rate"] == pytest.approx(6e-4 * (1 + np.cos(np.pi * 43 / 54)) / 2)
    held_out = {line["step"]: line for line in lines if "held_out/psnr" in line}
    assert list(held_out) == [25, 50, 60]
    assert held_out[60]["held_out/usage"] <= 1


def test_a_run_draws_pictures_and_fills_tensorboard(undisturbed):
    folder = undisturbed.out / "run"
    drawn = {path.name for path in (folder / "pictures").iterdir()}
    assert drawn == {"step-0000025.png", "step-0000050.png", "step-0000060.png"}  # the last one at the end
    assert Image.open(folder / "pictures" / "step-0000050.png").size == (
        256,
        512,
    )  # original over reconstruction
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))


def test_the_terminal_is_told_the_milestones(undisturbed):
    assert "step 15: k-means starts 16 codes" in undisturbed.terminal
    assert "step 25: held-out " in undisturbed.terminal
    assert " over 160 codes of training" in undisturbed.terminal
    assert "warm-up" not in undisturbed.terminal


def every_clock_tick_is_a_second(monkeypatch):
    clock = count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(clock)))


def stop_at(monkeypatch, step, number):
    """Send this process a signal in the middle of a step."""
    train_step_ = Trainer.train_step_

    def signalled(self, crops):
        if self.step == step:
            os.kill(os.getpid(), number)
        return train_step_(self, crops)

    monkeypatch.setattr(Trainer, "train_step_", signalled)


def test_sittings_end_where_they_may_and_never_shape_the_schedule(
    undisturbed, photographs, tmp_path, monkeypatch
):
    def sit(resume=True, **sitting):
        run(photographs, tmp_path, sitting={"resume": resume, **sitting})
        monkeypatch.undo()
        Tokenizer.load(tmp_path)  # every sitting leaves a model
        return json.loads((tmp_path / "model.json").read_text())["recipe"]["steps_done"]

    every_clock_tick_is_a_second(monkeypatch)
    assert 3 <= sit(resume=False, max_minutes=9 / 60) <= 9
    stop_at(monkeypatch, 21, signal.SIGTERM)
    assert sit() == 22  # the step is finished first
    stop_at(monkeypatch, 30, signal.SIGINT)
    assert sit() == 31
    assert sit(max_minutes=0) == 31
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert sit() == 60
    assert (tmp_path / WEIGHTS).read_bytes() == undisturbed.weights
    rates = [
        [(line["step"], line["train/learning_rate"]) for line in log_of(out) if "train/learning_rate" in line]
        for out in (tmp_path, undisturbed.out)
    ]
    assert rates[0] == rates[1]


def test_a_sitting_that_ends_in_the_warm_up_leaves_a_model_that_loads(photographs, tmp_path, monkeypatch):
    stop_at(monkeypatch, 6, signal.SIGTERM)
    terminal = run(photographs, tmp_path)
    assert "the sitting ended in the warm-up: the model gets a codebook by k-means as it stands" in terminal
    tokenizer = Tokenizer.load(tmp_path)
    grid = tokenizer.encode(sorted(photographs.iterdir())[0])
    assert len(np.unique(grid.codes)) > 4


@pytest.mark.parametrize(
    "quantizer", [VectorQuantizerConfig(codebook_size=16, codebook_dim=3), EMA], ids=["vq", "ema"]
)
def test_without_a_warm_up_the_codebook_starts_at_once(photographs, tmp_path, quantizer):
    run(photographs, tmp_path, quantizer=quantizer, warmup=0.0, steps=5)
    assert log_of(tmp_path)[0] == {"step": 1, "event": "k-means start"}
    assert Tokenizer.load(tmp_path).card.figures["held_out"]["usage"] > 0.2


def test_a_finished_run_stays_as_it_is(undisturbed, photographs, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(undisturbed.out, out)
    run(photographs, out, sitting={"resume": True})
    assert (out / WEIGHTS).read_bytes() == undisturbed.weights


def test_resuming_where_nothing_was_begun_begins(photographs, tmp_path):
    run(photographs, tmp_path, steps=3, sitting={"resume": True})
    assert Tokenizer.load(tmp_path).card.recipe["steps_done"] == 3


def test_a_run_is_not_begun_over_another(undisturbed, photographs):
    with pytest.raises(ConfigError, match="holds a run; go on with --resume, or give another folder"):
        run(photographs, undisturbed.out)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": 70}, "holds a run with training.steps 60, not 70; resume with what it began with"),
        ({"size": 32}, "holds a run with training.crops.size 16, not 32"),
        ({"seed": 1}, "holds a run with training.seed 0, not 1"),
        (
            {"shape": SHAPE | {"widths": (6, 9)}},
            r"holds a run with model.encoder.widths \[6, 8\], not \[6, 9\]",
        ),
        (
            {"quantizer": VectorQuantizerConfig(16, 3)},
            "holds a run with model.quantizer.method 'ema', not 'vq'",
        ),
    ],
)
def test_resuming_with_another_configuration_is_refused_by_name(undisturbed, photographs, changed, message):
    with pytest.raises(ConfigError, match=message):
        run(photographs, undisturbed.out, sitting={"resume": True}, **changed)


def test_resuming_with_other_photographs_is_refused(undisturbed, photographs, tmp_path):
    shutil.copytree(photographs, tmp_path / "more")
    (tmp_path / "more" / "new.png").write_bytes(encode_image(np.zeros((8, 8, 3), np.uint8)))
    with pytest.raises(
        ConfigError, match=r"holds a run with photographs '20 \(\w{12}\)', not '21 \(\w{12}\)'"
    ):
        run(tmp_path / "more", undisturbed.out, sitting={"resume": True})


def test_a_checkpoint_is_written_whole_or_not_at_all(undisturbed, photographs, tmp_path, monkeypatch):
    save = torch.save
    num_saves = count(1)

    def cut_short(state, file):
        if next(num_saves) == 8:  # at step 32
            file.write(b"half of it")
            raise OSError("No space left on device")
        save(state, file)

    monkeypatch.setattr(torch, "save", cut_short)
    with pytest.raises(OSError, match="No space left"):
        run(photographs, tmp_path)
    assert (tmp_path / "run" / "checkpoint.partial").exists()
    run(photographs, tmp_path, sitting={"resume": True})
    assert (tmp_path / WEIGHTS).read_bytes() == undisturbed.weights


@pytest.mark.parametrize("size", [0, 100, -100])
def test_a_damaged_checkpoint_is_named(undisturbed, photographs, tmp_path, size):
    out = tmp_path / "out"
    shutil.copytree(undisturbed.out, out)
    path = out / "run" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"checkpoint.pt is damaged; remove .*run to begin again"):
        run(photographs, out, sitting={"resume": True})


def test_bad_photographs_are_skipped_counted_and_named(photographs, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(photographs, folder)
    (folder / "cats__text.jpg").write_bytes(b"no photograph")
    (folder / "cats__[red]half.png").write_bytes((folder / "cats__00.png").read_bytes()[:300])
    terminal = run(folder, tmp_path / "out", steps=20)
    assert terminal.count("skipped cats__text.jpg: image must be a JPEG, PNG") == 1
    assert terminal.count("skipped cats__[red]half.png: image cannot be decoded") == 1
    assert "photographs that could not be decoded and were skipped: 2" in terminal
    Tokenizer.load(tmp_path / "out")


def test_a_held_out_photograph_that_is_bad_is_replaced(photographs, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for path in sorted(photographs.iterdir())[:4]:
        shutil.copy(path, folder)
    held_out = loop.split([path.name for path in folder.iterdir()])[1]
    (folder / held_out[0]).write_bytes(b"no photograph")
    terminal = run(folder, tmp_path / "out", steps=2)
    assert f"skipped {held_out[0]}" in terminal
    assert Tokenizer.load(tmp_path / "out").card.figures["held_out"]["crops"] == 1


def test_one_photograph_is_enough(photographs, tmp_path):
    (tmp_path / "one").mkdir()
    shutil.copy(photographs / "cats__00.png", tmp_path / "one")
    run(tmp_path / "one", tmp_path / "out", steps=2)
    assert Tokenizer.load(tmp_path / "out").card.figures["held_out"]["crops"] == 1


def test_a_folder_without_photographs_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        run(tmp_path / "empty", tmp_path / "out")
    (tmp_path / "empty" / "text.png").write_bytes(b"no photograph")
    (tmp_path / "empty" / "more.png").write_bytes(b"")
    with pytest.raises(DataError, match="none of the 2 images could be decoded"):
        run(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_name_that_codes_cannot_carry_is_refused_at_once(photographs, tmp_path):
    with pytest.raises(CodesError, match="model must match"):
        run(photographs, tmp_path / "out", name="my model")
    assert not (tmp_path / "out").exists()


def test_a_crop_must_be_whole_cells(photographs, tmp_path):
    with pytest.raises(ConfigError, match=r"training\.crops\.size must be a multiple of 4, got 18"):
        run(photographs, tmp_path / "out", size=18)


def test_the_downsample_factor_need_not_be_a_power_of_two(photographs, tmp_path):
    run(photographs, tmp_path, shape={"patch": 3, "widths": (4,), "blocks": (0,)}, size=15, steps=4)
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.space.downsample_factor == 3
    assert tokenizer.card.figures["held_out"]["side"] == 255


def test_a_collapsed_codebook_is_told_with_its_remedies(tmp_path):
    # Flat grey leaves the encoder nothing but the border to tell positions apart: in a crop of 4 x 4 cells
    # there are at most 16 different latents for 256 codes. The first window is steps 5 to 36.
    folder = tmp_path / "grey"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.png").write_bytes(encode_image(np.full((60, 60, 3), 128, np.uint8)))
    terminal = run(
        folder,
        tmp_path / "out",
        quantizer=EmaQuantizerConfig(codebook_size=256, codebook_dim=3),
        steps=40,
        warmup=0.1,
        window=32,
        sitting={"evaluate_every": 18},
    )
    assert terminal.count("warning: the codebook has collapsed: ") == 1
    warnings = [line["event"] for line in log_of(tmp_path / "out") if "collapsed" in line.get("event", "")]
    assert len(warnings) == 1
    for remedy in ("training.warmup", "codebook_dim", "dead_code_threshold", "training.learning_rate"):
        assert remedy in warnings[0]


def test_a_healthy_codebook_brings_no_warning(undisturbed):
    assert "collapsed" not in undisturbed.terminal
    assert not any("collapsed" in line.get("event", "") for line in log_of(undisturbed.out))


def test_a_run_of_the_decoder_alone_keeps_the_code_space(undisturbed, photographs, tmp_path):
    terminal = run(photographs, tmp_path, start=load_model(undisturbed.out), trained="decoder", steps=6)
    assert "k-means" not in terminal
    before, after = load_card(undisturbed.out), load_card(tmp_path)
    assert after.fingerprint == before.fingerprint
    assert after.decoders["faithful"].digest != before.decoders["faithful"].digest
    assert after.recipe["from"]["fingerprint"] == before.fingerprint
    assert after.recipe["from"]["training"] == before.recipe["training"]


def test_a_run_may_go_on_with_all_of_a_finished_model(undisturbed, photographs, tmp_path):
    terminal = run(photographs, tmp_path, start=load_model(undisturbed.out), steps=6)
    assert "k-means" not in terminal
    assert load_card(tmp_path).fingerprint != load_card(undisturbed.out).fingerprint


def test_a_run_from_a_model_is_resumed_from_that_model_only(undisturbed, photographs, tmp_path):
    stopped = {"sitting": {"max_minutes": 0}, "trained": "decoder", "steps": 6}
    run(photographs, tmp_path, start=load_model(undisturbed.out), **stopped)
    stopped["sitting"] |= {"resume": True}
    other = load_model(undisturbed.out)
    other = replace(other, card=replace(other.card, fingerprint="0" * 64))
    with pytest.raises(ConfigError, match="the model to begin from"):
        run(photographs, tmp_path, start=other, **stopped)


def test_the_decoder_alone_cannot_be_trained_from_nothing(photographs, tmp_path):
    with pytest.raises(ConfigError, match="needs a model to begin from"):
        run(photographs, tmp_path, trained="decoder")


def test_a_model_of_another_shape_is_no_beginning(undisturbed, photographs, tmp_path):
    with pytest.raises(ConfigError, match="of another shape"):
        run(photographs, tmp_path, start=load_model(undisturbed.out), shape=SHAPE | {"widths": (6, 10)})
