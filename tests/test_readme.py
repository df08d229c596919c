"""The commands and programs of README and vqvae/README do what is said there.

A block fenced as ```sh runnable is run by bash and one fenced as ```python runnable by Python, in the
document's order, all in one folder that looks like the repository and may be written to. Where it speaks to
127.0.0.1:8000, a service answers, on a port of its own.
A block fenced as ```json output or ```text output is what the one before it prints; `...` is anything.
"""

import doctest
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ADDRESS = "127.0.0.1:8000"
FENCE = re.compile(r"^```(?P<language>\S*)[ ]?(?P<mark>.*?)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Block:
    """A runnable block and what README says it prints, if it says so."""

    language: str
    commands: str
    output: str | None


def runnable_blocks(readme: str) -> list[Block]:
    fences = [*FENCE.finditer(readme), None]
    return [
        Block(
            fence["language"],
            fence["text"],
            following["text"] if following and following["mark"] == "output" else None,
        )
        for fence, following in pairwise(fences)
        if fence and fence["mark"] == "runnable"
    ]


def agree(expected: str, printed: str) -> bool:
    rules = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(expected, printed, rules)


DOCUMENTS = ["README.md", "vqvae/README.md"]
BLOCKS = [block for name in DOCUMENTS for block in runnable_blocks((ROOT / name).read_text("utf-8"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new folder in which every name of the repository's top level leads there, but for `runs`."""
    folder = tmp_path_factory.mktemp("readme")
    for path in ROOT.iterdir():
        if path.name != "runs":
            (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_has_runnable_commands(name: str) -> None:
    assert runnable_blocks((ROOT / name).read_text("utf-8"))


@pytest.mark.parametrize("block", BLOCKS, ids=[block.commands.splitlines()[0][:60] for block in BLOCKS])
def test_readme_commands_do_what_it_says(block: Block, folder: Path, request: pytest.FixtureRequest) -> None:
    if "curl " in block.commands and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    commands = block.commands
    if ADDRESS in commands:
        commands = commands.replace(ADDRESS, request.getfixturevalue("shipped_service"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", commands]
        if block.language == "python"
        else ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if block.output is not None and not agree(block.output, done.stdout):
        pytest.fail(
            f"it is said that this prints\n{block.output}but it printed\n{done.stdout}", pytrace=False
        )


def test_figures_are_those_that_make_quality_wrote() -> None:
    report = (ROOT / "weights/figures/quality.md").read_text("utf-8").splitlines()
    documents = [ROOT / "README.md", *sorted(ROOT.glob("weights/*/README.md"))]
    for path in documents:
        blocks = re.findall(r"<!-- quality: .*? -->\n(.*?)<!-- end -->", path.read_text("utf-8"), re.S)
        assert blocks, path
        assert set("".join(blocks).splitlines()) <= set(report), path
