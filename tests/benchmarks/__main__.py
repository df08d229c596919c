"""`python tests/benchmarks COMMAND`: what the product costs, beside its peers and the machine's own limit.

Every command measures one table and shows it. A table that was measured at full size goes into results.json
and into the blocks of README.md here; `--quick` tries it on the smallest sizes, whose figures mean nothing,
and keeps them in build/bench. Whether a goal was met stands in the table; the command ends with 1 only where
something could not be measured.
"""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from figures import Table
from pages import as_terminal, check_blocks, fill_blocks
from paired import MIN_ROUNDS
from results import keep, read_results
from rich.console import Console
from tables.arrangements import arrangements
from tables.bulk import bulk
from tables.growth import growth, plot
from tables.http import http
from tables.jpeg import jpeg
from tables.large import large
from tables.limit import limit
from tables.litserve import litserve
from tables.models import models
from tables.quantizer import quantizer
from tables.startup import startup
from tables.training import training
from tables.vq_f8 import vq_f8

TABLES: dict[str, Callable[..., Table]] = {
    function.__name__: function
    for function in (
        models,
        vq_f8,
        limit,
        quantizer,
        http,
        litserve,
        startup,
        large,
        jpeg,
        bulk,
        training,
        growth,
        arrangements,
    )
}

HERE = Path(__file__).parent
QUICKLY = HERE.parents[1] / "build" / "bench"
PAGE = HERE / "README.md"
TABLE_WIDTH = 160  # for a file or a pipe, which have no width of their own

logger = logging.getLogger("benchmarks")

QuickOption = Annotated[bool, typer.Option("--quick", help="The smallest sizes: to see that it works.")]
RoundsOption = Annotated[int, typer.Option("--rounds", min=MIN_ROUNDS, help="Of which medians are taken.")]
IntoOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--into",
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="Markdown file with blocks <!-- bench:NAME --> for tables, beside README.md here; repeatable.",
    ),
]

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, no_args_is_help=True)


def _command(names: Sequence[str]) -> Callable[..., None]:
    """The command that measures these tables."""

    def command(
        quick: QuickOption = False, rounds: RoundsOption = MIN_ROUNDS, into: IntoOption = None
    ) -> None:
        if quick and into:
            raise typer.BadParameter("--quick gives no figures to put --into a file")
        pages = [] if quick else [PAGE, *(into or [])]
        _check(pages)
        _measure(names, rounds, QUICKLY if quick else HERE, pages)

    return command


for name, measure in TABLES.items():
    app.command(name=name, help=measure.__doc__)(_command([name]))
app.command(name="all", help="One table after another; each is kept as soon as it is measured.")(
    _command(list(TABLES))
)


@app.command(name="fill")
def fill(into: IntoOption = None) -> None:
    """Put the tables of results.json into README.md here and the files that are named, without measuring."""
    pages = [PAGE, *(into or [])]
    _check(pages)
    _fill(pages)


def _measure(names: Sequence[str], num_rounds: int, folder: Path, pages: Sequence[Path]) -> None:
    """Measure tables into a folder and pages; ends the process, with 1 where one could not be measured."""
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else TABLE_WIDTH)
    measured = True
    for name in names:
        began = time.monotonic()
        try:
            table = TABLES[name](num_rounds, quick=folder == QUICKLY)
        except Exception:  # the others may take hours and are worth having
            logger.exception("%s could not be measured", name)
            measured = False
            continue
        console.print(as_terminal(table), *table.notes, sep="\n")
        logger.info("%s took %.1f minutes", name, (time.monotonic() - began) / 60)
        keep(table, folder / "results.json")
        if name == "growth":
            (folder / "growth.png").write_bytes(plot(table))
        _fill(pages)
    raise typer.Exit(not measured)


def _check(pages: Sequence[Path]) -> None:
    for page in pages:
        try:
            check_blocks(page.read_text("utf-8"), TABLES)
        except ValueError as error:
            raise typer.BadParameter(f"{page}: {error}") from None


def _fill(pages: Sequence[Path]) -> None:
    tables = read_results(HERE / "results.json")
    for page in pages:
        page.write_text(fill_blocks(page.read_text("utf-8"), tables), "utf-8")


if __name__ == "__main__":
    app()
