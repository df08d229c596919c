"""Files that commands write: where results go, what of that is refused, nothing half written.

Everything about results that can be refused is refused before any work: two inputs that would become one
file, a file that is there already, an input written over itself, a folder that cannot be written to, bytes on
a terminal.
"""

import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Any, TypeVar

from vqvae.cli.inputs import CODE_SUFFIXES, DASH, Input, called
from vqvae.cli.progress import progress
from vqvae.cli.terminal import is_terminal
from vqvae.cli.work import Report, each
from vqvae.errors import ConfigError
from vqvae.sources import IMAGE_SUFFIXES

Format = TypeVar("Format", bound=str)


@dataclass(frozen=True, slots=True)
class Job:
    """One file to work on, and the file to make of it."""

    input: Input
    target: Path | None  # None is standard output


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a job."""

    text: str  # for people
    facts: Mapping[str, Any]  # for --json


def format_of(out: str | None, wanted: Format | None, formats: Mapping[Format, Sequence[str]]) -> Format:
    """The format that is wanted, or that of the file `out`, or the first; ConfigError where two differ."""
    first, *_ = formats
    suffix = PurePath(out or "").suffix.lower()
    if suffix not in {*CODE_SUFFIXES, *IMAGE_SUFFIXES} or os.path.isdir(out or ""):
        return wanted or first
    for format_, suffixes in formats.items():
        if suffix in suffixes and wanted in (None, format_):
            return format_
    known = [
        suffix for suffixes in ([formats[wanted]] if wanted else formats.values()) for suffix in suffixes
    ]
    raise ConfigError(f"{out} must end in {' or '.join(known)}, or be a folder")


def plan(
    inputs: Sequence[Input], out: str | None, suffixes: Sequence[str], *, force: bool, as_json: bool
) -> list[Job]:
    """Where the result of each input goes; ConfigError where it must not go.

    `out` is `-` for standard output, the default for standard input; by its suffix a file; or else a folder,
    by default this one, which is made.
    """
    if out == DASH or (out is None and any(item.word == DASH for item in inputs)):
        return [_to_standard_output(inputs, as_json=as_json)]
    place = Path(out or "")
    if place.suffix.lower() not in suffixes or place.is_dir():
        folder = place
        targets = [place / item.place.with_suffix(suffixes[0]) for item in inputs]
    elif len(inputs) == 1:
        folder = place.parent
        targets = [place]
    else:
        raise ConfigError(f"{out} is one file, and there are {len(inputs)} results; give a folder with -o")
    _check_targets(inputs, targets, force=force)
    check_folder(folder)
    return [Job(item, target) for item, target in zip(inputs, targets, strict=True)]


def check_folder(folder: Path) -> None:
    """Make the folder where it is missing; ConfigError where that, or writing into it, cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be a folder for results: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder} cannot be written to; choose another folder")


def run(jobs: Sequence[Job], work: Callable[[Job], Done], *, as_json: bool) -> None:
    """Do every job and tell of each: the input, the file made of it, and what `work` says of that.

    Where a result goes to standard output, its line for people goes to stderr.
    """

    def report(job: Job, advance: Callable[[], None]) -> Report:
        try:
            done = work(job)
        finally:
            advance()
        target = DASH if job.target is None else str(job.target)
        line = f"{called(job.input.word)} -> {job.target or 'standard output'}  {done.text}"
        return Report([line], {"output": target, **done.facts})

    with progress(len(jobs)) as advance:
        each(
            [(job.input.word, partial(report, job, advance)) for job in jobs],
            as_json=as_json,
            lines_to_stderr=any(job.target is None for job in jobs),
        )


def deliver(data: bytes, target: Path | None) -> None:
    """Write a job's result to its file, whole or not at all, or to standard output."""
    if target is not None:
        write_whole(target, data)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def write_whole(target: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all; its folder is made, and an OSError names the file."""
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def _to_standard_output(inputs: Sequence[Input], *, as_json: bool) -> Job:
    if len(inputs) > 1:
        raise ConfigError(
            f"standard output takes one result, and there are {len(inputs)}; give a folder with -o"
        )
    if as_json:
        raise ConfigError("standard output takes either --json or the result; say with -o where that goes")
    if sys.stdout is None or is_terminal(sys.stdout):
        raise ConfigError(
            "standard output is a terminal or closed, and the result is bytes; add > FILE, or -o FILE"
        )
    return Job(inputs[0], None)


def _check_targets(inputs: Sequence[Input], targets: Sequence[Path], *, force: bool) -> None:
    """ConfigError where a target would be that of two inputs, is an input itself, or is there already."""
    sources = {Path(item.word).resolve() for item in inputs if item.word != DASH}
    taken: dict[Path, Input] = {}
    for item, target in zip(inputs, targets, strict=True):
        if target in taken:
            raise ConfigError(
                f"{taken[target].word} and {item.word} would both become {target}; "
                "write them into two folders"
            )
        if target.resolve() in sources:
            raise ConfigError(f"{target} is one of the inputs; say with -o where the result goes")
        taken[target] = item
    present = [target for target in targets if target.exists()]
    if present and not force:
        more = f" (and {len(present) - 1} more)" if len(present) > 1 else ""
        raise ConfigError(f"{present[0]}{more} exists; --force replaces it, -o writes elsewhere")
