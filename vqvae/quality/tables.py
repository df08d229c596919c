"""A table of the report, for the terminal and for Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table, by its heads."""

    cells: tuple[str, ...]
    is_bold: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """What is told of one thing."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    title: str = ""
    note: str = ""  # how it is to be read


def as_markdown(table: Table) -> str:
    """A table under its title and above its note."""
    lines = [f"**{table.title}**", ""] if table.title else []
    lines += [_line(table.heads), "|---" * len(table.heads) + "|"]
    for row in table.rows:
        label, *cells = row.cells
        lines.append(_line((f"**{label}**" if row.is_bold else label, *cells)))
    if table.note:
        lines += ["", table.note]
    return "\n".join(lines)


def as_figure(value: float | None, digits: int) -> str:
    """A figure for a cell; a dash where it is not defined."""
    return "-" if value is None else f"{value:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
