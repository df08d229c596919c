"""Many pieces of work of which some may fail, each reported to people or to machines as it is done."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from vqvae.cli.inputs import called
from vqvae.cli.terminal import complain, reason, say, show
from vqvae.errors import VqvaeError


@dataclass(frozen=True, slots=True)
class Report:
    """What a piece of work yields."""

    lines: Sequence[str]  # for people
    facts: Mapping[str, Any]  # for --json
    picture: Sequence[str] = ()  # further lines for people, whose escapes the terminal is to obey


def each(
    work: Sequence[tuple[str, Callable[[], Report]]],
    *,
    as_json: bool,
    lines_to_stderr: bool = False,
    apart: bool = False,
) -> None:
    """Do every (word for its input, piece of work) in turn and print its report, `apart` with lines between.

    A failure is a line on stderr, and with `as_json` an object with `error` as well. It leaves the others
    alone, and makes the command exit with 2 in the end.
    """
    num_failed = 0
    for i, (word, do) in enumerate(work, start=1):
        try:
            report = do()
        except BrokenPipeError:
            raise  # whoever read the output has left: that ends the command, and is no failure
        except (VqvaeError, OSError) as error:
            num_failed += 1
            cause = reason(error).removeprefix(f"{called(word)}: ")
            complain(f"{called(word)}: {cause}")
            if as_json:
                say(json.dumps({"input": word, "error": cause}))
        else:
            if as_json:
                say(json.dumps({"input": word, **report.facts}))
            else:
                for line in report.lines:
                    say(line, err=lines_to_stderr)
                for line in [*report.picture, *([""] if apart and i < len(work) else [])]:
                    show(line)
    if num_failed and len(work) > 1:
        say(f"{num_failed} of {len(work)} failed", err=True)
    if num_failed:
        raise typer.Exit(2)
