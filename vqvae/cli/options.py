"""Arguments and options that several commands share, and the tokenizer that they select."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from vqvae.errors import ConfigError

if TYPE_CHECKING:
    from vqvae.tokenizer import Tokenizer

DEFAULT_MODEL = "photo-f8"

Photos: TypeAlias = Annotated[
    list[Path], typer.Argument(metavar="PHOTO", help="Image files; of a folder, every image in its tree.")
]
Out: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        show_default="this folder",
        help="Folder for the results; made if missing.",
    ),
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace files that exist already.")]
Model: TypeAlias = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME|FOLDER", help="The model, by name or by its folder.")
]
Decoder: TypeAlias = Annotated[
    str, typer.Option(metavar="NAME", help="Which of the model's decoders; `vqvae info` lists them.")
]
Device: TypeAlias = Annotated[
    str, typer.Option(metavar="DEVICE", help="cpu, cuda, or auto: cuda where there is one.")
]


def load_tokenizer(
    model: str,
    device: str,
    *,
    parts: Literal["all", "encoder", "decoder"] = "all",
    decoder: str = "faithful",
) -> "Tokenizer":
    """The tokenizer on its device; ModelError for an unknown model, ConfigError for an absent device."""
    from vqvae.tokenizer import Tokenizer  # noqa: PLC0415

    return Tokenizer.load(model, parts=parts, decoder=decoder).to(usable_device(device))


def usable_device(device: str) -> str:
    """The device of that name, for "auto" CUDA where there is one; ConfigError where it is not here."""
    import torch  # noqa: PLC0415

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device).cpu()
    except (
        RuntimeError,
        AssertionError,
    ) as error:  # AssertionError is torch's "not compiled with CUDA enabled"
        cause = str(error).splitlines()[0]
        raise ConfigError(
            f"device {device!r} cannot be used here ({cause}); --device cpu always can"
        ) from error
    return device
