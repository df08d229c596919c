"""The command line: one command a file, heavy imports inside the command.

A mistake of the user's is one line on stderr and exit code 2, never a traceback; Ctrl-C is exit code 130, and
SIGTERM 143.
"""

import os
import sys
from collections.abc import Callable, Sequence
from inspect import cleandoc
from io import TextIOWrapper
from typing import Annotated

import typer

import vqvae
from vqvae.cli import bulk, decode, doctor, encode, evaluate, export_onnx, info, quality, reconstruct, train
from vqvae.cli.stopping import stoppable
from vqvae.cli.terminal import complain, reason, say
from vqvae.errors import MissingExtraError, VqvaeError

_EXTRA_OF = {  # module -> what brings it
    "torch": "model",
    "safetensors": "model",
    "tensorboard": "train",
    "matplotlib": "quality",
    "pyarrow": "bulk",
    "ray": "cluster",
    "onnx": "onnx",
    "onnxscript": "onnx",
}


def _help_of(command: Callable[..., None]) -> str:
    """A command's docstring, in which indented paragraphs keep their lines as typer asks for it."""
    paragraphs = cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(f"\b\n{text}" if text.startswith(" ") else text for text in paragraphs)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"vqvae {vqvae.__version__}")
        raise typer.Exit


def vqvae_(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Turn images into small grids of integers, and back.

        vqvae encode photo.jpg         photo.vqc, about a hundredth of the pixels' bytes
        vqvae decode photo.vqc         photo.png, the picture that the codes stand for
        vqvae reconstruct photo.jpg -o out --compare

    `vqvae COMMAND --help` explains a command and shows examples. `vqvae --install-completion` teaches your
    shell (bash, zsh, fish, PowerShell) to complete commands, options and models, from its next start on.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app = typer.Typer(
    name="vqvae",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: examples keep their lines and can be copied
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.callback(invoke_without_command=True, help=_help_of(vqvae_))(vqvae_)
for _command in (
    encode.encode,
    decode.decode,
    reconstruct.reconstruct,
    info.info,
    doctor.doctor,
    evaluate.evaluate,
    quality.quality,
    train.train,
    export_onnx.export_onnx,
):
    app.command(help=_help_of(_command))(_command)
_bulk = typer.Typer(rich_markup_mode=None, context_settings={"max_content_width": 100})
_bulk.callback(invoke_without_command=True, help=_help_of(bulk.bulk_))(bulk.bulk_)
for _of_bulk in bulk.COMMANDS:
    _bulk.command(help=_help_of(_of_bulk))(_of_bulk)
app.add_typer(_bulk, name="bulk")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line on `arguments`, by default the process's own; always ends in SystemExit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a name may hold what the terminal's encoding lacks
    if "_VQVAE_COMPLETE" in os.environ:
        os.environ["COLUMNS"] = "1000"  # a shell takes every line for a choice, so their help must not fold
    with stoppable():
        sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    """The exit code."""
    try:
        code: int | None = app(
            arguments,
            prog_name="vqvae",  # also of `python -m vqvae`, whose own no shell can complete
            standalone_mode=False,
            windows_expand_args=False,  # patterns keep their tree
        )
        return code or 0
    except typer.TyperException as error:  # the words themselves are wrong
        message = error.format_message().replace("Value error, ", "")  # what typer's own checks begin with
        complain(f"{message[:1].lower()}{message[1:]}")
        if context := getattr(error, "ctx", None):
            say(f"try: {context.command_path} --help", err=True)
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get(error.name or "")
        if extra is None:
            raise
        complain(str(MissingExtraError("this command", extra)))
    except (VqvaeError, OSError) as error:
        complain(reason(error))
    return 2
