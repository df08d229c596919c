import sys

from vqvae.bulk import Progress, Tally
from vqvae.cli.bulk.pace import pace_of, reporting


def progress(seconds=100.0, here=50):
    return Progress(1000, done=Tally(250, 3, 10**9), here=Tally(here, 1, 2 * 10**8), seconds=seconds)


def test_a_line_has_how_far_how_fast_how_many_bad_and_how_long():
    assert pace_of(progress()) == (
        "250 of 1000 images (25.0%), 0.5 images/s, 2.00 megapixels/s, 3 bad, 0:25:00 left"
    )


def test_before_the_first_image_there_is_no_pace():
    assert pace_of(progress(seconds=0, here=0)) == "250 of 1000 images (25.0%), 3 bad"


def test_a_log_has_a_line_every_half_minute(capsys):
    with reporting() as report:
        for seconds in (0, 10, 31, 40, 60, 62, 200, 201):
            report(progress(seconds=seconds))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [pace_of(progress(seconds=seconds)) for seconds in (31, 62, 200)]


def test_a_terminal_has_a_line_that_stays_and_goes(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with reporting() as report:
        report(progress())
    assert "250 of 1000 images (25.0%), 0.5 images/s" in capsys.readouterr().err
