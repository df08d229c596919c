"""`vqvae quality`: models, images to measure on and training photographs in, the quality report out."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqvae.cli.files import check_folder, write_whole
from vqvae.cli.terminal import printable, say
from vqvae.errors import DataError
from vqvae.sources import Source, open_source

if TYPE_CHECKING:
    from rich.progress import TaskID
    from rich.table import Table as RichTable

    from vqvae.quality.tables import Table

TABLE_WIDTH = 140


def quality(
    bench: Annotated[
        Path,
        typer.Argument(metavar="BENCH", help="A folder of sets to measure on, each a folder of images."),
    ],
    photos: Annotated[
        Path,
        typer.Argument(
            metavar="PHOTOS",
            help="Photographs for the floor, those of the training: a folder of images or of .tar shards, "
            "a .tar, or a .txt list.",
        ),
    ],
    models: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FOLDER",
            help="A model, by name or by its folder, or a folder of models; repeatable.",
        ),
    ] = ["weights"],  # noqa: B006 - typer takes its copy
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Folder for the report; replaces an older one's files."
        ),
    ] = Path("weights/figures"),
    patches: Annotated[
        int, typer.Option(min=1, metavar="N", help="Patches of the photographs that the floor learns from.")
    ] = 2**18,
    codes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Codes of held-out photographs, to tell the usage over.")
    ] = 2**20,
    into: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A Markdown file whose marked blocks take the tables; repeatable."),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Put the figures into each model's model.json as well.")
    ] = False,
) -> None:
    """Measure models beside everyday image files and the floor.

    Of every decoder of every model, on every set: PSNR, SSIM, MS-SSIM, perceptual distances on two networks,
    raw and entropy-coded bits per pixel, usage and perplexity. Beside it what JPEG, WebP, JPEG 2000 and AVIF
    make of as many bytes, image by image, and the floor: k-means on patches of photographs, at the model's K
    and f.

    Prints the tables and writes DIR/quality.json, quality.md, rate_distortion.png (codecs over a range of
    rates) and contact_sheet.png (crops), both pictures of the first set by name. That takes minutes; the same
    inputs give the same report.

        vqvae quality bench/ photos/
        vqvae quality bench/ photos/ --model runs/mine --out runs/mine/figures

    `--into FILE` writes anew what stands between `<!-- quality: SET -->` or `<!-- quality: SET, MODEL -->`
    and `<!-- end -->`; `<!-- quality: notes -->` takes the notes.
    """
    for file in into or []:
        _read(file)
    sets, photographs = _sets(bench), open_source(photos)
    check_folder(out)

    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    from vqvae.checkpoint import load_card, save_card  # noqa: PLC0415
    from vqvae.quality import (  # noqa: PLC0415
        as_markdown,
        contact_sheet,
        fill,
        make_report,
        measured,
        notes_of,
        rate_distortion_plot,
        tables_of,
    )

    folders = _folders(models)
    stderr = Console(stderr=True, markup=False, highlight=False, emoji=False)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def on_step(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = progress.add_task(printable(doing), total=total)
                if not stderr.is_terminal:
                    stderr.print(printable(doing), soft_wrap=True)
            progress.update(tasks[doing], completed=done)

        report = make_report(
            folders, sets, photographs, num_patches=patches, num_codes=codes, on_step=on_step
        )
        first = report.sets[0]
        on_step("pictures", 0, 2)
        plot = rate_distortion_plot(first)
        on_step("pictures", 1, 2)
        sheet = contact_sheet(folders, sets[first.name])
        on_step("pictures", 2, 2)
    files = {
        "quality.json": (json.dumps(report.to_dict(), indent=1) + "\n").encode(),
        "quality.md": as_markdown(report).encode(),
        "rate_distortion.png": plot,
        "contact_sheet.png": sheet,
    }
    for file in into or []:
        write_whole(file, fill(_read(file), report).encode())
    if record:
        for folder in folders:
            save_card(folder, measured(load_card(folder), report))
    for name, data in files.items():
        write_whole(out / name, data)
    # a file or a pipe has no width of its own, and 80 columns are too few
    console = Console(
        markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else TABLE_WIDTH
    )
    for table in tables_of(report):
        console.print(_rich(table))
    for note in notes_of(report):
        say(note)
    say(f"{', '.join(files)} are in {out}")


def _sets(bench: Path) -> dict[str, Source]:
    """Name -> set, of every folder in a folder; DataError where there is none, or one without images."""
    if not bench.is_dir():
        raise DataError(f"{bench} is no folder; give one in which every folder is a set of images")
    folders = sorted(path for path in bench.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise DataError(f"{bench} holds no folders; give a folder in which every folder is a set of images")
    return {folder.name: open_source(folder) for folder in folders}


def _read(file: Path) -> str:
    """A Markdown file; DataError where there is none."""
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error


def _folders(models: Sequence[str]) -> list[Path]:
    """The models' folders, the highest rate first; ModelError for a name that leads to none."""
    from vqvae.checkpoint import CARD, find_model, load_card  # noqa: PLC0415

    folders: list[Path] = []
    for name in models:
        inside = sorted(card.parent for card in Path(name).glob(f"*/{CARD}"))
        folders += inside if inside and not (Path(name) / CARD).is_file() else [find_model(name)]

    def bits_per_pixel(folder: Path) -> float:
        space = load_card(folder).space
        return math.log2(space.codebook_size) / space.downsample_factor**2

    return sorted(dict.fromkeys(folders), key=bits_per_pixel, reverse=True)


def _rich(table: "Table") -> "RichTable":
    from rich import box  # noqa: PLC0415
    from rich.table import Table as RichTable  # noqa: PLC0415

    from vqvae.quality import HEADS  # noqa: PLC0415

    shown = RichTable(box=box.SIMPLE, title=printable(table.title), title_justify="left", pad_edge=False)
    for i, head in enumerate(HEADS):
        shown.add_column(head, justify="right" if i else "left")
    for row in table.rows:
        shown.add_row(*map(printable, row.cells), style="bold" if row.is_model else None)
    return shown
