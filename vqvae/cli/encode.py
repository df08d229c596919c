"""`vqvae encode`: photographs in, files of codes out."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vqvae.cli.files import Job, making, photographs, plan, run
from vqvae.cli.options import DEFAULT_MODEL, Device, Force, Model, Out, Photos, load_tokenizer
from vqvae.cli.terminal import bytes_text


def encode(
    photos: Photos,
    out: Out = Path(),
    model: Model = DEFAULT_MODEL,
    format_: Annotated[
        Literal["vqc", "json", "npy"],
        typer.Option(
            "--format",
            help="vqc: packed and checksummed; json: as the service speaks it; npy: the bare integers.",
        ),
    ] = "vqc",
    device: Device = "cpu",
    force: Force = False,
) -> None:
    """Turn photographs into codes.

    PHOTO.vqc holds the codes, the photograph's true size and the fingerprint of the model that made them, so
    that `vqvae decode` needs nothing else. A folder's results keep its tree.

        vqvae encode photo.jpg
        vqvae encode *.jpg -o codes
        vqvae encode photos/ -o codes --format json
    """
    jobs = plan(photographs(photos), out, f".{format_}", force=force)

    from vqvae.formats import save_codes  # noqa: PLC0415

    tokenizer = load_tokenizer(model, device, parts="encoder")

    def work(job: Job) -> str:
        grid = tokenizer.encode(job.input.read())
        with making(job.target):
            save_codes(grid, job.target)
            size = bytes_text(job.target.stat().st_size)
        h, w = grid.grid
        return f"{w}x{h} codes, {size}, {grid.bits_per_pixel:.3f} bits/pixel"

    run(jobs, work)
