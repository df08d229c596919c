"""Two processes with half of each batch each, held to one process with the whole batch; f = 4 throughout.

This file is also the program of the two: `torchrun --nproc-per-node 2 test_ranks.py FOLDER`.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from rich.console import Console

from vqvae.checkpoint import load_card, load_model
from vqvae.errors import ConfigError, TrainingError
from vqvae.model import AutoencoderConfig, DecoderConfig, EncoderConfig, blocks
from vqvae.pixels import encode_image
from vqvae.quantizers import EmaQuantizerConfig, SimVectorQuantizerConfig, VectorQuantizerConfig
from vqvae.training import Sitting, TrainingConfig, train
from vqvae.training.data import CropConfig, Crops, Photographs
from vqvae.training.ranks import ALONE, Ranks, own_device, together
from vqvae.training.trainer import Trainer

CPU = torch.device("cpu")
WIDE = {"patch": 2, "widths": (32, 36), "blocks": (1, 0)}  # wide enough for Muon
NARROW = {"patch": 2, "widths": (6, 8), "blocks": (1, 0)}
SIZES = {"codebook_size": 8, "codebook_dim": 3, "dead_code_threshold": 0.9}  # so high that some die
# k-means starts the codebook in step 7, windows end after 10, 14 and 18, large crops begin with step 17
SCHEDULE = {"steps": 20, "batch_size": 8, "warmup": 0.3, "window": 4, "settled": 0.1, "precision": "float32"}
CASES = {
    "ema": (EmaQuantizerConfig(**SIZES), WIDE, {"flat_weight": 0.5, "clip": 0.1}),
    "vq": (VectorQuantizerConfig(**SIZES), NARROW, {"optimizer": "adamw", "ms_ssim_weight": 0.5}),
    "simvq": (SimVectorQuantizerConfig(**SIZES), WIDE, {"flat_weight": 0.5, "loss": "charbonnier"}),
    "adversary": (
        EmaQuantizerConfig(**SIZES),
        NARROW,
        {"trained": "decoder", "flat_weight": 0.5, "adversarial_weight": 0.5, "adversarial_start": 0.1},
    ),
}
LOOKED_AT = (1, 7, 10, 18)  # steps done: the first, the start of the codebook, a restart, and all


class Picture:
    """A source of one photograph: smooth colours with noise on them."""

    keys = ("photo.png",)

    def read(self, key):
        y, x = np.mgrid[0:80, 0:90]
        noise = np.random.default_rng(0).integers(0, 60, (80, 90))
        return encode_image(
            np.stack([2 * x + noise, 3 * y, 2 * x + y], axis=-1).clip(0, 255).astype(np.uint8)
        )


def trainer(case, ranks, start=None, **changed):
    """A trainer on this rank's share of the crops."""
    quantizer, shape, settings = CASES[case]
    size = 32 if "adversarial_weight" in settings else 16
    config = TrainingConfig(crops=CropConfig(size=size, rendered=0), **SCHEDULE | settings | changed)
    photographs = Photographs(Picture(), 2**20)
    crops = Crops(photographs, Picture.keys, config.crops, config.batch_shape, config.seed, ranks.share)
    model_config = AutoencoderConfig(EncoderConfig(**shape), quantizer, DecoderConfig(**shape, full_width=4))
    return Trainer(model_config, config, crops, CPU, start, ranks)


def tensors_of(state, name=""):
    """Copies of the tensors in nested dicts and lists, by dotted names."""
    if isinstance(state, torch.Tensor):
        return {name: state.detach().clone()}
    if isinstance(state, dict | list | tuple):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        return {k: v for key, value in items for k, v in tensors_of(value, f"{name}.{key}").items()}
    return {}


def states_of(case, ranks, folder):
    """All that the next step depends on and the losses of the last, after each of the steps looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "ONEDNN", False)  # it has no float64
        torch.set_default_dtype(torch.float64)
        try:
            start = load_model(folder / "finished") if case == "adversary" else None
            run, states = trainer(case, ranks, start), {}
            with closing(run.crops.batches(0)) as batches:
                while run.step < LOOKED_AT[-1]:
                    losses = run.train_step_(next(batches))
                    if run.step in LOOKED_AT:
                        states[run.step] = tensors_of({**run.state_dict(), "losses": losses})
            return states
        finally:
            torch.set_default_dtype(torch.float32)


def run(folder, out, ranks, *, resume=False, steps=20):
    """Train on disk; returns the card and what the terminal saw."""
    console = Console(file=io.StringIO(), width=1000, quiet=not ranks.is_first)
    config = SCHEDULE | {"steps": steps}
    card = train(
        folder / "photographs",
        folder / out,
        AutoencoderConfig(EncoderConfig(**NARROW), CASES["ema"][0], DecoderConfig(**NARROW, full_width=4)),
        TrainingConfig(crops=CropConfig(size=16, rendered=0), **config),
        name="small",
        device=CPU,
        sitting=Sitting(resume=resume, log_every=5, evaluate_every=10, checkpoint_every=5),
        console=console,
        ranks=ranks,
    )
    return card, console.file.getvalue()


def at_step(patch, step, act):
    """Do something in the middle of a step."""
    train_step_ = Trainer.train_step_

    def disturbed(self, crops):
        if self.step == step:
            act(self)
        return train_step_(self, crops)

    patch.setattr(Trainer, "train_step_", disturbed)


def program(folder):
    """What each of the two processes does; what it has to say is in files of its own."""
    with together(own_device(CPU)) as ranks:
        mine = folder / str(ranks.rank)
        mine.mkdir()
        for case in CASES:
            torch.save(states_of(case, ranks, folder), mine / f"{case}.pt")

        said = {"ranks": [ranks.rank, ranks.size]}
        said["undisturbed"] = run(folder, "undisturbed", ranks)[1]
        with pytest.MonkeyPatch.context() as patch:
            if ranks.rank == 1:
                at_step(patch, 7, lambda _: os.kill(os.getpid(), signal.SIGTERM))
            card, said["stopped"] = run(folder, "stopped", ranks)
        said["stopped after"] = card.recipe["steps_done"]
        ranks.each(None)  # nobody goes on before all have read what is to be copied
        if ranks.is_first:
            shutil.copytree(folder / "stopped", folder / "stopped-copy")
        ranks.each(None)
        card, said["resumed"] = run(folder, "stopped", ranks, resume=True)
        said["fingerprint"] = card.fingerprint

        (mine / "photographs").symlink_to(folder / "photographs")  # as machines that see folders of their own
        if ranks.is_first:
            shutil.copytree(folder / "stopped", mine / "apart")
        with pytest.raises(ConfigError) as apart:
            run(mine, "apart", ranks, resume=True)
        said["apart"] = str(apart.value)

        diverging = trainer("vq", ranks)
        with torch.no_grad():
            if ranks.rank == 1:
                diverging.model.decoder.head[-1].bias.fill_(1e30)  # whose square is beyond float32
        with pytest.raises(TrainingError) as divergence, closing(diverging.crops.batches(0)) as batches:
            diverging.train_step_(next(batches))
        said["divergence"] = [str(divergence.value), diverging.step]
        (mine / "said.json").write_text(json.dumps(said))

        # the last of it: one dies, and the other ends by itself, before torchrun would end it
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with pytest.MonkeyPatch.context() as patch:
            if ranks.rank == 1:
                at_step(patch, 3, lambda _: os._exit(3))
            try:
                run(folder, "dying", ranks)
            except RuntimeError as error:
                (mine / "left-alone.txt").write_text(str(error))
                raise


def torchrun(*arguments):
    """Two processes of a program; returns how they ended."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=570, check=False
    )


@pytest.fixture(scope="module")
def folder(photographs, tmp_path_factory):
    """What the two processes read, and one in which they leave what they say."""
    folder = tmp_path_factory.mktemp("ranks")
    shutil.copytree(photographs, folder / "photographs")
    (folder / "photographs" / "boats__bad.png").write_bytes(b"no photograph")
    run(folder, "finished", ALONE, steps=10)
    return folder


@pytest.fixture(scope="module")
def ended(folder):
    """How the two processes ended."""
    return torchrun(__file__, folder)


@pytest.fixture(scope="module")
def said(ended, folder):
    """What each of the two processes has to say."""
    paths = [folder / str(rank) / "said.json" for rank in range(2)]
    assert all(path.exists() for path in paths), ended.stderr
    return [json.loads(path.read_text()) for path in paths]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_with_half_the_batch_each_make_the_steps_of_one(said, folder, case):
    whole = states_of(case, ALONE, folder)
    halves = [torch.load(folder / str(rank) / f"{case}.pt", weights_only=True) for rank in range(2)]
    torch.testing.assert_close(halves[0], halves[1], rtol=0, atol=0)
    torch.testing.assert_close(halves[0], whole, rtol=1e-9, atol=1e-12)


def test_the_steps_compared_have_all_that_depends_on_the_batch(said, folder):
    states = torch.load(folder / "0" / "ema.pt", weights_only=True)
    assert states[1][".model.decoder.stem.weight"].dtype == torch.float64
    assert states[7].keys() >= {f".losses.{name}" for name in ("reconstruction", "commitment", "flat")}
    latents = 8 * 4 * 4 + 64  # of the crops of the whole batch, and of the flat images
    assert states[7][".code_counts"].sum() == latents
    assert (states[10][".usage_counts"] < 0.9 * 4 * latents / 8).any()  # codes that were dead, and restarted
    assert states[1].keys() >= {".optimizers.0.state.0.exp_avg", ".optimizers.1.state.0.momentum_buffer"}
    adversary = torch.load(folder / "0" / "adversary.pt", weights_only=True)
    assert adversary[10].keys() >= {f".losses.{name}" for name in ("flat", "adversarial", "discriminator")}


def test_a_signal_to_one_process_stops_both_after_the_same_step(said):
    assert [each["stopped after"] for each in said] == [8, 8]


def test_a_stopped_run_ends_as_an_undisturbed_one(said, folder):
    weights = [(folder / out / "model.safetensors").read_bytes() for out in ("undisturbed", "stopped")]
    assert weights[0] == weights[1]
    assert {each["fingerprint"] for each in said} == {load_card(folder / "stopped").fingerprint}


def test_a_run_may_be_resumed_by_another_number_of_processes(said, folder):
    card, _ = run(folder, "stopped-copy", ALONE, resume=True)
    assert card.recipe["steps_done"] == 20
    figures = [card.figures["held_out"]["psnr"] for card in (card, load_card(folder / "undisturbed"))]
    assert figures[0] == pytest.approx(figures[1], rel=0.02)


def test_processes_that_are_not_at_the_same_step_are_refused(said):
    assert said[0]["apart"] == said[1]["apart"]
    assert "process 1 is at step 0 and the first at 20" in said[0]["apart"]


def test_the_first_process_alone_writes_and_prints(said, folder):
    assert [each["ranks"] for each in said] == [[0, 2], [1, 2]]
    assert {said[1][sitting] for sitting in ("undisturbed", "stopped", "resumed")} == {""}
    assert "step 10: held-out " in said[0]["undisturbed"]
    lines = (folder / "stopped" / "run" / "log.jsonl").read_text().splitlines()
    steps = [line["step"] for line in map(json.loads, lines) if "train/reconstruction" in line]
    assert steps == [5, 10, 15, 20]


def test_what_any_process_skipped_is_told(said):
    assert said[0]["undisturbed"].count("skipped boats__bad.png: ") == 1
    assert "photographs that could not be decoded and were skipped: 1" in said[0]["undisturbed"]


def test_divergence_on_one_process_ends_both_with_the_same_error(said):
    assert said[0]["divergence"] == said[1]["divergence"]
    assert said[0]["divergence"][0].startswith("step 1 is not finite, its loss is ")
    assert said[0]["divergence"][1] == 0


def test_a_process_that_dies_ends_the_other(said, ended, folder):
    assert ended.returncode != 0
    assert (folder / "0" / "left-alone.txt").exists(), ended.stderr
    assert not (folder / "dying" / "model.json").exists()


@pytest.mark.parametrize(
    ("variables", "size", "message"),
    [
        (
            {"batch_size": 9},
            2,
            r"training\.batch_size must be a multiple of 2, the number .*got 9",
        ),
        ({"batch_size": 4}, 2, r"and so must a quarter of it where training\.large_crops is not 0, got 4"),
        ({"batch_size": 6, "large_crops": 0.0}, 4, "must be a multiple of 4, the number of processes"),
        (
            {"batch_size": 12, "flat_weight": 0.5},
            3,
            r"training\.flat_weight needs a number of processes that divides 64, got 3",
        ),
    ],
)
def test_a_batch_that_cannot_be_shared_out_equally_is_refused_by_name(variables, size, message):
    with pytest.raises(ConfigError, match=message):
        trainer("ema", Ranks(size, 0), **{"flat_weight": 0.0} | variables)


def test_without_large_crops_their_batch_does_not_matter():
    TrainingConfig(batch_size=4, large_crops=0.0).check_shares(4)


def test_the_shares_of_all_ranks_are_the_whole():
    shares = [list(Ranks(4, rank).share(8)) for rank in range(4)]
    assert shares == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_without_torchrun_a_process_is_alone():
    with together(CPU) as ranks:
        assert ranks == ALONE
    assert own_device(torch.device("meta")) == torch.device("meta")


def test_each_process_has_its_own_gpu(monkeypatch):
    monkeypatch.setattr(dist, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(dist, "get_node_local_rank", lambda: 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert own_device(torch.device("cuda")) == torch.device("cuda", 1)
    assert own_device(CPU) == CPU
    with pytest.raises(ConfigError, match="several processes train on cpu or cuda, got mps"):
        own_device(torch.device("mps"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="one process for each of the 1 GPUs here, got process 2"):
        own_device(torch.device("cuda"))


def test_torchrun_trains_from_the_command_line_and_resumes(photographs, tmp_path):
    variables = (
        *("model.encoder.patch=2", "model.encoder.widths=[6,8]", "model.encoder.blocks=[1,0]"),
        *("model.decoder.patch=2", "model.decoder.widths=[6,8]", "model.decoder.blocks=[1,0]"),
        *("model.quantizer.codebook_size=16", "model.quantizer.codebook_dim=3", "training.batch_size=8"),
        *("training.crops.size=16", "training.warmup=0.25"),
    )
    settings = [word for variable in variables for word in ("--set", variable)]
    command = [
        "-m",
        "vqvae",
        "train",
        photographs,
        tmp_path / "out",
        "--steps",
        8,
        "--device",
        "cpu",
        *settings,
    ]
    stopped = torchrun(*command, "--max-minutes", 0)
    assert stopped.returncode == 0, stopped.stderr
    assert load_card(tmp_path / "out").recipe["steps_done"] == 0
    resumed = torchrun(*command, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert load_card(tmp_path / "out").recipe["steps_done"] == 8
    said = " ".join(resumed.stderr.split())  # where the terminal folds lines depends on the folder's name
    assert said.count(": 8 steps, held-out ") == 1


if __name__ == "__main__":
    program(Path(sys.argv[1]))
