import shutil

import numpy as np
import pytest

from vqvae.errors import ConfigError
from vqvae.quality.text import (
    CAP_HEIGHTS,
    edit_distance,
    font_of,
    page,
    pages_read,
    share_read,
    tesseract_version,
)

with_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="needs tesseract: apt-get install tesseract-ocr"
)


@pytest.fixture
def failing_tesseract(tmp_path, monkeypatch):
    """A program of that name that always fails."""
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\necho no data >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_edit_distance_counts_what_differs():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == edit_distance("abc", "") == 3


@pytest.mark.parametrize("cap_height", CAP_HEIGHTS)
def test_capitals_of_a_page_are_of_their_height_and_all_of_it_is_on_the_page(cap_height):
    _, top, _, bottom = font_of(cap_height).getbbox("H")
    assert bottom - top == cap_height
    border = page(cap_height).copy()
    assert border.min() == 0
    border[cap_height // 2 : -cap_height // 2, cap_height // 2 : -cap_height // 2] = 255
    assert (border == 255).all()


@with_tesseract
def test_a_page_as_it_is_can_be_read():
    read = pages_read(lambda rgb: rgb)
    assert set(read) == {"11", "24", "48"}
    assert min(read.values()) >= 0.98
    assert tesseract_version()[0].isdigit()


@with_tesseract
def test_of_an_empty_page_nothing_is_read():
    assert share_read(np.full((60, 200, 3), 255, np.uint8)) == 0


def test_without_tesseract_nothing_is_measured(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert share_read(page(11)) is None
    assert tesseract_version() == "not installed"


@pytest.mark.usefixtures("failing_tesseract")
def test_a_tesseract_that_fails_is_an_error_and_no_figure():
    with pytest.raises(ConfigError, match=r"tesseract cannot read English pages here, .*: no data"):
        share_read(page(11))
