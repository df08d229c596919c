"""What the words on the command line stand for: files, folders, patterns that no shell expanded, stdin.

A word that is the name of something is that, whatever characters are in it. Otherwise `*`, `?` and `[...]`
match within a name, and `**` matches folders at any depth. `-` is standard input; a file so called is `./-`.
"""

import glob
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path, PurePosixPath

from vqvae.cli.terminal import is_terminal
from vqvae.errors import ConfigError, DataError
from vqvae.sources import open_source

DASH = "-"
CODE_SUFFIXES = (".vqc", ".json", ".npy")


@dataclass(frozen=True, slots=True)
class Input:
    """One file to work on, or standard input."""

    word: str  # as the user would write it
    place: PurePosixPath  # of its result below the output folder, with the input's own suffix
    read: Callable[[], bytes]

    @property
    def suffix(self) -> str:
        """In lower case; standard input has none."""
        return self.place.suffix.lower()


def called(word: str) -> str:
    """An input's word as people say it."""
    return "standard input" if word == DASH else word


def photographs(words: Sequence[str]) -> list[Input]:
    """A file is itself; a folder is every image of its tree, which results keep; DataError where none."""
    return _inputs(words, _images)


def code_files(words: Sequence[str]) -> list[Input]:
    """A file is itself; a folder is every `.vqc` of its tree, which results keep; DataError where none."""
    return _inputs(words, _codes)


def matches(word: str) -> list[tuple[Path, PurePosixPath]]:
    """(path, its place among results) of what a word other than `-` stands for; DataError where nothing.

    A pattern's matches keep the tree below its first wildcard, and those inside of a matched folder are that
    folder's.
    """
    path = Path(word)
    if os.path.lexists(path) or not _is_pattern(word):
        return [(path, PurePosixPath() if path.is_dir() else PurePosixPath(path.name))]
    root = Path(*takewhile(lambda part: not _is_pattern(part), path.parts))
    found = sorted({Path(match) for match in glob.iglob(word, recursive=True)})
    if not found:
        raise DataError(f"nothing matches {word}; * stays within a name, ** matches folders at any depth")
    folders = {match for match in found if match.is_dir()}
    return [
        (match, PurePosixPath(match.relative_to(root).as_posix()))
        for match in found
        if folders.isdisjoint(match.parents)
    ]


def check_dashes(words: Sequence[str]) -> None:
    """ConfigError where standard input is among the words more than once."""
    if words.count(DASH) > 1:
        raise ConfigError(f"{DASH} is given {words.count(DASH)} times; standard input can be read once")


def _inputs(
    words: Sequence[str], in_folder: Callable[[Path], Iterator[tuple[str, Callable[[], bytes]]]]
) -> list[Input]:
    check_dashes(words)
    inputs = []
    for word in words:
        if word == DASH:
            inputs.append(_standard_input())
            continue
        for path, place in matches(word):
            if path.is_dir():
                inputs += [Input(str(path / key), place / key, read) for key, read in in_folder(path)]
            else:
                written = str(path) if str(path) != DASH else f"./{DASH}"
                inputs.append(Input(written, place, path.read_bytes))
    return inputs


def _standard_input() -> Input:
    if sys.stdin is None or is_terminal(sys.stdin):
        raise ConfigError(
            f"{DASH} reads standard input, which is a terminal or closed; give it a file: {DASH} < FILE"
        )
    return Input(DASH, PurePosixPath("stdin"), sys.stdin.buffer.read)


def _images(folder: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(path below the folder, how to read it) of every image in its tree."""
    source = open_source(folder)
    for key in source.keys:
        yield key.lstrip("/"), partial(source.read, key)  # a shard in the folder may hold absolute names


def _codes(folder: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(path below the folder, how to read it) of every `.vqc` in its tree."""
    files = sorted(file for file in folder.rglob("*.vqc") if file.is_file())
    if not files:
        raise DataError(f"{folder} holds no .vqc files; name files of codes of other kinds one by one")
    for file in files:
        yield file.relative_to(folder).as_posix(), file.read_bytes


def _is_pattern(word: str) -> bool:
    return any(character in word for character in "*?[")
