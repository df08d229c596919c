"""Measured tables in one JSON file, those of one run beside those of another."""

import json
from pathlib import Path
from typing import Any

from figures import Table


def read_results(file: Path) -> dict[str, Table]:
    """The tables of a file by name; none where there is no file."""
    return {name: Table.from_dict(table) for name, table in _read(file).items()}


def keep(table: Table, file: Path) -> None:
    """Put a table into a file, in place of the one of its name."""
    written = {**_read(file), table.name: table.to_dict()}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", "utf-8")


def _read(file: Path) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return written
