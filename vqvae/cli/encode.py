"""`vqvae encode`: photographs in, files of codes out."""

from typing import Annotated, Literal

import typer

from vqvae.cli.codes import facts_of
from vqvae.cli.files import Done, Job, deliver, format_of, plan, run
from vqvae.cli.inputs import photographs
from vqvae.cli.options import DEFAULT_MODEL, Device, Force, Json, Model, Out, Photos, load_tokenizer
from vqvae.cli.terminal import bytes_text

Format = Literal["vqc", "json", "npy"]
FORMATS: dict[Format, tuple[str, ...]] = {"vqc": (".vqc",), "json": (".json",), "npy": (".npy",)}


def encode(
    photos: Photos,
    out: Out = None,
    model: Model = DEFAULT_MODEL,
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            show_default="as the file of -o ends, else vqc",
            help="vqc: packed and checksummed; json: as the service speaks it; npy: the bare integers.",
        ),
    ] = None,
    device: Device = "cpu",
    force: Force = False,
    json_: Json = False,
) -> None:
    """Turn photographs into codes.

    PHOTO.vqc holds the codes, the photograph's true size and the fingerprint of the model that made them, so
    that `vqvae decode` needs nothing else. A folder's results keep its tree.

        vqvae encode photo.jpg
        vqvae encode *.jpg -o codes
        vqvae encode photos/ -o codes --format json
        vqvae encode - < photo.jpg > photo.vqc
    """
    format_ = format_of(out, format_, FORMATS)
    suffixes = FORMATS[format_]
    jobs = plan(photographs(photos), out, suffixes, force=force, as_json=json_)

    from vqvae.formats import to_bytes  # noqa: PLC0415

    tokenizer = load_tokenizer(model, device, parts="encoder")

    def work(job: Job) -> Done:
        photo = job.input.read()
        grid = tokenizer.encode(photo)
        codes = to_bytes(grid, suffixes[0])
        deliver(codes, job.target)
        h, w = grid.grid
        return Done(
            f"{w}x{h} codes, {bytes_text(len(codes))}, {grid.bits_per_pixel:.3f} bits/pixel",
            {"input_bytes": len(photo), "output_bytes": len(codes), **facts_of(grid)},
        )

    run(jobs, work, as_json=json_)
