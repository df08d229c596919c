"""`vqvae evaluate`: a model and a folder of images in, figures out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqvae.cli.completion import model_names
from vqvae.cli.files import check_folder, write_whole
from vqvae.cli.inputs import DASH
from vqvae.cli.options import Decoder, Device, load_tokenizer
from vqvae.cli.progress import progress
from vqvae.cli.terminal import printable, say
from vqvae.sources import open_source

if TYPE_CHECKING:
    from rich.table import Table

    from vqvae.evaluation import Evaluation, ImageFigures, SkippedImage


def evaluate(
    weights: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="The model, by name or by its folder.", autocompletion=model_names
        ),
    ],
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of images, of .tar shards or of Parquet files; a .tar, a .parquet, or a .txt "
            "list.",
        ),
    ],
    json_: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write the figures there too; replaces the file. - prints them in place of the table.",
            dir_okay=False,
        ),
    ] = None,
    decoder: Decoder = "faithful",
    device: Device = "cpu",
) -> None:
    """Measure how well a model keeps a set of images.

    Prints PSNR (dB), SSIM, MS-SSIM and bits per pixel of every image, their means, and over the codes of the
    whole set: bits per pixel by entropy, the share of the codebook in use, perplexity. Images that cannot be
    read are skipped and named.

        vqvae evaluate photo-f8 kodak/
        vqvae evaluate runs/mine kodak/ --json figures.json
    """
    source = open_source(folder)
    if json_ is not None:
        check_folder(json_.parent)

    from rich.console import Console  # noqa: PLC0415

    from vqvae.evaluation import SkippedImage  # noqa: PLC0415
    from vqvae.evaluation import evaluate as run  # noqa: PLC0415

    tokenizer = load_tokenizer(weights, device, decoder=decoder)
    with progress(len(source.keys)) as advance:

        def on_image(outcome: "ImageFigures | SkippedImage") -> None:
            if isinstance(outcome, SkippedImage):
                say(f"skipped {outcome.key}: {outcome.reason}", err=True)
            advance()

        evaluation = run(tokenizer, source, on_image)
    figures = json.dumps(evaluation.to_dict(), indent=1)
    if json_ == Path(DASH):
        typer.echo(figures)
        return
    Console(markup=False, highlight=False, emoji=False).print(_table(evaluation))
    for line in _summary(evaluation, tokenizer.space.codebook_size):
        say(line)
    if json_ is not None:
        write_whole(json_, f"{figures}\n".encode())


def _table(evaluation: "Evaluation") -> "Table":
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE, show_footer=True, pad_edge=False)
    table.add_column("image", "mean", overflow="fold")
    table.add_column("pixels", justify="right", no_wrap=True)
    table.add_column("PSNR dB", _figure(evaluation.psnr, 2), justify="right", no_wrap=True)
    table.add_column("SSIM", _figure(evaluation.ssim, 4), justify="right", no_wrap=True)
    table.add_column("MS-SSIM", _figure(evaluation.ms_ssim, 4), justify="right", no_wrap=True)
    table.add_column("bits/pixel", _figure(evaluation.bits_per_pixel, 3), justify="right", no_wrap=True)
    for image in evaluation.images:
        table.add_row(
            printable(image.key),
            f"{image.width}x{image.height}",
            _figure(image.psnr, 2),
            _figure(image.ssim, 4),
            _figure(image.ms_ssim, 4),
            _figure(image.bits_per_pixel, 3),
        )
    return table


def _summary(evaluation: "Evaluation", codebook_size: int) -> list[str]:
    """What the table does not say."""
    images = evaluation.images
    total = len(images) + len(evaluation.skipped)
    lines = [
        f"{evaluation.model}@{evaluation.fingerprint[:12]}, decoder {evaluation.decoder}, "
        f"{len(images)} images, {evaluation.num_codes} codes",
        f"entropy {evaluation.entropy_bits_per_pixel:.3f} bits/pixel, usage {evaluation.usage:.1%}, "
        f"perplexity {evaluation.perplexity:.0f} of {codebook_size}",
    ]
    for name, values, why in (
        ("PSNR", [image.psnr for image in images], "equal their reconstructions"),
        ("SSIM", [image.ssim for image in images], "have a side under 11 pixels"),
        ("MS-SSIM", [image.ms_ssim for image in images], "have a side under 176 pixels"),
    ):
        num_defined = sum(value is not None for value in values)
        if num_defined == 0:
            lines.append(f"no {name}, for all of them {why}")
        elif num_defined < len(images):
            lines.append(f"mean {name} is of {num_defined} of them; the others {why}")
    if evaluation.skipped:
        lines.append(f"skipped, for they could not be read: {len(evaluation.skipped)} of {total}")
    return lines


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
