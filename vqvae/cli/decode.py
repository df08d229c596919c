"""`vqvae decode`: files of codes in, images out."""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vqvae.cli.files import Job, code_files, plan, run, write_whole
from vqvae.cli.options import Decoder, Device, Force, Out, load_tokenizer
from vqvae.cli.terminal import bytes_text
from vqvae.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from vqvae.tokenizer import Tokenizer


def decode(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", help="Files of codes: .vqc, .json, .npy; of a folder, every .vqc in its tree."
        ),
    ],
    out: Out = Path(),
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="NAME|FOLDER", help="The model; without it, the one that the file names."
        ),
    ] = None,
    decoder: Decoder = "faithful",
    format_: Annotated[
        Literal["png", "webp", "jpeg"], typer.Option("--format", help="What kind of image to write.")
    ] = "png",
    quality: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Of JPEG, 95 without it; of WebP, which is lossless without it."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH", help="True size of the images of .npy files, which hold none; grid x f without it."
        ),
    ] = None,
    device: Device = "cpu",
    force: Force = False,
) -> None:
    """Turn codes back into images.

    The model must be the one that made the codes: fingerprints are compared. An .npy file holds neither model
    nor size, so it needs --model, and --size unless the image filled its grid.

        vqvae decode photo.vqc
        vqvae decode codes/ -o images --format webp --quality 90
        vqvae decode photo.npy --model photo-f8 --size 768x512
    """
    if quality is not None and format_ == "png":
        raise ConfigError("--quality is for webp and jpeg; png is lossless")
    inputs = code_files(files)
    arrays = [item.path for item in inputs if item.path.suffix.lower() == ".npy"]
    if arrays and model is None:
        raise ConfigError(f"{arrays[0]} names no model; say with --model which one made its codes")
    if size is not None and len(arrays) < len(inputs):
        raise ConfigError("--size is for .npy files; other files of codes hold the true size")
    true_size = None if size is None else _parse_size(size)
    jobs = plan(inputs, out, ".jpg" if format_ == "jpeg" else f".{format_}", force=force)

    from vqvae.checkpoint import find_model  # noqa: PLC0415
    from vqvae.formats import from_npy, load_codes  # noqa: PLC0415
    from vqvae.pixels import encode_image  # noqa: PLC0415

    chosen = None if model is None else load_tokenizer(model, device, parts="decoder", decoder=decoder)

    @cache
    def named(name: str) -> "Tokenizer":
        try:
            folder = find_model(name)
        except ModelError as error:
            raise ModelError(f"{error}; say with --model where it is") from error
        return load_tokenizer(str(folder), device, parts="decoder", decoder=decoder)

    def work(job: Job) -> str:
        if job.input.path in arrays and chosen is not None:
            grid = from_npy(job.input.read(), chosen.space, true_size)
        else:
            grid = load_codes(job.input.path, None if chosen is None else chosen.space)
        rgb = (chosen or named(grid.space.model)).decode_rgb8(grid)
        image = encode_image(rgb, f"image/{format_}", quality)
        write_whole(job.target, image)
        return f"{grid.width}x{grid.height} pixels, {bytes_text(len(image))}"

    run(jobs, work)


def _parse_size(text: str) -> tuple[int, int]:
    """(width, height) of "768x512"."""
    match = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", text)
    if match is None:
        raise ConfigError(f"--size must be WIDTHxHEIGHT in pixels, such as 768x512, got {text!r}")
    return int(match[1]), int(match[2])
