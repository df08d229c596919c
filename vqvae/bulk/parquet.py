"""Rows as a Parquet file whose bytes follow from the rows alone.

Columns: `key`, `codes` (row by row; a list of h*w where all images have one size, else of any length),
`grid_h`, `grid_w`, `width`, `height`, `source_sha256` (hex), `status` ("ok" or "error"), `error`. What a bad
image lacks is null. The schema's metadata has the code space as JSON under `vqvae`. Arrow writes its own
version into a file, which is why the manifest knows it.

Shapes: h w grid height and width.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from vqvae.bulk.manifest import Manifest
from vqvae.bulk.rows import Row
from vqvae.config import to_dict
from vqvae.errors import FormatError

ROW_GROUP = 1024  # rows at most
ROW_GROUP_CODES = 2**23  # and so many codes, or a row more: what waits to be written fits in memory
PLAIN = ("grid_h", "grid_w", "width", "height")


class ParquetWriter:
    """Rows to a file, a row group at a time."""

    def __init__(self, file: BinaryIO, manifest: Manifest) -> None:
        self._schema = schema_of(manifest)
        self._dtype = manifest.space.dtype
        self._rows: list[Row] = []
        self._num_codes = 0
        # a dictionary of the codes that occur brings them to log2 K bits each
        self._writer = pq.ParquetWriter(
            file,
            self._schema,
            version="2.6",
            data_page_version="1.0",
            compression="zstd",
            compression_level=3,
            use_dictionary=True,
            write_statistics=True,
            store_schema=True,
        )

    def write(self, row: Row) -> None:
        """Add one row."""
        self._rows.append(row)
        self._num_codes += 0 if row.codes is None else row.codes.size
        if len(self._rows) == ROW_GROUP or self._num_codes >= ROW_GROUP_CODES:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the footer."""
        try:
            if self._rows:
                self._flush()
            self._writer.close()
        finally:
            self._writer.is_open = False  # else it tries again when it is collected

    def _flush(self) -> None:
        rows, self._rows, self._num_codes = self._rows, [], 0
        columns = {
            "key": [row.key for row in rows],
            "codes": self._codes(rows),
            "grid_h": [row.grid[0] for row in rows],
            "grid_w": [row.grid[1] for row in rows],
            "width": [row.width for row in rows],
            "height": [row.height for row in rows],
            "source_sha256": [row.source_sha256 for row in rows],
            "status": [row.status for row in rows],
            "error": [row.error for row in rows],
        }
        table = pa.Table.from_pydict(columns, schema=self._schema)
        self._writer.write_table(table, row_group_size=ROW_GROUP)

    def _codes(self, rows: list[Row]) -> Any:
        kind = self._schema.field("codes").type
        bad = pa.array([row.codes is None for row in rows])
        fixed = pa.types.is_fixed_size_list(kind)
        filler = np.zeros(kind.list_size if fixed else 0, self._dtype)
        codes = [filler if row.codes is None else row.codes.ravel() for row in rows]
        values = pa.array(np.concatenate(codes))
        if fixed:
            return pa.FixedSizeListArray.from_arrays(values, type=kind, mask=bad)
        offsets = np.cumsum([0, *map(len, codes)], dtype=np.int32)
        return pa.ListArray.from_arrays(offsets, values, type=kind, mask=bad)


def schema_of(manifest: Manifest) -> Any:
    """The columns, by name and type."""
    space, size = manifest.space, manifest.options.size
    code = pa.from_numpy_dtype(space.dtype)
    h, w = space.grid_of(size, size) if size else (0, 0)
    return pa.schema(
        [
            ("key", pa.string()),
            ("codes", pa.list_(code, h * w) if size else pa.list_(code)),
            *((name, pa.uint32()) for name in PLAIN),
            ("source_sha256", pa.string()),
            ("status", pa.string()),
            ("error", pa.string()),
        ],
        metadata={"vqvae": json.dumps(to_dict(space))},
    )


def read_parquet(path: Path) -> Iterator[Row]:
    """The rows of a file in order; FormatError where it is damaged."""
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield from _rows(file.read_row_group(group))
    except (OSError, ValueError, KeyError) as error:  # what Arrow raises is of these
        raise FormatError(f"{path} is damaged: {error}") from error


def _rows(table: Any) -> Iterator[Row]:
    codes = table.column("codes").combine_chunks().flatten().to_numpy()  # of the rows that have some
    names = ("key", "source_sha256", "error", *PLAIN)
    columns = {name: table.column(name).to_pylist() for name in names}
    start = 0
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(names, values, strict=True))
        h, w = row.pop("grid_h"), row.pop("grid_w")
        if row["error"] is None:
            row["codes"] = codes[start : start + h * w].reshape(h, w)
            start += h * w
        else:
            row["codes"] = None
        yield Row(**row)
