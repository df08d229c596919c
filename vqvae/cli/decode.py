"""`vqvae decode`: files of codes in, images out."""

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vqvae.cli.codes import facts_of, suffix_of_codes
from vqvae.cli.completion import model_names
from vqvae.cli.files import Done, Job, deliver, format_of, plan, run
from vqvae.cli.inputs import DASH, code_files
from vqvae.cli.options import Decoder, Device, Force, Json, Out, load_tokenizer
from vqvae.cli.terminal import bytes_text
from vqvae.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from vqvae.tokenizer import Tokenizer

Format = Literal["png", "webp", "jpeg"]
FORMATS: dict[Format, tuple[str, ...]] = {"png": (".png",), "webp": (".webp",), "jpeg": (".jpg", ".jpeg")}


def decode(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Files of codes: .vqc, .json, .npy; of a folder, every .vqc in its tree; a quoted pattern "
            "such as 'codes/**/*.vqc'; - is standard input, in any of the three formats.",
        ),
    ],
    out: Out = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FOLDER",
            help="The model; without it, the one that the file names.",
            autocompletion=model_names,
        ),
    ] = None,
    decoder: Decoder = "faithful",
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format", show_default="as the file of -o ends, else png", help="What kind of image to write."
        ),
    ] = None,
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
    json_: Json = False,
) -> None:
    """Turn codes back into images.

    The model must be the one that made the codes: fingerprints are compared. An .npy file holds neither model
    nor size, so it needs --model, and --size unless the image filled its grid.

        vqvae decode photo.vqc
        vqvae decode codes/ -o images --format webp --quality 90
        vqvae decode photo.npy --model photo-f8 --size 768x512
        vqvae encode - < photo.jpg | vqvae decode - > again.png
    """
    format_ = format_of(out, format_, FORMATS)
    if quality is not None and format_ == "png":
        raise ConfigError("--quality is for webp and jpeg; png is lossless")
    true_size = None if size is None else _parse_size(size)

    def check(name: str, suffix: str) -> None:
        """ConfigError where an .npy file lacks what it needs, or another file gets what it holds itself."""
        if suffix == ".npy" and model is None:
            raise ConfigError(f"{name} names no model; say with --model which one made its codes")
        if suffix != ".npy" and size is not None:
            raise ConfigError("--size is for .npy files; other files of codes hold the true size")

    inputs = code_files(files)
    for item in inputs:
        if item.word != DASH:
            check(item.word, item.suffix)
    jobs = plan(inputs, out, FORMATS[format_], force=force, as_json=json_)

    from vqvae.checkpoint import find_model  # noqa: PLC0415
    from vqvae.formats import from_bytes  # noqa: PLC0415
    from vqvae.pixels import encode_image  # noqa: PLC0415

    chosen = None if model is None else load_tokenizer(model, device, parts="decoder", decoder=decoder)

    @cache
    def named(name: str) -> "Tokenizer":
        try:
            folder = find_model(name)
        except ModelError as error:
            raise ModelError(f"{error}; say with --model where it is") from error
        return load_tokenizer(str(folder), device, parts="decoder", decoder=decoder)

    def work(job: Job) -> Done:
        codes = job.input.read()
        suffix = suffix_of_codes(job.input, codes)
        check("an .npy file", suffix)
        grid = from_bytes(codes, suffix, None if chosen is None else chosen.space, true_size)
        rgb = (chosen or named(grid.space.model)).decode_rgb8(grid)
        image = encode_image(rgb, f"image/{format_}", quality)
        deliver(image, job.target)
        return Done(
            f"{grid.width}x{grid.height} pixels, {bytes_text(len(image))}",
            {
                "input_bytes": len(codes),
                "output_bytes": len(image),
                **facts_of(grid),
                "decoder": decoder,
            },
        )

    run(jobs, work, as_json=json_)


def _parse_size(text: str) -> tuple[int, int]:
    """(width, height) of "768x512"."""
    match = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", text)
    if match is None:
        raise ConfigError(f"--size must be WIDTHxHEIGHT in pixels, such as 768x512, got {text!r}")
    return int(match[1]), int(match[2])
