"""Arguments and options that several commands share, and the tokenizer that they select."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from vqvae.cli.completion import decoder_names, device_names, model_names

if TYPE_CHECKING:
    from vqvae.tokenizer import Tokenizer

DEFAULT_MODEL = "photo-f8"

Photos: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTO",
        help="Image files; of a folder, every image in its tree; a quoted pattern such as 'photos/**/*.jpg'; "
        "- is standard input.",
    ),
]
Out: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR|FILE|-",
        show_default="this folder; for standard input, -",
        help="Folder for the results, made if missing; for one result also a file; - is standard output.",
    ),
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace files that exist already.")]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Tell of each file as a JSON object on a line, also if it fails.")
]
Model: TypeAlias = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|FOLDER",
        help="The model, by name or by its folder.",
        autocompletion=model_names,
    ),
]
Decoder: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Which of the model's decoders; `vqvae info` lists them.",
        autocompletion=decoder_names,
    ),
]
Device: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="cpu, cuda, or auto: cuda where there is one.",
        autocompletion=device_names,
    ),
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

    return Tokenizer.load(model, device=device, parts=parts, decoder=decoder)
