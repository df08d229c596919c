"""Where images come from: (key, bytes), for training, evaluation and bulk work alike.

A key names an image within its source; keys are unique and in an order that is the same in every process, so
that an index means the same image everywhere. Nothing is decoded here.
"""

import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, NamedTuple, Protocol, TypeVar

from vqvae.errors import DataError, MissingExtraError, SourceChangedError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
IMAGE_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "bytes")  # of Parquet: the first that holds bytes
KEY_COLUMNS = ("key", "__key__", "path", "file_name", "id")  # and the first that is there


class Source(Protocol):
    """Images by key; it can be pickled."""

    @property
    def keys(self) -> Sequence[str]:
        """Every image's key, each once: sorted, but for Parquet, whose rows keep their order."""
        ...

    def read(self, key: str) -> bytes:
        """The image file's bytes, from any thread; DataError where they cannot be had.

        SourceChangedError where they are gone, or fewer than they were.
        """
        ...

    def size(self, key: str) -> int | None:
        """How many bytes `read` gives; None where only reading tells."""
        ...

    def mark(self, key: str) -> int | None:
        """A number that a changed image hardly keeps, had without reading it; None where it is gone.

        The image's bytes, or of Parquet those that the images of its row group take in the file.
        """
        ...

    def part(self, keys: Iterable[str]) -> "Source":
        """The source of these keys alone, in this order: light enough to be sent to another process."""
        ...


def open_source(path: str | os.PathLike[str]) -> Source:
    """The images at a path, indexed once; DataError where it is missing, damaged, ambiguous or holds none.

    A folder gives every image and every `.tar` shard in its tree: an image's key is its path below the
    folder, with slashes, and a shard's images go by their names in the shard. A `.tar` file gives the images
    in it. A `.txt` file lists image paths, one a line, relative to the list's own folder; the lines are the
    keys. Images are known by suffix (`.jpg .jpeg .png .webp .gif .bmp .tif .tiff` in any case), except in a
    list, which is taken at its word. Hidden files and folders are passed over.

    A `.parquet` file gives its rows, and a folder without images and shards those of every Parquet file in
    its tree, file by file. The image files are in the first of the columns `image jpg jpeg png webp bytes`
    that holds bytes, or a struct of `bytes` and `path` as Hugging Face writes it; the keys in the first of
    `key __key__ path file_name id`, or in that struct's `path`.
    """
    path = Path(path)
    if path.is_dir():
        entries = list(_folder_entries(path))
        tables = [] if entries else [file for file in _files_below(path) if _is_table(file)]
        if tables:
            return _Rows(path, _index(path, _row_entries(tables)))
    elif path.is_file() and _is_table(path):
        return _Rows(path, _index(path, _row_entries([path])))
    elif path.is_file() and path.suffix.lower() == ".tar":
        entries = list(_tar_entries(path))
    elif path.is_file() and path.suffix.lower() == ".txt":
        entries = list(_list_entries(path))
    elif path.exists():
        raise DataError(
            f"{path} is no source of images; "
            "give a folder, a .tar file, a .txt list of paths or a .parquet file"
        )
    else:
        raise DataError(f"{path} does not exist")
    spans = _index(path, entries)
    return _Files(path, {key: spans[key] for key in sorted(spans)})


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


class _Cell(NamedTuple):
    """A row of a Parquet file, by its row group, and the column that holds its image."""

    file: Path
    group: int
    row: int  # within the group
    column: str
    stored: int  # bytes that the column takes in the group


Place = TypeVar("Place", _Span, _Cell)


def _index(path: Path, entries: Iterable[tuple[str, Place]]) -> dict[str, Place]:
    """Key -> where its image is; DataError where two share a key, or there are none."""
    index: dict[str, Place] = {}
    for key, place in entries:
        if key in index:
            raise DataError(f"{key} is in {path} twice, in {index[key].file} and in {place.file}; rename one")
        index[key] = place
    if not index:
        raise DataError(f"{path} holds no images; looked for {' '.join(sorted(IMAGE_SUFFIXES))}")
    return index


class _Files:
    """Images that are files, or spans of files."""

    def __init__(self, path: Path, spans: Mapping[str, _Span]) -> None:
        self._path = path
        self._spans = spans
        self.keys: Sequence[str] = tuple(spans)

    def size(self, key: str) -> int | None:
        span = self._spans[key]
        try:
            return span.file.stat().st_size if span.size is None else span.size
        except OSError:  # which reading it will tell
            return None

    mark = size

    def part(self, keys: Iterable[str]) -> "_Files":
        return _Files(self._path, {key: self._spans[key] for key in keys})

    def read(self, key: str) -> bytes:
        span = self._spans.get(key)
        if span is None:
            raise DataError(f"{self._path} holds no image {key}")
        try:
            # A handle of its own for each read: nothing is shared between threads or kept open.
            with span.file.open("rb") as file:
                file.seek(span.offset)
                data = file.read(-1 if span.size is None else span.size)
        except FileNotFoundError as error:
            if span.file.is_symlink():  # to nothing, and so it was listed
                raise DataError(f"{span.file} cannot be read: it is a link to nothing") from error
            raise SourceChangedError(f"{span.file} is there no more") from error
        except OSError as error:
            raise DataError(f"{span.file} cannot be read: {error.strerror or error}") from error
        if span.size is not None and len(data) != span.size:
            raise SourceChangedError(
                f"{key} should be {span.size} bytes of {span.file}, got {len(data)}; it changed"
            )
        return data


class _Rows:
    """Images that are rows of Parquet files.

    The row group that was read last is kept, for rows are read in their order; one that holds gigabytes takes
    them.
    """

    def __init__(self, path: Path, cells: Mapping[str, _Cell]) -> None:
        self._path = path
        self._cells = cells
        self.keys: Sequence[str] = tuple(cells)
        self._kept: tuple[tuple[Path, int], Any] | None = None
        self._lock = Lock()

    def __reduce__(self) -> tuple[type["_Rows"], tuple[Path, Mapping[str, _Cell]]]:
        return _Rows, (self._path, self._cells)

    def size(self, key: str) -> None:
        return None

    def mark(self, key: str) -> int:
        return self._cells[key].stored

    def part(self, keys: Iterable[str]) -> "_Rows":
        return _Rows(self._path, {key: self._cells[key] for key in keys})

    def read(self, key: str) -> bytes:
        cell = self._cells.get(key)
        if cell is None:
            raise DataError(f"{self._path} holds no image {key}")
        with _readable(cell.file):
            value = self._group(cell)[cell.row].as_py()
        data = value["bytes"] if isinstance(value, dict) else value
        if data is None:
            raise DataError(f"{key} has no bytes in column `{cell.column}` of {cell.file}")
        return bytes(data)

    def _group(self, cell: _Cell) -> Any:
        """The images of a row group, as an Arrow column."""
        with self._lock:
            if self._kept is None or self._kept[0] != (cell.file, cell.group):
                self._kept = None  # first, so that there is never room needed for two
                with _parquet().ParquetFile(cell.file) as parquet:
                    images = parquet.read_row_group(cell.group, columns=[cell.column]).column(0)
                self._kept = (cell.file, cell.group), images
            return self._kept[1]


def _is_image(path: PurePosixPath | Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _files_below(root: Path) -> Iterator[Path]:
    """The files of a folder's tree, in an order that is always the same, without hidden ones."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _folder_entries(root: Path) -> Iterable[tuple[str, _Span]]:
    for file in _files_below(root):
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


def _row_entries(files: Iterable[Path]) -> Iterator[tuple[str, _Cell]]:
    for file in files:
        with _readable(file), _parquet().ParquetFile(file) as parquet:
            image, key = _columns(file, parquet.schema_arrow)
            for group in range(parquet.num_row_groups):
                stored = _stored(parquet.metadata.row_group(group), image)
                keys = parquet.read_row_group(group, columns=[key]).column(0)
                for row, value in enumerate(keys.to_pylist()):
                    name = value.get("path") if isinstance(value, dict) else value
                    if name is None or name == "":
                        raise DataError(
                            f"{file} has no key in column `{key}`, row {row} of row group {group}"
                        )
                    yield str(name), _Cell(file, group, row, image, stored)


def _stored(group: Any, column: str) -> int:
    """Bytes that a column, of fields or of none, takes in a row group."""
    chunks = (group.column(i) for i in range(group.num_columns))
    return sum(
        chunk.total_compressed_size
        for chunk in chunks
        if chunk.path_in_schema == column or chunk.path_in_schema.startswith(f"{column}.")
    )


def _columns(file: Path, schema: Any) -> tuple[str, str]:
    """The names of the columns of images and of keys; DataError where a Parquet file has no such."""
    from pyarrow import types  # type: ignore[import-untyped]  # noqa: PLC0415 - see `_parquet`

    def is_bytes(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    def type_of(name: str) -> Any:
        return schema.field(name).type

    def fields_of(name: str) -> dict[str, Any]:
        kind = type_of(name)
        return {field.name: field.type for field in kind} if types.is_struct(kind) else {}

    have = f"{file} has the columns {', '.join(schema.names)}"
    present = [name for name in IMAGE_COLUMNS if name in schema.names]
    image = next((name for name in present if is_bytes(fields_of(name).get("bytes", type_of(name)))), None)
    if image is None:
        raise DataError(f"{have}, none of images; looked for bytes in {' '.join(IMAGE_COLUMNS)}")
    keys = (name for name in KEY_COLUMNS if name in schema.names)
    key = next(keys, f"{image}.path" if "path" in fields_of(image) else None)
    if key is None:
        raise DataError(f"{have}, none of keys; looked for {' '.join(KEY_COLUMNS)}")
    return image, key


def _parquet() -> Any:
    """pyarrow's module, which only this kind of source needs; MissingExtraError where it is missing."""
    try:
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading Parquet files", "bulk") from error
    return parquet


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """What Arrow and the operating system raise on a bad file, as DataError."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:  # ArrowInvalid is a ValueError, ArrowKeyError a KeyError
        raise DataError(f"{file} cannot be read as Parquet: {error}") from error
