"""What a shell may complete a word to; read from models' cards as text, for a shell waits for it."""

import json
from pathlib import Path

import typer

from vqvae.places import CARD, named_models

DEVICES = {"cpu": "the default", "cuda": "an NVIDIA card", "auto": "cuda where there is one"}


def model_names() -> list[str]:
    """Every model that is known by name; where none begins like the word, shells complete folders."""
    return list(named_models())


def decoder_names(context: typer.Context) -> list[str]:
    """The decoders of the model that the command line names; where it names none, of all known ones."""
    known = named_models()
    model = context.params.get("model") or context.params.get("weights")
    folders = list(known.values()) if model is None else [known.get(model, Path(model))]
    return sorted({name for folder in folders for name in _decoders(folder)})


def device_names() -> list[tuple[str, str]]:
    """The devices that are there on most machines, and what they are."""
    return list(DEVICES.items())


def _decoders(folder: Path) -> list[str]:
    try:
        return list(json.loads((folder / CARD).read_text("utf-8"))["decoders"])
    except (OSError, ValueError, KeyError, TypeError):  # a damaged card completes nothing, without a word
        return []
