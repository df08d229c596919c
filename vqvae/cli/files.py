"""Files that commands read and write: what paths stand for, where results go, nothing half written.

Everything about outputs that can be refused is refused before any work: two inputs that would become one
file, a file that is there already, an input written over itself, a folder that cannot be written to.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from vqvae.cli.terminal import each
from vqvae.errors import ConfigError, DataError
from vqvae.sources import open_source


@dataclass(frozen=True, slots=True)
class Input:
    """One file to work on."""

    path: Path  # as the user would write it
    place: PurePosixPath  # of its result below the output folder, with the input's own suffix
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Job:
    """One file to work on, and the file to make of it."""

    input: Input
    target: Path


def photographs(paths: Sequence[Path]) -> list[Input]:
    """A file is itself; a folder is every image of its tree, which results keep; DataError where none."""
    inputs = []
    for path in paths:
        if path.is_dir():
            source = open_source(path)
            # a shard in the folder may hold absolute names
            inputs += [
                Input(path / key.lstrip("/"), PurePosixPath(key.lstrip("/")), partial(source.read, key))
                for key in source.keys
            ]
        else:
            inputs.append(_file(path))
    return inputs


def code_files(paths: Sequence[Path]) -> list[Input]:
    """A file is itself; a folder is every `.vqc` of its tree, which results keep; DataError where none."""
    inputs = []
    for path in paths:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*.vqc") if file.is_file())
            if not files:
                raise DataError(f"{path} holds no .vqc files; name files of codes of other kinds one by one")
            inputs += [
                Input(file, PurePosixPath(file.relative_to(path).as_posix()), file.read_bytes)
                for file in files
            ]
        else:
            inputs.append(_file(path))
    return inputs


def plan(inputs: Sequence[Input], out: Path, suffix: str, *, force: bool) -> list[Job]:
    """Where the result of each input goes, in `out`, which is made; ConfigError where it must not go."""
    jobs = [Job(item, out / item.place.with_suffix(suffix)) for item in inputs]
    sources = {job.input.path.resolve() for job in jobs}
    taken: dict[Path, Path] = {}
    for job in jobs:
        if job.target in taken:
            raise ConfigError(
                f"{taken[job.target]} and {job.input.path} would both become {job.target}; "
                "write them into two folders"
            )
        if job.target.resolve() in sources:
            raise ConfigError(f"{job.target} is one of the inputs; choose another folder with -o")
        taken[job.target] = job.input.path
    present = [job.target for job in jobs if job.target.exists()]
    if present and not force:
        more = f" (and {len(present) - 1} more)" if len(present) > 1 else ""
        raise ConfigError(f"{present[0]}{more} exists; --force replaces it, -o writes elsewhere")
    check_folder(out)
    return jobs


def check_folder(folder: Path) -> None:
    """Make the folder where it is missing; ConfigError where that, or writing into it, cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be a folder for results: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder} cannot be written to; choose another folder")


def run(jobs: Sequence[Job], work: Callable[[Job], str]) -> None:
    """Do every job and print a line for it: the input, the file made of it, and what `work` says of that."""

    def line(job: Job) -> list[str]:
        return [f"{job.input.path} -> {job.target}  {work(job)}"]

    each((str(job.input.path), partial(line, job)) for job in jobs)


@contextmanager
def making(target: Path) -> Iterator[None]:
    """Write `target` in here: its folder is made, and an OSError names it and not a temporary file."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def write_whole(target: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all; its folder is made."""
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    with making(target):
        try:
            temporary.write_bytes(data)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _file(path: Path) -> Input:
    return Input(path, PurePosixPath(path.name), path.read_bytes)
