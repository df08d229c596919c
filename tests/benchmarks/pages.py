"""Tables on paper: in the terminal, in Markdown, and between the marks of Markdown files.

A block of a file begins with the line `<!-- bench:NAME -->` and ends with `<!-- /bench:NAME -->`; what stands
between is written anew. A file may have any of the blocks; those of tables that were not measured stay as
they are.
"""

import re
from collections.abc import Collection, Mapping

from figures import Row, Table, as_cell
from rich import box
from rich.table import Table as Terminal

BLOCK = re.compile(
    r"^(?P<begin><!-- bench:(?P<name>[\w-]+) -->\n).*?^(?P<end><!-- /bench:(?P=name) -->)$", re.M | re.S
)
MARK = re.compile(r"^<!-- /?bench:.*-->$", re.M)


def as_terminal(table: Table) -> Terminal:
    """For the terminal, what is not met in red."""
    terminal = Terminal(*_heads(table), box=box.SIMPLE, title=table.name, title_justify="left")
    for row in table.rows:
        terminal.add_row(*_cells(row), style="bold red" if row.verdict == "not met" else None)
    return terminal


def as_markdown(table: Table) -> str:
    """For a file, with the notes below."""
    heads = _heads(table)
    lines = [heads, ["---"] * len(heads), *map(_cells, table.rows)]
    return "\n".join([*("| " + " | ".join(cells) + " |" for cells in lines), *_paragraphs(table)])


def check_blocks(text: str, names: Collection[str]) -> None:
    """ValueError where a mark of a text is of no such table, or lacks its other half."""
    blocks = list(BLOCK.finditer(text))
    for block in blocks:
        if block["name"] not in names:
            raise ValueError(f"there is no table {block['name']}; there are {', '.join(names)}")
    if len(MARK.findall(text)) != 2 * len(blocks):
        raise ValueError("a <!-- bench:NAME --> has no <!-- /bench:NAME --> after it, or the other way round")


def fill_blocks(text: str, tables: Mapping[str, Table]) -> str:
    """The text with these tables in their blocks."""

    def written(block: re.Match[str]) -> str:
        table = tables.get(block["name"])
        return block[0] if table is None else f"{block['begin']}{as_markdown(table)}\n{block['end']}"

    return BLOCK.sub(written, text)


def _heads(table: Table) -> list[str]:
    return [*table.labels, *table.figures, "goal", "verdict"]


def _cells(row: Row) -> list[str]:
    goal = "" if row.goal is None else str(row.goal)
    return [*row.labels, *map(as_cell, row.figures), goal, row.verdict]


def _paragraphs(table: Table) -> list[str]:
    return [f"\n{note}" for note in table.notes]
