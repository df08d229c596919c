import pytest
import typer

from vqvae.cli.terminal import bytes_text, each, printable, reason
from vqvae.errors import ImageError


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


def test_one_failure_is_named_and_leaves_the_others_alone(capsys):
    def fail() -> list[str]:
        raise ImageError("b: it is\ndamaged")

    with pytest.raises(typer.Exit) as ended:
        each([("a", lambda: ["a is done"]), ("b", fail), ("c", lambda: ["c is done", "twice"])])
    assert ended.value.exit_code == 2
    assert capsys.readouterr() == (
        "a is done\nc is done\ntwice\n",
        "error: b: it is damaged\n1 of 3 failed\n",
    )


def test_no_failure_ends_as_usual(capsys):
    each([("a", lambda: ["done"])])
    assert capsys.readouterr() == ("done\n", "")


def test_operating_system_errors_are_reduced_to_file_and_cause():
    assert reason(OSError(13, "Permission denied", "out/a.vqc")) == "out/a.vqc: Permission denied"
    assert reason(OSError(13, "Permission denied")) == "Permission denied"
    assert reason(OSError("odd")) == "odd"
