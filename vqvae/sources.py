"""Where images come from: (key, bytes), for training, evaluation and bulk work alike.

A key names an image within its source; keys are unique and sorted, so that an index means the same image
in every process. Nothing is decoded here.
"""

import os
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from vqvae.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})


class Source(Protocol):
    """Images by key."""

    @property
    def keys(self) -> Sequence[str]:
        """Every image's key, sorted, each once."""
        ...

    def read(self, key: str) -> bytes:
        """The image file's bytes, from any thread; DataError where they cannot be had."""
        ...


def open_source(path: str | os.PathLike[str]) -> Source:
    """The images at a path, indexed once; DataError where it is missing, damaged, ambiguous or holds none.

    A folder gives every image and every `.tar` shard in its tree: an image's key is its path below the
    folder, with slashes, and a shard's images go by their names in the shard. A `.tar` file gives the images
    in it. A `.txt` file lists image paths, one a line, relative to the list's own folder; the lines are the
    keys. Images are known by suffix (`.jpg .jpeg .png .webp .gif .bmp .tif .tiff` in any case), except in a
    list, which is taken at its word. Hidden files and folders are passed over.
    """
    path = Path(path)
    if path.is_dir():
        entries = _folder_entries(path)
    elif path.is_file() and path.suffix.lower() == ".tar":
        entries = _tar_entries(path)
    elif path.is_file() and path.suffix.lower() == ".txt":
        entries = _list_entries(path)
    elif path.exists():
        raise DataError(f"{path} is no source of images; give a folder, a .tar file or a .txt list of paths")
    else:
        raise DataError(f"{path} does not exist")
    return _Files(path, entries)


def group_of(key: str) -> str:
    """The sampling group of an image: its folder, then its name up to "__" where there is one.

    `a/b/x.jpg` is of group `a/b`, `a/boats__01.jpg` of `a/boats`, `x.jpg` of the nameless group.
    """
    path = PurePosixPath(key)
    prefix, separator, _ = path.name.partition("__")
    group = path.parent / prefix if separator else path.parent
    return "" if group == PurePosixPath() else group.as_posix()


class _Span(NamedTuple):
    """A run of bytes in a file; size None reaches to its end."""

    file: Path
    offset: int = 0
    size: int | None = None


class _Files:
    """Images that are files, or spans of files."""

    def __init__(self, path: Path, entries: Iterable[tuple[str, _Span]]) -> None:
        self._path = path
        self._spans: dict[str, _Span] = {}
        for key, span in entries:
            if key in self._spans:
                first = self._spans[key].file
                raise DataError(f"{key} is in {path} twice, in {first} and in {span.file}; rename one")
            self._spans[key] = span
        if not self._spans:
            raise DataError(f"{path} holds no images; looked for {' '.join(sorted(IMAGE_SUFFIXES))}")
        self.keys: Sequence[str] = tuple(sorted(self._spans))

    def read(self, key: str) -> bytes:
        span = self._spans.get(key)
        if span is None:
            raise DataError(f"{self._path} holds no image {key}")
        try:
            # A handle of its own for each read: nothing is shared between threads or kept open.
            with span.file.open("rb") as file:
                file.seek(span.offset)
                data = file.read(-1 if span.size is None else span.size)
        except OSError as error:
            raise DataError(f"{span.file} cannot be read: {error.strerror}") from error
        if span.size is not None and len(data) != span.size:
            raise DataError(f"{key} should be {span.size} bytes of {span.file}, got {len(data)}; it changed")
        return data


def _is_image(path: PurePosixPath | Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _folder_entries(root: Path) -> Iterable[tuple[str, _Span]]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder, name)
            if name.startswith("."):
                continue
            if _is_image(file):
                yield file.relative_to(root).as_posix(), _Span(file)
            elif file.suffix.lower() == ".tar":
                yield from _tar_entries(file)


def _tar_entries(file: Path) -> Iterable[tuple[str, _Span]]:
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name)  # drops a leading "./"
                if member.isreg() and not member.issparse() and _is_image(name) and not _is_hidden(name):
                    yield name.as_posix(), _Span(file, member.offset_data, member.size)
            end = tar.offset
        # tarfile takes a damaged header behind the first for the end of the archive; the true end is zeros.
        with file.open("rb") as handle:
            handle.seek(end)
            if any(handle.read(tarfile.BLOCKSIZE)):
                raise DataError(f"{file} is damaged: there is no tar header at byte {end}")
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{file} is no whole, uncompressed tar file: {error}") from error


def _list_entries(file: Path) -> Iterable[tuple[str, _Span]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{file} cannot be read as UTF-8 text with a path on each line") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        image = file.parent / line.strip()
        if not image.is_file():
            raise DataError(f"{file} line {number}: there is no file {image}")
        yield PurePosixPath(line.strip()).as_posix(), _Span(image)
