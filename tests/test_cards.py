"""README and the cards tell no figure of quality but those that `make quality` wrote into their blocks."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("weights/*/README.md"))]
BLOCK = re.compile(r"<!-- quality: .*? -->\n(.*?)<!-- end -->", re.S)
CODE = re.compile(r"^```.*?^```$", re.M | re.S)  # what README's says is run by a test
FIGURE = re.compile(r"\d[\d.,]*\s?(dB|%|GFLOP|MB|million parameters|of 255|bits per pixel)")
RECIPE = "\n## How it was made\n"  # from there on a card tells what went into a model, not what it is worth

in_each = pytest.mark.parametrize("path", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS])


@in_each
def test_no_block_is_empty(path):
    blocks = BLOCK.findall(path.read_text("utf-8"))
    assert blocks
    assert all(blocks)


@in_each
def test_no_figure_of_quality_stands_outside_the_blocks(path):
    by_hand = BLOCK.sub("", path.read_text("utf-8")).partition(RECIPE)[0]
    assert [figure[0] for figure in FIGURE.finditer(CODE.sub("", by_hand))] == []


@pytest.mark.parametrize(
    "figure",
    [
        "26.37 dB",
        "97%",
        "8.0 GFLOP",
        "15.0 MB",
        "2.8 million parameters",
        "8.8 of 255",
        "0.055 bits per pixel",
    ],
)
def test_a_figure_of_quality_is_known_when_seen(figure):
    assert FIGURE.search(f"It comes to {figure} (on average).")[0] == figure
