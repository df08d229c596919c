"""`python tests/siege COMMAND`: the service under load, faults and time, and whether it holds.

Every command prints claims with their figures, and exits with 1 where one did not hold.
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from faults import faults
from fuzz import fuzz
from load import load
from pydantic import ValidationError
from report import Report, check_blocks, fill_block
from rich.console import Console
from soak import soak

from service.settings import Settings

TABLE_WIDTH = 160  # for a file or a pipe, which have no width of their own

SecondsOption = Annotated[float, typer.Option(min=1, help="For each level of load, and for each fault.")]
MinutesOption = Annotated[float, typer.Option(min=0.5, help="For the soak.")]
CasesOption = Annotated[int, typer.Option(min=10, help="Damaged bodies for the service.")]
SeedOption = Annotated[int, typer.Option(help="Draws the images and the arrivals.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of the service; repeatable."),
]
IntoOption = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="Markdown file for the tables, each between <!-- siege:NAME --> and <!-- /siege:NAME -->.",
    ),
]

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, no_args_is_help=True)


@app.command(name="fuzz")
def run_fuzz(
    cases: CasesOption = 20_000, given: SetOption = None, seed: SeedOption = 0, into: IntoOption = None
) -> None:
    """Damaged bodies, for the service and for each of its readers."""
    settings = _settings(given)
    _run({"fuzz": lambda: fuzz(cases, settings, seed)}, into)


@app.command(name="load")
def run_load(
    seconds: SecondsOption = 60, given: SetOption = None, seed: SeedOption = 0, into: IntoOption = None
) -> None:
    """50, 90, 150 and 400 % of what the service can do."""
    settings = _settings(given)
    _run({"load": lambda: load(seconds, settings, seed)}, into)


@app.command(name="faults")
def run_faults(
    seconds: SecondsOption = 60, given: SetOption = None, seed: SeedOption = 0, into: IntoOption = None
) -> None:
    """Ended, killed, raising and hanging parts, no disk, clients that vanish or are slow."""
    settings = _settings(given)
    _run({"faults": lambda: faults(seconds, settings, seed)}, into)


@app.command(name="soak")
def run_soak(
    minutes: MinutesOption = 20, given: SetOption = None, seed: SeedOption = 0, into: IntoOption = None
) -> None:
    """All endpoints and sizes for a long time; memory must not grow."""
    settings = _settings(given)
    _run({"soak": lambda: soak(minutes, settings, seed)}, into)


@app.command(name="all")
def run_all(
    seconds: SecondsOption = 60,
    minutes: MinutesOption = 20,
    cases: CasesOption = 20_000,
    given: SetOption = None,
    seed: SeedOption = 0,
    into: IntoOption = None,
) -> None:
    """One after another, each also where an earlier one did not hold."""
    settings = _settings(given)
    parts: dict[str, Callable[[], Report]] = {
        "fuzz": lambda: fuzz(cases, settings, seed),
        "load": lambda: load(seconds, settings, seed),
        "faults": lambda: faults(seconds, settings, seed),
        "soak": lambda: soak(minutes, settings, seed),
    }
    _run(parts, into)


def _settings(given: Sequence[str] | None) -> dict[str, str]:
    """Settings by name, as words of the command line; a wrong one is a mistake of the command line's."""
    settings = dict(word.partition("=")[::2] for word in given or [])
    try:
        Settings.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return settings


def _run(parts: Mapping[str, Callable[[], Report]], into: Path | None) -> None:
    """Make each report, show it and write it down; ends the process, with 1 where a claim did not hold."""
    if into is not None:
        check_blocks(parts, into)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else TABLE_WIDTH)
    held = True
    for part in parts.values():
        report = part()
        console.print(report.as_table(), *report.notes, sep="\n")
        if into is not None:
            fill_block(report, into)
        held &= report.held
    raise typer.Exit(not held)


if __name__ == "__main__":
    app()
