import subprocess
import sys

import pytest

from vqvae.cli.terminal import bytes_text, complain, printable, reason


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9216, "9.2 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_250_000_000, "1.2 GB"),
        (5 * 10**12, "5000.0 GB"),
    ],
)
def test_sizes_are_by_powers_of_1000(num_bytes, text):
    assert bytes_text(num_bytes) == text


def test_what_a_terminal_would_obey_is_shown_instead():
    assert printable("Ünï \x1b[31m\n\udcff") == r"Ünï \x1b[31m\n\udcff"


def test_errors_go_to_stderr_without_colours_where_that_is_no_terminal(capsys):
    complain("a\x1b: it is damaged")
    assert capsys.readouterr() == ("", "error: a\\x1b: it is damaged\n")


ERROR = ("-c", "from vqvae.cli.terminal import complain; complain('it is damaged')")


def test_errors_begin_in_red_on_a_terminal(terminal):
    assert terminal(*ERROR).out == "\x1b[31m\x1b[1merror:\x1b[0m it is damaged\n"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_colours_can_be_declined(terminal, environment):
    assert terminal(*ERROR, **environment).out == "error: it is damaged\n"


def test_a_closed_stream_is_written_to_in_silence():
    code = "from vqvae.cli.terminal import say; say('lost'); say('seen', err=True)"
    done = subprocess.run(
        f'{sys.executable} -c "{code}" >&-', shell=True, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "seen\n")


def test_operating_system_errors_are_reduced_to_file_and_cause():
    assert reason(OSError(13, "Permission denied", "out/a.vqc")) == "out/a.vqc: Permission denied"
    assert reason(OSError(13, "Permission denied")) == "Permission denied"
    assert reason(OSError("odd")) == "odd"
