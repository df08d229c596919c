"""What a part of the siege found: claims, each with its figure, for the terminal and for Markdown."""

import os
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich import box
from rich.table import Table
from typer import BadParameter

from service.settings import usable_cpus

VERSIONS = ("vqvae", "torch", "uvicorn", "numpy", "pillow")


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that the service is said to do."""

    text: str
    figure: str
    held: bool

    @property
    def verdict(self) -> str:
        """In a word."""
        return "yes" if self.held else "NO"


@dataclass(frozen=True, slots=True)
class Report:
    """One part of the siege."""

    name: str
    claims: list[Claim]
    notes: list[str]  # what the figures rest on

    @property
    def held(self) -> bool:
        """All claims did."""
        return all(claim.held for claim in self.claims)

    def as_table(self) -> Table:
        """For the terminal."""
        table = Table("claim", "figure", "held", box=box.SIMPLE)
        for claim in self.claims:
            style = None if claim.held else "bold red"
            table.add_row(claim.text, claim.figure, claim.verdict, style=style)
        return table

    def as_markdown(self) -> str:
        """For a file."""
        rows = [f"| {claim.text} | {claim.figure} | {claim.verdict} |" for claim in self.claims]
        table = ["| claim | figure | held |", "|---|---|---|", *rows]
        return "\n".join([*table, *(f"\n{note}" for note in self.notes)])


def check_blocks(names: Iterable[str], file: Path) -> None:
    """BadParameter where a file has no block for a report of one of these names."""
    text = file.read_text("utf-8")
    for name in names:
        if not _block(name).search(text):
            raise BadParameter(f"{file} has no lines <!-- siege:{name} --> and <!-- /siege:{name} -->")


def fill_block(report: Report, file: Path) -> None:
    """Write the report anew between `<!-- siege:NAME -->` and `<!-- /siege:NAME -->`."""

    def written(block: re.Match[str]) -> str:
        return f"{block[1]}{report.as_markdown()}\n{block[2]}"

    file.write_text(_block(report.name).sub(written, file.read_text("utf-8")), "utf-8")


def machine(settings: Mapping[str, str]) -> str:
    """What figures depend on besides the code, as a sentence."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    versions = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    told = ", ".join(f"{name} {value}" for name, value in settings.items()) or "none"
    return (
        f"Made on {usable_cpus()} processors ({processor()}), which service and clients share, and "
        f"{memory_bytes / 2**30:.0f} GiB of memory, with Python {platform.python_version()}, {versions}. "
        f"Settings other than the defaults: {told}."
    )


def processor() -> str:
    """Its name, where the system tells it."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- siege:{name} -->\n).*?(<!-- /siege:{name} -->)", re.DOTALL)
