"""`vqvae quality`: models, images to measure on and training photographs in, the quality report out."""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqvae.cli.completion import model_names
from vqvae.cli.files import check_folder, write_whole
from vqvae.cli.terminal import printable, say
from vqvae.errors import DataError
from vqvae.places import CARD
from vqvae.sources import Source, open_source

if TYPE_CHECKING:
    from rich.progress import TaskID
    from rich.table import Table as RichTable

    from vqvae.quality import Table

TABLE_WIDTH = 140
PICTURES = "figures"  # in a model's folder


def quality(
    bench: Annotated[
        Path,
        typer.Argument(metavar="BENCH", help="A folder of sets to measure on, each a folder of images."),
    ],
    photos: Annotated[
        Path,
        typer.Argument(
            metavar="PHOTOS",
            help="Photographs for the floor, those of the training: a folder of images, of .tar shards or of "
            "Parquet files; a .tar, a .parquet, or a .txt list.",
        ),
    ],
    models: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|FOLDER",
            help="A model, by name or by its folder, or a folder of models; repeatable.",
            autocompletion=model_names,
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
        bool,
        typer.Option("--record", help="Put the figures into each model's model.json, pictures beside it."),
    ] = False,
    before: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Earlier weights of a model, known by its name, for the picture of its faults; repeatable.",
        ),
    ] = None,
) -> None:
    """Measure models beside everyday image files and the floor.

    Of every decoder of every model, on every set: PSNR, SSIM, MS-SSIM, perceptual distances on two networks,
    raw and entropy-coded bits per pixel, usage and perplexity. Beside it what JPEG, WebP, JPEG 2000 and AVIF
    make of as many bytes, image by image, and the floor: k-means on patches of photographs, at the model's K
    and f. Of every model also what it costs, and how flat grounds and text come back; text is read by
    tesseract, where it is installed.

    Prints the tables and writes DIR/quality.json, quality.md, rate_distortion.png (codecs over a range of
    rates) and contact_sheet.png (crops), both pictures of the first set by name. That takes minutes; the same
    inputs give the same report.

        vqvae quality bench/ photos/
        vqvae quality bench/ photos/ --model runs/mine --out runs/mine/figures

    `--into FILE` writes anew what stands between `<!-- quality: WHAT -->` or `<!-- quality: WHAT, MODEL -->`
    and `<!-- end -->`. WHAT is a set, `model` (what it is and costs), `appearance` (flat grounds and text) or
    `notes`. `--record` also draws figures/faults.png in every model's folder and, for several decoders,
    figures/decoders.png. A picture that shows more weights than the new one, those of `--before`, is kept.
    """
    texts = [_read(file) for file in into or []]
    sets, photographs = _sets(bench), open_source(photos)
    check_folder(out)

    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    from vqvae.checkpoint import load_card, save_card  # noqa: PLC0415
    from vqvae.quality import (  # noqa: PLC0415
        check_blocks,
        contact_sheet,
        fill,
        make_report,
        measured,
        notes_of,
        page,
        rate_distortion_plot,
        shows_less,
        tables_of,
    )

    folders = _folders(models)
    for text in texts:
        check_blocks(text, sets, [load_card(folder).name for folder in folders])
    earlier = _earlier(folders, before or [])
    if record:
        for folder in folders:
            check_folder(folder / PICTURES)
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
        draw: dict[Path, Callable[[], bytes]] = {
            out / "rate_distortion.png": partial(rate_distortion_plot, first),
            out / "contact_sheet.png": partial(contact_sheet, folders, sets[first.name]),
            **(_of_models(earlier, sets) if record else {}),
        }
        pictures = {}
        for i, path in enumerate(draw):
            on_step("pictures", i, len(draw))
            pictures[path] = draw[path]()
        on_step("pictures", len(draw), len(draw))
    for file in into or []:
        write_whole(file, fill(_read(file), report).encode())
    if record:
        for folder in folders:
            save_card(folder, measured(load_card(folder), report))
    write_whole(out / "quality.json", (json.dumps(report.to_dict(), indent=1) + "\n").encode())
    write_whole(out / "quality.md", page(report).encode())
    kept = [path for path in pictures if path.is_file() and shows_less(pictures[path], path.read_bytes())]
    for path, picture in pictures.items():
        if path not in kept:
            write_whole(path, picture)
    # a file or a pipe has no width of its own, and 80 columns are too few
    console = Console(
        markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else TABLE_WIDTH
    )
    for table in tables_of(report):
        console.print(_rich(table))
    for note in notes_of(report):
        say(note)
    say(f"quality.json, quality.md and pictures are in {out}")
    for path in kept:
        say(f"{path} is kept, for it shows earlier weights as well; delete it to have it made without them")


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
    from vqvae.checkpoint import find_model, load_card  # noqa: PLC0415

    folders: list[Path] = []
    for name in models:
        inside = sorted(card.parent for card in Path(name).glob(f"*/{CARD}"))
        folders += inside if inside and not (Path(name) / CARD).is_file() else [find_model(name)]

    def bits_per_pixel(folder: Path) -> float:
        space = load_card(folder).space
        return math.log2(space.codebook_size) / space.downsample_factor**2

    return sorted(dict.fromkeys(folders), key=bits_per_pixel, reverse=True)


def _earlier(folders: Sequence[Path], before: Sequence[Path]) -> dict[Path, list[Path]]:
    """Folder of a model -> folders of earlier weights of its name; ModelError for those of no such name."""
    from vqvae.checkpoint import load_card  # noqa: PLC0415
    from vqvae.errors import ModelError  # noqa: PLC0415

    names = {folder: load_card(folder).name for folder in folders}
    for older in before:
        name = load_card(older).name
        if name not in names.values():
            known = ", ".join(names.values())
            raise ModelError(f"{older} holds {name}, which is none of the models that are measured: {known}")
    return {
        folder: [older for older in before if load_card(older).name == name] for folder, name in names.items()
    }


def _of_models(
    earlier: Mapping[Path, Sequence[Path]], sets: Mapping[str, Source]
) -> dict[Path, Callable[[], bytes]]:
    """The pictures that stand beside each model's card, and how to draw them."""
    from vqvae.checkpoint import load_card  # noqa: PLC0415
    from vqvae.quality import decoders_sheet, faults_sheet  # noqa: PLC0415

    draw: dict[Path, Callable[[], bytes]] = {}
    for folder, older in earlier.items():
        draw[folder / PICTURES / "faults.png"] = partial(faults_sheet, folder, sets, older)
        if len(load_card(folder).decoders) > 1:
            draw[folder / PICTURES / "decoders.png"] = partial(decoders_sheet, folder, sets)
    return draw


def _rich(table: "Table") -> "RichTable":
    from rich import box  # noqa: PLC0415
    from rich.table import Table as RichTable  # noqa: PLC0415

    title = printable(table.title) or None
    shown = RichTable(box=box.SIMPLE, title=title, title_justify="left", pad_edge=False)
    for i, head in enumerate(table.heads):
        shown.add_column(printable(head), justify="right" if i else "left")
    for row in table.rows:
        shown.add_row(*map(printable, row.cells), style="bold" if row.is_bold else None)
    return shown
