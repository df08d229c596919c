"""`vqvae bulk stats`: what is in a set of codes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqvae.cli.completion import model_names
from vqvae.cli.files import check_folder, write_whole
from vqvae.cli.options import load_tokenizer
from vqvae.cli.terminal import say
from vqvae.errors import FingerprintError

if TYPE_CHECKING:
    from vqvae.bulk import Stats

NUM_LISTED = 5  # codes, and groups of duplicates
NUM_PICTURED = 256


def stats(
    folder: Annotated[Path, typer.Argument(metavar="DEST", help="Folder that `vqvae bulk encode` made.")],
    json_: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write all of it there, the histogram and all duplicates; replaces the file.",
            dir_okay=False,
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Draw the {NUM_PICTURED} most common codes there as PNG, each as it decodes alone.",
            dir_okay=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FOLDER",
            help="The model, for the picture; without it, the one of the manifest's name.",
            autocompletion=model_names,
        ),
    ] = None,
) -> None:
    """Tell how a set of codes uses its codebook.

    Usage is the share of the codebook that occurs; perplexity, the number of equally common codes that would
    be as hard to predict. Images whose files are equal to the byte are named as duplicates.

        vqvae bulk stats codes
        vqvae bulk stats codes --json stats.json --picture common.png
    """
    for path in (json_, picture):
        if path is not None:
            check_folder(path.parent)

    from vqvae.bulk import picture_of, stats_of  # noqa: PLC0415
    from vqvae.pixels import encode_image  # noqa: PLC0415

    found = stats_of(folder)
    for line in _lines(folder, found):
        say(line)
    if json_ is not None:
        write_whole(json_, (json.dumps(found.to_dict()) + "\n").encode())
    if picture is not None:
        tokenizer = load_tokenizer(model or found.space.model, "cpu", parts="decoder")
        if tokenizer.space.fingerprint != found.space.fingerprint:
            raise FingerprintError(expected=tokenizer.space.short, actual=found.space.short)
        codes = found.most_common(NUM_PICTURED)
        write_whole(picture, encode_image(picture_of(codes, tokenizer.code_patches())))


def _lines(folder: Path, found: "Stats") -> list[str]:
    space = found.space
    lines = [
        f"{folder}: {found.num_images} images, {found.num_errors} of them bad, {found.num_codes} codes of "
        f"{space.short}"
    ]
    if found.num_codes:
        top = ", ".join(
            f"{code} ({found.counts[code] / found.num_codes:.2%})" for code in found.most_common(NUM_LISTED)
        )
        lines += [
            f"usage {found.usage:.1%}, perplexity {found.perplexity:.0f} of {space.codebook_size}, "
            f"entropy {found.entropy_bits:.2f} bits/code",
            f"half of all codes are the {found.share_of_codes(0.5)} most common, nine tenths the "
            f"{found.share_of_codes(0.9)} most common",
            f"most common: {top}",
        ]
    lines.append(f"duplicates: {found.num_duplicates} images")
    lines += [f"  {' = '.join(keys)}" for keys in found.duplicates[:NUM_LISTED]]
    if len(found.duplicates) > NUM_LISTED:
        lines.append(f"  and {len(found.duplicates) - NUM_LISTED} more; --json FILE has them all")
    return lines
