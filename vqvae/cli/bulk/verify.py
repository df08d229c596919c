"""`vqvae bulk verify`: whether a set of codes is what its manifest says."""

from pathlib import Path
from typing import Annotated

import typer

from vqvae.cli.completion import model_names
from vqvae.cli.options import Device, load_tokenizer
from vqvae.cli.progress import progress
from vqvae.cli.terminal import complain, say
from vqvae.errors import DataError


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DEST", help="Folder that `vqvae bulk encode` made.")],
    sample: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Images to encode again and compare; 0 needs no source or model."
        ),
    ] = 64,
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Where the images are now, if no longer where they were."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FOLDER",
            help="The model; without it, the one of the manifest's name.",
            autocompletion=model_names,
        ),
    ] = None,
    device: Device = "cpu",
) -> None:
    """Check a set of codes against its manifest.

    Every hash, every count and every row, and a sample that is encoded once more. Whatever is wrong is a
    line, and makes the command exit with 2.

        vqvae bulk verify codes
        vqvae bulk verify codes --sample 1000 --source /mnt/photos
    """
    from vqvae.bulk import Sample, read_manifest  # noqa: PLC0415
    from vqvae.bulk import verify as run  # noqa: PLC0415
    from vqvae.bulk.plan import shard_names  # noqa: PLC0415
    from vqvae.sources import open_source  # noqa: PLC0415

    manifest = read_manifest(folder)
    again = None
    if sample:
        try:
            images = open_source(source or manifest.source.path)
        except DataError as error:
            raise DataError(
                f"{error}; say with --source where the images are, or do with --sample 0"
            ) from error
        tokenizer = load_tokenizer(model or manifest.space.model, device, parts="encoder")
        again = Sample(images, tokenizer, sample)
    with progress(len(shard_names(manifest))) as advance:
        found = run(folder, again, on_shard=advance)
    for problem in found.problems:
        complain(problem)
    say(
        f"{folder}: {found.num_shards} shards, {found.num_images} images, {found.num_codes} codes of "
        f"{manifest.space.short}"
    )
    if found.num_sampled:
        say(
            f"{found.num_sampled} images encoded again: {found.num_differing_codes} of "
            f"{found.num_sampled_codes} codes differ"
        )
    if found.problems:
        raise typer.Exit(2)
    say("all as the manifest says")
