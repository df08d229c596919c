"""A training run on disk: sittings, checkpoints, held-out figures, the model that comes out.

A run lives beside its model: `run/checkpoint.pt`, `run/log.jsonl`, `run/tensorboard/`, `run/pictures/`. A
sitting ends at the last step, when its minutes are over, or at SIGINT or SIGTERM, and always leaves a
checkpoint and a model that loads. Only `steps` shapes the schedule. Of several processes that train together
the first one writes all of this, and prints, while the others wait for it.

Shapes: B batch, S crop size, K codebook size.
"""

import copy
import hashlib
import math
import os
import signal
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from vqvae import metrics
from vqvae.checkpoint import FAITHFUL, ModelCard, save_model
from vqvae.code_grid import CodeSpace
from vqvae.config import require, to_dict
from vqvae.errors import ConfigError, DataError, ModelError
from vqvae.model import Autoencoder, AutoencoderConfig
from vqvae.perceptual import PerceptualDistance
from vqvae.sources import Source, group_of, open_source
from vqvae.training.data import Crops, Photographs, centre_crop, split
from vqvae.training.ranks import ALONE, Ranks
from vqvae.training.run_log import RunLog
from vqvae.training.start import Start, all_data, check_decoder, with_decoder
from vqvae.training.trainer import Trainer, TrainingConfig, to_images

HELD_OUT_CROPS, HELD_OUT_SIZE, PICTURED = 32, 256, 8
BEFORE_IT_WAS_A_VARIABLE = {  # what older runs did, so that they can be resumed
    "the decoder": FAITHFUL,
    "training.grid_weight": 0.0,
    "training.perceptual_weight": 0.0,
    "training.adversarial_weight": 0.0,
    "training.adversarial_start": 0.5,
}
COLLAPSED = 0.2  # usage over a window below which the codebook is called collapsed


@dataclass(frozen=True)
class Sitting:
    """What a sitting does beside training; none of it changes the weights."""

    max_minutes: float = math.inf
    resume: bool = False
    log_every: int = 50
    evaluate_every: int = 500
    checkpoint_every: int = 500
    cache_gib: float = 4.0  # memory for decoded photographs


def train(
    source_path: Path,
    out: Path,
    model_config: AutoencoderConfig,
    config: TrainingConfig,
    *,
    name: str,
    device: torch.device,
    sitting: Sitting,
    console: Console,
    training_data: list[dict[str, Any]] | None = None,
    start: Start | None = None,
    decoder: str = FAITHFUL,
    ranks: Ranks = ALONE,
) -> ModelCard:
    """Train on the photographs of a source until the sitting ends; returns the card of the model written.

    Raises DataError where no photograph can be decoded, ConfigError where the run in `out` is another,
    TrainingError where it diverges.

    Args:
        training_data: what the card says the photographs are, by name and licence; without it, the groups of
            the source and how many photographs each has.
        decoder: the name of the decoder that is trained. One other than the faithful is trained alone, for
            codes that there are; the other decoders of the model begun from stay beside it.
        ranks: the processes that train together, all with the same arguments; each returns the card.
    """
    check_decoder(decoder, config.trained)
    f = model_config.downsample_factor
    CodeSpace(name, "0" * 64, model_config.quantizer.codebook_size, f)  # its rules, before hours of training
    require(config.crops.size % f == 0, f"training.crops.size must be a multiple of {f}", config.crops.size)
    deadline = time.monotonic() + 60 * sitting.max_minutes
    source = open_source(source_path)
    photographs = Photographs(source, int(sitting.cache_gib * 2**30))
    training_keys, held_out_keys = split(source.keys)
    held_out = _held_out_crops(photographs, held_out_keys, HELD_OUT_SIZE // f * f)
    crops = Crops(photographs, training_keys, config.crops, config.batch_shape, config.seed, ranks.share)
    trainer = Trainer(model_config, config, crops, device, None if start is None else start.model, ranks)
    identity = _identity(source, model_config, config, start, decoder)
    run = _Run(out / "run", identity)
    run.open_(trainer, resume=sitting.resume)
    _check_alike(ranks, trainer.step, identity)
    log = RunLog(run.folder, trainer.step) if ranks.is_first else None
    named_bad: set[str] = set()
    with closing(_batches(trainer, deadline)) as batches:
        if log is None:
            for batch in batches:
                trainer.train_step_(batch)
        else:
            _train_and_tell(trainer, batches, sitting, run, log, held_out, photographs, named_bad, console)
            run.save(trainer)
    model = trainer.averaged_model if start is not None else _with_codebook(trainer, console)
    for bad in ranks.each(photographs.bad):
        photographs.bad |= bad
    card = None
    if log is not None:
        figures = _evaluate(model, held_out, device, trainer.perceptual)
        log.figures(trainer.step, "held_out", figures)
        _draw(model, held_out, device, log, trainer.step, quantize=True)
        log.close()
        _name_bad(photographs, named_bad, console)
        if photographs.bad:
            console.print(f"photographs that could not be decoded and were skipped: {len(photographs.bad)}")
        figures |= {"crops": len(held_out), "side": len(held_out[0])}
        data = training_data or _groups(training_keys)
        card = _save(out, name, model, trainer, start, decoder, data, {"held_out": figures})
    return ranks.from_first(card)


def _batches(trainer: Trainer, deadline: float) -> Generator[NDArray[np.uint8]]:
    """This rank's share of the sitting's batches; every rank's end before the same step."""
    ranks = trainer.ranks
    with closing(trainer.crops.batches(trainer.step)) as batches, _asked_to_stop(ranks) as stop:
        while trainer.step < trainer.config.steps and not ranks.any(
            bool(stop) or time.monotonic() >= deadline
        ):
            yield next(batches)


def _train_and_tell(
    trainer: Trainer,
    batches: Iterable[NDArray[np.uint8]],
    sitting: Sitting,
    run: "_Run",
    log: RunLog,
    held_out: list[NDArray[np.uint8]],
    photographs: Photographs,
    named_bad: set[str],
    console: Console,
) -> None:
    """The steps of a sitting, with what the first rank writes and says between them."""
    steps = trainer.config.steps
    figures: dict[str, float] = {}
    with _progress(console) as progress:
        task = progress.add_task("", total=steps, completed=trainer.step, note="")
        meter = _Meter()
        for batch in batches:
            if trainer.starts_codebook_next:
                log.event(trainer.step + 1, "k-means start")  # a part of this step
                console.print(f"step {trainer.step}: k-means starts {len(trainer.code_counts)} codes")
            meter.count(trainer.train_step_(batch), trainer.ranks.size * len(batch))
            step = trainer.step
            _name_bad(photographs, named_bad, console)
            if step % sitting.log_every == 0 or step == steps:
                values = meter.read() | {
                    "learning_rate": trainer.optimizers.learning_rate,
                    **_use("window_", trainer.usage_counts),
                }
                log.figures(step, "train", values)
                note = f"loss {values['reconstruction']:.4f}  {values['crops_per_second']:.1f} crops/s" + (
                    f"  held-out {figures['psnr']:.2f} dB" if figures else ""
                )
                progress.update(task, note=note)
            progress.update(task, completed=step)
            if step % sitting.evaluate_every == 0 and step < steps:
                figures = _report(trainer, held_out, log, console)
            if step % sitting.checkpoint_every == 0 and step < steps:
                run.save(trainer)


def _with_codebook(trainer: Trainer, console: Console) -> Autoencoder:
    """The model that a run from nothing has come to, in the warm-up with a codebook made for it."""
    if trainer.step > trainer.warmup_steps:
        return trainer.averaged_model
    console.print("the sitting ended in the warm-up: the model gets a codebook by k-means as it stands")
    model = copy.deepcopy(trainer.model)
    trainer.start_codebook_(model)
    return model


def _save(
    out: Path,
    name: str,
    model: Autoencoder,
    trainer: Trainer,
    start: Start | None,
    decoder: str,
    training_data: list[dict[str, Any]],
    figures: dict[str, Any],
) -> ModelCard:
    """Write the model of a run, with what it has of the model begun from."""
    recipe = {
        "model": model.config.to_dict(),
        "training": to_dict(trainer.config),
        "steps_done": trainer.step,
        "from": None if start is None else start.origin_of(decoder),
    }
    before = None if start is None else start.model.card
    kept = start.others if start is not None and trainer.config.trained == "decoder" else {}
    return save_model(
        out,
        name=name,
        encoder=model.encoder,
        quantizer=model.quantizer,
        decoders={**kept, decoder: model.decoder},
        training_data=all_data(before.training_data if before else [], training_data),
        recipe=with_decoder(before.recipe if before else {}, decoder, recipe, kept),
        figures=with_decoder(before.figures if before else {}, decoder, figures, kept),
    )


def _groups(keys: list[str]) -> list[dict[str, Any]]:
    """The groups of photographs with their sizes, for the card."""
    groups = Counter(group_of(key) for key in keys)
    return [{"name": name, "photographs": groups[name]} for name in sorted(groups)]


class _Meter:
    """Mean losses and throughput since it was last read."""

    def __init__(self) -> None:
        self._num_crops = 0
        self._steps: list[dict[str, Tensor]] = []
        self._since = time.monotonic()

    def count(self, losses: dict[str, Tensor], num_crops: int) -> None:
        """One step's losses; they stay on their device, so that nothing waits for it."""
        self._steps.append(losses)
        self._num_crops += num_crops

    def read(self) -> dict[str, float]:
        """The means, over the steps that had the loss, and crops per second."""
        names = self._steps[-1]
        means = {name: [losses[name] for losses in self._steps if name in losses] for name in names}
        figures = {name: torch.stack(values).mean().item() for name, values in means.items()}
        now = time.monotonic()
        figures["crops_per_second"] = self._num_crops / (now - self._since)
        self._steps, self._num_crops, self._since = [], 0, now
        return figures


class _Run:
    """The checkpoint of a run, and what makes it that run and no other."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder = folder
        self._identity = identity
        self._path = folder / "checkpoint.pt"

    def open_(self, trainer: Trainer, *, resume: bool) -> None:
        """Begin the run, or put a trainer where it stopped."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            return
        if not resume:
            raise ConfigError(f"{self.folder} holds a run; go on with --resume, or give another folder")
        try:
            checkpoint = torch.load(self._path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
            raise ModelError(f"{self._path} is damaged; remove {self.folder} to begin again") from error
        for key, value in self._identity.items():
            before = checkpoint["identity"].get(key, BEFORE_IT_WAS_A_VARIABLE.get(key))
            if before != value:
                raise ConfigError(
                    f"{self.folder} holds a run with {key} {before!r}, not {value!r}; "
                    "resume with what it began with, or give another folder"
                )
        trainer.load_state_dict(checkpoint["trainer"])

    def save(self, trainer: Trainer) -> None:
        """Write the checkpoint, whole or not at all."""
        temporary = self._path.with_suffix(".partial")
        with temporary.open("wb") as file:
            torch.save({"identity": self._identity, "trainer": trainer.state_dict()}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)


def _identity(
    source: Source,
    model_config: AutoencoderConfig,
    config: TrainingConfig,
    start: Start | None,
    decoder: str,
) -> dict[str, Any]:
    """What shapes the weights, as flat names and plain values."""
    keys = hashlib.sha256("\n".join(source.keys).encode()).hexdigest()
    return {
        "photographs": f"{len(source.keys)} ({keys[:12]})",
        "the model to begin from": start and f"{start.model.card.space.short}, {start.digest}",
        "the decoder": decoder,
        **_flat("model", model_config.to_dict()),
        **_flat("training", to_dict(config)),
    }


def _check_alike(ranks: Ranks, step: int, identity: dict[str, Any]) -> None:
    """ConfigError on every rank unless all are about to do the same: their machines may see other files."""
    first, *others = ranks.each({"step": step, **identity})
    for rank, other in enumerate(others, start=1):
        for name, value in first.items():
            if other[name] != value:
                raise ConfigError(
                    f"all processes must do the same, but process {rank} is at {name} {other[name]!r} and "
                    f"the first at {value!r}; give all the same photographs, and an OUT that all see"
                )


def _flat(name: str, value: Any) -> dict[str, Any]:
    """Nested variables by their dotted names."""
    if isinstance(value, dict):
        return {key: leaf for k, v in value.items() for key, leaf in _flat(f"{name}.{k}", v).items()}
    return {name: list(value) if isinstance(value, tuple) else value}


def _held_out_crops(photographs: Photographs, keys: list[str], size: int) -> list[NDArray[np.uint8]]:
    """The centres of held-out photographs; where there is none to be had, of the first photograph."""
    crops: list[NDArray[np.uint8]] = []
    for key in keys or photographs.source.keys:
        rgb = photographs.get(key)
        if rgb is not None:
            crops.append(centre_crop(rgb, size))
        if len(crops) == HELD_OUT_CROPS:
            break
    if not crops and keys:
        return _held_out_crops(photographs, [], size)[:1]
    if not crops:
        raise DataError(f"none of the {len(photographs.source.keys)} images could be decoded")
    return crops


@torch.no_grad()
def _reconstruct(
    model: Autoencoder, crops: list[NDArray[np.uint8]], device: torch.device, *, quantize: bool
) -> tuple[list[NDArray[np.uint8]], Tensor]:
    """Reconstructions of crops, one at a time, and how often each code was used (K,)."""
    model.eval()
    rebuilt, counts = [], torch.zeros(model.config.quantizer.codebook_size, dtype=torch.int64, device=device)
    for crop in crops:
        out = model(to_images(crop[None], device), quantize=quantize)
        pixels = out.x_hat[0].permute(1, 2, 0).add(1).mul(127.5).round().clamp(0, 255)
        rebuilt.append(pixels.to("cpu", torch.uint8).numpy())
        if out.quantized is not None:
            counts += torch.bincount(out.quantized.codes.flatten(), minlength=len(counts))
    model.train()
    return rebuilt, counts


def _evaluate(
    model: Autoencoder,
    crops: list[NDArray[np.uint8]],
    device: torch.device,
    perceptual: PerceptualDistance | None,
    *,
    quantize: bool = True,
) -> dict[str, float]:
    """Mean PSNR and perceptual distance over held-out crops, and use of the codebook over their codes."""
    rebuilt, counts = _reconstruct(model, crops, device, quantize=quantize)
    psnrs = [metrics.psnr(a, b) for a, b in zip(crops, rebuilt, strict=True)]
    finite = [psnr for psnr in psnrs if psnr is not None]
    figures = {"psnr": sum(finite) / max(1, len(finite)), **_use("", counts)}
    if perceptual is not None:
        with torch.no_grad():
            distances = [
                perceptual(to_images(a[None], device), to_images(b[None], device)).item()
                for a, b in zip(crops, rebuilt, strict=True)
            ]
        figures["perceptual_distance"] = sum(distances) / len(distances)
    return figures


def _use(prefix: str, counts: Tensor) -> dict[str, float]:
    """Usage and perplexity of code counts (K,), with the size of the sample; nothing where it is empty."""
    if not int(counts.sum()):
        return {}
    array = counts.cpu().numpy()
    return {
        f"{prefix}usage": metrics.usage(array),
        f"{prefix}perplexity": metrics.perplexity(array),
        f"{prefix}codes": float(array.sum()),
    }


def _report(
    trainer: Trainer, held_out: list[NDArray[np.uint8]], log: RunLog, console: Console
) -> dict[str, float]:
    """Held-out figures and a picture, to the log and the terminal; a warning where the codebook collapsed."""
    quantize = trainer.step > trainer.warmup_steps
    model = trainer.averaged_model
    figures = _evaluate(model, held_out, trainer.device, trainer.perceptual, quantize=quantize)
    log.figures(trainer.step, "held_out", figures)
    _draw(model, held_out, trainer.device, log, trainer.step, quantize=quantize)
    line = f"step {trainer.step}: held-out {figures['psnr']:.2f} dB"
    if "perceptual_distance" in figures:
        line += f", perceptual distance {figures['perceptual_distance']:.3f}"
    window = _use("", trainer.usage_counts)
    if window:
        line += f", usage {window['usage']:.1%}, perplexity {window['perplexity']:.0f}"
        line += f" over {window['codes']:.0f} codes of training"
    console.print(line, highlight=False)
    if window and window["codes"] >= 4 * len(trainer.usage_counts) and window["usage"] < COLLAPSED:
        warning = (
            f"the codebook has collapsed: {window['usage']:.1%} of its codes are in use. Remedies: a longer "
            "warm-up (training.warmup), a smaller model.quantizer.codebook_dim or codebook_size, a higher "
            "model.quantizer.dead_code_threshold, a lower training.learning_rate, or the EMA quantizer"
        )
        log.event(trainer.step, warning)
        console.print(f"[bold yellow]warning:[/] {warning}", highlight=False)
    return figures


def _draw(
    model: Autoencoder,
    crops: list[NDArray[np.uint8]],
    device: torch.device,
    log: RunLog,
    step: int,
    *,
    quantize: bool,
) -> None:
    """The first held-out crops above their reconstructions, to the log."""
    pictured = crops[:PICTURED]
    log.picture(step, pictured, _reconstruct(model, pictured, device, quantize=quantize)[0])


def _name_bad(photographs: Photographs, named: set[str], console: Console) -> None:
    """Tell which photographs were found to be bad since the last time."""
    for key in sorted(set(photographs.bad) - named):
        named.add(key)
        console.print(f"skipped {key}: {photographs.bad[key]}", markup=False, highlight=False)


@contextmanager
def _asked_to_stop(ranks: Ranks) -> Iterator[list[int]]:
    """A list that SIGINT and SIGTERM put themselves into, so that a step is finished first."""
    received: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _: received.append(number)) for number in signals]
    try:
        yield received
    finally:
        # torchrun repeats to its processes what the terminal has told them; the model is still to be written
        if ranks.size == 1 or not received:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)


def _progress(console: Console) -> Progress:
    return Progress(
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
    )
