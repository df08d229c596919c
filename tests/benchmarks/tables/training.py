"""Training: what `vqvae train` does in a second, beside a plain loop over the same model.

The plain loop is what one would write in an hour: the same network, quantizer, precision and crops, a mean
squared error and AdamW, on one batch that is at hand. `vqvae train` does more in a step: Muon, a root loss,
clipped gradients, counts of codes, moving averages; and it cuts its crops meanwhile.
"""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.nn.functional as F
from contenders import Contender, Work
from figures import Row, Spread, Table
from machine import machine
from paired import paired
from siege import photograph

from service.settings import usable_cpus
from tables.in_process import JPEG, QUALITY
from vqvae.checkpoint import load_model
from vqvae.pixels import encode_image
from vqvae.quantizers import flatten
from vqvae.sources import open_source
from vqvae.training.data import CropConfig, Crops, Photographs
from vqvae.training.trainer import Trainer, TrainingConfig, has_bfloat16, to_images

logger = logging.getLogger("benchmarks")

MODEL = "photo-f8"
CPU = torch.device("cpu")
CACHE_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured."""

    num_photographs: int
    width: int  # of a photograph, 4:3
    batch_size: int
    crop_size: int
    round_s: float


FULL = Sizes(num_photographs=24, width=1600, batch_size=16, crop_size=128, round_s=10)
QUICK = Sizes(num_photographs=2, width=160, batch_size=1, crop_size=64, round_s=0.05)


def training(num_rounds: int, *, quick: bool) -> Table:
    """Steps per second over a plain loop of the same model; the share of data loading."""
    sizes = QUICK if quick else FULL
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        _draw_photographs(folder, sizes)
        trainer, plain = (
            stack.enter_context(Contender(make, folder, sizes, threads=usable_cpus()))
            for make in (trained, plainly)
        )
        timers = {
            "loaded": trainer.timer("loaded", sizes.round_s),
            "at hand": trainer.timer("at hand", sizes.round_s),
            "plain": plain.timer("step", sizes.round_s),
        }
        logger.info("steps")
        seconds = {way: Spread.of(values) for way, values in paired(timers, num_rounds).items()}
    per_s = {way: values.map(lambda second: 1 / second) for way, values in seconds.items()}
    loading = seconds["loaded"].minus(seconds["at hand"])
    rows = (
        Row(
            ("steps a second: vqvae train, the plain loop, their ratio",),
            (per_s["loaded"], per_s["plain"], per_s["loaded"].over(per_s["plain"])),
        ),
        Row(
            ("the same with a batch at hand for both",),
            (per_s["at hand"], per_s["plain"], per_s["at hand"].over(per_s["plain"])),
        ),
        Row(
            ("ms a step: vqvae train, data loading, its share in %",),
            (seconds["loaded"].times(1000), loading.times(1000), loading.over(seconds["loaded"]).times(100)),
        ),
    )
    precision = "bfloat16" if has_bfloat16(CPU) else "float32"
    notes = (
        f"A step of {sizes.batch_size} crops of {sizes.crop_size}x{sizes.crop_size} pixels with the "
        f"configuration of {MODEL}, encoder, quantizer and decoder, in the precision that training chooses "
        f"here ({precision}), {usable_cpus()} threads. The plain loop has the same network, quantizer and "
        "precision, mean squared error and AdamW, and one batch. Crops are cut from drawn photographs that "
        "are decoded once, as in a run that is longer than an epoch, by threads beside the training; a "
        "round begins with three batches ready.",
        machine(),
    )
    return Table("training", ("what",), ("the first", "the second", "compared"), rows, notes)


def trained(folder: Path, sizes: Sizes) -> Mapping[str, Work]:
    """Steps of `vqvae train`: on crops as they come (`loaded`), on one batch again and again (`at hand`)."""
    config = _config(sizes)
    crops = _crops(folder, config)
    model = load_model(MODEL)
    trainer = Trainer(model.card.config(), config, crops, CPU, model)
    batches = crops.batches(0)
    batch = next(batches)
    return {
        "loaded": lambda: trainer.train_step_(next(batches)),
        "at hand": lambda: trainer.train_step_(batch),
    }


def plainly(folder: Path, sizes: Sizes) -> Mapping[str, Work]:
    """The work `step` of the plain loop."""
    config = _config(sizes)
    loaded = load_model(MODEL)
    trainer = Trainer(loaded.card.config(), config, _crops(folder, config), CPU, loaded)
    model = trainer.model
    images = to_images(next(trainer.crops.batches(0)), CPU)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with trainer.autocast():
            out = model(images)
        quantized = out.quantized
        loss = F.mse_loss(out.x_hat.float(), images) + quantized.codebook_loss + quantized.commitment_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.quantizer.update_(flatten(out.z_e.detach()), quantized.codes.flatten())

    return {"step": step}


def _config(sizes: Sizes) -> TrainingConfig:
    crops = CropConfig(size=sizes.crop_size)
    return TrainingConfig(batch_size=sizes.batch_size, large_crops=0, crops=crops)


def _crops(folder: Path, config: TrainingConfig) -> Crops:
    source = open_source(folder)
    photographs = Photographs(source, CACHE_BYTES)
    for key in source.keys:
        photographs.get(key)
    return Crops(photographs, source.keys, config.crops, config.batch_shape, config.seed)


def _draw_photographs(folder: Path, sizes: Sizes) -> None:
    rng = np.random.default_rng(0)
    for i in range(sizes.num_photographs):
        rgb = photograph(rng, 3 * sizes.width // 4, sizes.width)
        (folder / f"{i}.jpg").write_bytes(encode_image(rgb, JPEG, QUALITY))
