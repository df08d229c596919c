import json

import pytest
import typer

from vqvae.cli.work import Report, each
from vqvae.errors import ImageError


def reporting(*lines: str, **facts: object):
    return lambda: Report(lines, facts)


def fail() -> Report:
    raise ImageError("b: it is\ndamaged")


def test_one_failure_is_named_and_leaves_the_others_alone(capsys):
    with pytest.raises(typer.Exit) as ended:
        each(
            [("a", reporting("a is done")), ("b", fail), ("c", reporting("c is done", "twice"))],
            as_json=False,
        )
    assert ended.value.exit_code == 2
    assert capsys.readouterr() == (
        "a is done\nc is done\ntwice\n",
        "error: b: it is damaged\n1 of 3 failed\n",
    )


def test_no_failure_ends_as_usual(capsys):
    each([("a", reporting("done"))], as_json=False)
    assert capsys.readouterr() == ("done\n", "")


def test_as_json_each_is_an_object_on_a_line_also_if_it_fails(capsys):
    with pytest.raises(typer.Exit):
        each([("ä\n", reporting("for people", psnr=None)), ("b", fail)], as_json=True)
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [
        {"input": "ä\n", "psnr": None},
        {"input": "b", "error": "it is damaged"},
    ]
    assert err == "error: b: it is damaged\n1 of 2 failed\n"


def test_standard_input_is_named_for_people_and_a_dash_for_machines(capsys):
    with pytest.raises(typer.Exit):
        each([("-", fail)], as_json=True)
    out, err = capsys.readouterr()
    assert json.loads(out)["input"] == "-"
    assert err == "error: standard input: b: it is damaged\n"


def test_lines_can_make_way_for_what_goes_to_stdout(capsys):
    each([("a", reporting("done"))], as_json=False, lines_to_stderr=True)
    assert capsys.readouterr() == ("", "done\n")


def test_only_a_pictures_escapes_are_obeyed(capsys):
    each([("a", lambda: Report(["\x1b[1m"], {}, ["\x1b[2m"]))], as_json=False)
    assert capsys.readouterr().out == "\\x1b[1m\n\x1b[2m\n"


def test_reports_may_stand_apart(capsys):
    each([("a", reporting("one")), ("b", reporting("two"))], as_json=False, apart=True)
    assert capsys.readouterr().out == "one\n\ntwo\n"


def test_a_reader_that_left_ends_the_work(capsys):
    def pipe_breaks() -> Report:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        each([("a", pipe_breaks)], as_json=False)
    assert capsys.readouterr() == ("", "")
