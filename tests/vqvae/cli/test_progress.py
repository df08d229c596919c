import re

import pytest

WORK = """
import time
from vqvae.cli.progress import progress
from vqvae.cli.terminal import complain, say

with progress(%d) as advance:
    for i in range(%d):
        time.sleep(0.15)
        complain("2 is damaged") if i == 2 else say(f"{i} {'is done ' * 12}")
        advance()
"""
LINE = "is done " * 12
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_screen(written: str) -> list[str]:
    """The lines that are left to see."""
    up = r"[^\n]*\n(?:\x1b\[\?25h)?\r?\x1b\[1A\x1b\[2K"  # into the line above, which is erased
    lines = re.sub(up, "", written).removesuffix("\n").split("\n")
    return [ESCAPE.sub("", line.rpartition("\x1b[2K")[2]) for line in lines]


def test_several_files_have_a_bar_with_lines_above_it_and_nothing_left_of_it(terminal):
    ended = terminal("-c", WORK % (4, 4))
    assert ended.code == 0
    assert "\x1b[?25l" in ended.out  # while the cursor is hidden
    assert re.search(r"━ 3/4 [\d.]+ (a second|s each) 0:00:0", ESCAPE.sub("", ended.out))
    assert ended.out.rindex("\x1b[?25h") > ended.out.rindex("\x1b[?25l")
    assert on_screen(ended.out) == [
        f"0 {LINE}",
        f"1 {LINE}",
        "error: 2 is damaged",
        f"3 {LINE}",
    ]


def test_what_goes_elsewhere_goes_there_past_the_bar(terminal, tmp_path):
    with (tmp_path / "log").open("wb") as log:
        ended = terminal("-c", WORK % (2, 2), stdout=log)
    assert (tmp_path / "log").read_text() == f"0 {LINE}\n1 {LINE}\n"
    assert "1/2" in ended.out
    assert "is done" not in ended.out


@pytest.mark.parametrize("number", [0, 1])
def test_one_file_has_no_bar(terminal, number):
    assert terminal("-c", WORK % (number, number)).out == f"0 {LINE}\n" * number
