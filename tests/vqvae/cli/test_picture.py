import io
import shutil
import sys
from os import terminal_size

import numpy as np
import pytest

from vqvae.cli.picture import half_blocks, picture_of
from vqvae.code_picture import colours_of

BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


class Screen(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch):
    """Makes stdout a terminal of 24-bit colours; to be called in the test, for pytest changes stdout too."""

    def become(encoding: str = "utf-8", columns: int = 80) -> None:
        monkeypatch.setattr(sys, "stdout", Screen(io.BytesIO(), encoding))
        monkeypatch.setattr(shutil, "get_terminal_size", lambda: terminal_size((columns, 24)))

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLORTERM", "truecolor")
    return become


def test_a_character_is_two_pixels_and_colours_are_said_when_they_change():
    rgb = np.array([[BLACK, BLACK, RED], [WHITE, WHITE, RED]], np.uint8)
    assert half_blocks(rgb, true_colour=True) == [
        "\x1b[38;2;0;0;0;48;2;255;255;255m▀▀\x1b[38;2;255;0;0;48;2;255;0;0m▀\x1b[0m"
    ]


def test_below_an_odd_row_there_is_nothing():
    rgb = np.array([[RED, WHITE]] * 3, np.uint8)
    assert half_blocks(rgb, true_colour=True)[1] == "\x1b[38;2;255;0;0m▀\x1b[38;2;255;255;255m▀\x1b[0m"


@pytest.mark.parametrize(
    ("colour", "number"),
    [(BLACK, 16), (WHITE, 231), (RED, 196), ((95, 135, 175), 67), ((9, 8, 7), 232), ((236, 239, 240), 255)],
)
def test_with_256_colours_each_is_the_nearest(colour, number):
    line = half_blocks(np.array([[colour]], np.uint8), true_colour=False)[0]
    assert line == f"\x1b[38;5;{number}m▀\x1b[0m"


def test_codes_have_the_colours_of_their_pictures_everywhere_else(screen):
    screen()
    codes = np.array([[3, 700], [1, 4095]], np.uint16)
    assert picture_of(codes) == half_blocks(colours_of(codes), true_colour=True)


def test_terminals_that_do_not_promise_24_bits_get_256_colours(screen, monkeypatch):
    screen()
    monkeypatch.delenv("COLORTERM")
    assert picture_of(np.array([[0]]))[0].startswith("\x1b[38;5;")


def test_of_layers_the_first_is_shown(screen):
    screen()
    layers = np.array([[[3, 1], [700, 2]]], np.uint16)
    assert picture_of(layers) == picture_of(layers[:, :, 0])


@pytest.mark.parametrize(
    ("grid", "columns", "step"),
    [((40, 80), 80, 1), ((41, 80), 80, 2), ((40, 81), 80, 2), ((8, 300), 100, 3), ((1, 1), 1, 1)],
)
def test_large_grids_are_thinned_until_they_fit(screen, grid, columns, step):
    screen(columns=columns)
    codes = np.arange(grid[0] * grid[1]).reshape(grid)
    lines = picture_of(codes)
    assert lines == half_blocks(colours_of(codes[::step, ::step]), true_colour=True)
    assert len(lines) <= 20
    assert max(line.count("▀") for line in lines) <= columns


@pytest.mark.parametrize("name", ["latin-1", "ascii"])
def test_encodings_without_half_blocks_get_no_picture(screen, name):
    screen(encoding=name)
    assert picture_of(np.array([[0]])) == []


def test_no_colours_no_picture(screen, monkeypatch):
    screen()
    monkeypatch.setenv("NO_COLOR", "1")
    assert picture_of(np.array([[0]])) == []
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert picture_of(np.array([[0]])) == []
