"""`vqvae train`: photographs in, a model directory out."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from vqvae.cli.completion import model_names
from vqvae.cli.options import Device
from vqvae.errors import ConfigError


def train(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of images, .tar shards or Parquet files; a .tar, a .parquet, or a .txt list.",
        ),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder for the model; its run lives in OUT/run.")
    ],
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Length of the schedule; the same as training.steps.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A recipe: JSON with `model` and `training`, such as a model.json's."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="One variable, e.g. `--set model.quantizer.codebook_size=1024`; repeatable.",
        ),
    ] = None,
    data_card: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON list of what SOURCE is, by name and licence, for the model's card; or a model.json.",
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME|FOLDER",
            help="Begin from this model, without warm-up.",
            autocompletion=model_names,
        ),
    ] = None,
    decoder: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The decoder to train. A new one begins as the faithful. With training.trained=decoder the "
            "others of --from stay.",
        ),
    ] = "faithful",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run in OUT stopped, exactly.")
    ] = False,
    max_minutes: Annotated[
        float, typer.Option(metavar="MINUTES", help="End this sitting with a checkpoint; the schedule stays.")
    ] = math.inf,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model's name; OUT's own by default.")
    ] = None,
    device: Device = "auto",
    checkpoint_every: Annotated[
        int, typer.Option(min=1, metavar="STEPS", help="Steps between checkpoints.")
    ] = 500,
    evaluate_every: Annotated[
        int, typer.Option(min=1, metavar="STEPS", help="Steps between held-out figures and pictures.")
    ] = 500,
    cache_gib: Annotated[
        float, typer.Option(min=0, metavar="GIB", help="Memory for decoded images, in GiB.")
    ] = 4.0,
) -> None:
    """Train a tokenizer on your own images.

    The same command with `--resume` continues a run that was stopped or killed.

        vqvae train photos/ runs/mine --steps 20000
        vqvae train photos/ runs/mine --steps 20000 --resume --max-minutes 60

    A second run may give a finished model a better decoder for the same codes.

        vqvae train photos/ runs/better --from runs/mine --set training.trained=decoder

    Or a second decoder, here one for looks, that stands beside the first.

        vqvae train photos/ runs/both --from runs/mine --decoder vivid \\
            --set training.trained=decoder --set training.optimizer=adamw \\
            --set training.learning_rate=3e-4 --set training.perceptual_weight=0.3 \\
            --set training.adversarial_weight=0.8

    With several processes, one a GPU, each takes its share of every batch.

        torchrun --nproc-per-node 4 -m vqvae train photos/ runs/mine
    """
    from rich.console import Console  # noqa: PLC0415

    from vqvae.config import from_dict, to_dict  # noqa: PLC0415
    from vqvae.device import usable_device  # noqa: PLC0415
    from vqvae.model import AutoencoderConfig  # noqa: PLC0415
    from vqvae.training import Sitting, TrainingConfig, load_start  # noqa: PLC0415
    from vqvae.training import train as run  # noqa: PLC0415
    from vqvae.training.ranks import leave, own_device, together  # noqa: PLC0415
    from vqvae.training.start import of_decoder  # noqa: PLC0415

    recipe: dict[str, Any] = {"model": AutoencoderConfig().to_dict(), "training": to_dict(TrainingConfig())}
    if config is not None:
        recipe = read_recipe(config, decoder)
    start = None if from_ is None else load_start(from_, decoder)
    if start is not None:
        recipe["model"] = start.model.card.config(start.decoder).to_dict()
    if steps is not None:
        recipe["training"]["steps"] = steps
    for assignment in set_ or []:
        assign(recipe, assignment)
    here = own_device(usable_device(device))
    with together(here) as ranks:
        console = Console(stderr=True, quiet=not ranks.is_first)
        card = run(
            source,
            out,
            AutoencoderConfig.from_dict(recipe["model"]),
            from_dict(TrainingConfig, recipe["training"]),
            name=name or out.resolve().name,
            device=here,
            sitting=Sitting(
                max_minutes=max_minutes,
                resume=resume,
                checkpoint_every=checkpoint_every,
                evaluate_every=evaluate_every,
                cache_gib=cache_gib,
            ),
            console=console,
            training_data=None if data_card is None else read_data_card(data_card),
            start=start,
            decoder=decoder,
            ranks=ranks,
        )
    figures = of_decoder(card.figures, decoder)["held_out"]
    steps_done = of_decoder(card.recipe, decoder)["steps_done"]
    console.print(f"{card.space.short} is in {out}: {steps_done} steps, held-out {figures['psnr']:.2f} dB")
    leave(ranks)


def read_recipe(path: Path, decoder: str = "faithful") -> dict[str, Any]:
    """The `model` and `training` variables of a recipe file or of a model.json, there those of a decoder."""
    try:
        data = json.loads(path.read_text("utf-8"))
        data = data.get("recipe", data)
        data = data.get("decoders", {}).get(decoder, data)
        return {"model": dict(data["model"]), "training": dict(data["training"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is no recipe with `model` and `training`: {error}") from error


def read_data_card(path: Path) -> list[dict[str, Any]]:
    """The list of a data card file, or the `training_data` of a model.json."""
    try:
        data = json.loads(path.read_text("utf-8"))
        entries = data["training_data"] if isinstance(data, dict) else data
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("it must be a list of objects")
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path} is no data card: {error}") from error
    return entries


def assign(recipe: dict[str, Any], assignment: str) -> None:
    """Set one variable of a recipe from "model.encoder.blocks=[1, 2]"; what is no JSON is a string."""
    name, equals, text = assignment.partition("=")
    *path, variable = name.split(".")
    if not equals or path[:1] not in (["model"], ["training"]):
        raise ConfigError(f"--set takes model.NAME=VALUE or training.NAME=VALUE, got {assignment!r}")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    target = recipe
    for part in path:
        target = target.get(part, {})
        if not isinstance(target, dict) or not target:
            raise ConfigError(f"--set {assignment}: there is no {part!r}")
    target[variable] = value
