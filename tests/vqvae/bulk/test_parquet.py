"""Shards as Parquet, and as others read them."""

import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vqvae.bulk import open_code_set, parquet, read_manifest
from vqvae.bulk.manifest import Options
from vqvae.bulk.parquet import ParquetWriter, read_parquet
from vqvae.bulk.rows import Row
from vqvae.errors import FormatError

SHA = "0f" * 32


def row_of(key, h, w, first=0):
    codes = (np.arange(first, first + h * w) % 64).astype(np.uint16).reshape(h, w)
    return Row(key, SHA, codes, 8 * w, 8 * h, None)


def bad_row(key, sha256=SHA):
    return Row(key, sha256, None, None, None, "it is bad")


ROWS = [row_of("a", 2, 3), bad_row("b"), row_of("ü", 1, 1, first=5), row_of("d", 4, 2), bad_row("e", None)]
FIXED = [row_of("a", 2, 2), bad_row("b"), row_of("c", 2, 2, first=9)]


@pytest.fixture(scope="module")
def manifest(finished):
    return read_manifest(finished)


def written(manifest, rows):
    file = io.BytesIO()
    writer = ParquetWriter(file, manifest)
    for row in rows:
        writer.write(row)
    writer.close()
    return file.getvalue()


def as_tuples(rows):
    return [
        (
            row.key,
            row.source_sha256,
            None if row.codes is None else row.codes.tolist(),
            row.width,
            row.height,
            row.error,
        )
        for row in rows
    ]


@pytest.mark.parametrize(("size", "rows"), [(0, ROWS), (16, FIXED)], ids=["mixed sizes", "one size"])
def test_rows_come_back_whatever_the_row_groups(manifest, tmp_path, monkeypatch, size, rows):
    manifest = replace(manifest, options=Options(size=size))
    for length in (1, 2, 1024):
        monkeypatch.setattr(parquet, "ROW_GROUP", length)
        path = tmp_path / f"{length}.parquet"
        path.write_bytes(written(manifest, rows))
        assert as_tuples(read_parquet(path)) == as_tuples(rows)
        assert pq.ParquetFile(path).num_row_groups == -(-len(rows) // length)


def test_many_codes_end_a_row_group_early(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_CODES", 7)
    path = tmp_path / "a.parquet"
    path.write_bytes(written(manifest, ROWS))
    groups = pq.ParquetFile(path)
    assert [groups.metadata.row_group(i).num_rows for i in range(groups.num_row_groups)] == [3, 1, 1]
    assert as_tuples(read_parquet(path)) == as_tuples(ROWS)


def test_bytes_follow_from_the_rows(manifest):
    assert written(manifest, ROWS) == written(manifest, ROWS)
    assert written(manifest, ROWS) != written(manifest, ROWS[::-1])


def test_columns_are_those_that_the_format_names(manifest):
    table = pq.read_table(io.BytesIO(written(replace(manifest, options=Options(size=16)), FIXED)))
    assert table.schema.field("codes").type == pa.list_(pa.uint16(), 4)
    assert table.drop_columns("codes").to_pylist()[:2] == [
        {
            "key": "a",
            "grid_h": 2,
            "grid_w": 2,
            "width": 16,
            "height": 16,
            "source_sha256": SHA,
            "status": "ok",
            "error": None,
        },
        {
            "key": "b",
            "grid_h": None,
            "grid_w": None,
            "width": None,
            "height": None,
            "source_sha256": SHA,
            "status": "error",
            "error": "it is bad",
        },
    ]
    assert table.column("codes").to_pylist() == [[0, 1, 2, 3], None, [9, 10, 11, 12]]
    mixed = pq.read_table(io.BytesIO(written(manifest, ROWS)))
    assert mixed.schema.field("codes").type == pa.list_(pa.uint16())
    assert manifest.space.fingerprint.encode() in mixed.schema.metadata[b"vqvae"]


def test_more_than_65536_codes_take_four_bytes(manifest):
    large = replace(manifest, space=replace(manifest.space, codebook_size=2**17))
    row = Row("a", SHA, np.array([[2**17 - 1]], np.uint32), 8, 8, None)
    table = pq.read_table(io.BytesIO(written(large, [row])))
    assert table.column("codes").to_pylist() == [[2**17 - 1]]


def test_codes_take_little_more_than_their_bits(manifest):
    random = np.random.default_rng(0)
    codes = random.integers(0, 64, (100, 32, 32)).astype(np.uint16)
    rows = [Row(str(number), SHA, each, 256, 256, None) for number, each in enumerate(codes)]
    bits = 8 * len(written(replace(manifest, options=Options(size=256)), rows)) / (100 * 1024)
    assert 6 <= bits < 6.5  # log2 64 = 6


def test_a_damaged_file_is_an_error_that_names_it(manifest, tmp_path):
    data = written(manifest, ROWS)
    for damaged in (b"", data[:-10], data[: len(data) // 2], b"hello"):
        (tmp_path / "a.parquet").write_bytes(damaged)
        with pytest.raises(FormatError, match=r"a\.parquet is damaged"):
            list(read_parquet(tmp_path / "a.parquet"))


def test_hugging_face_datasets_read_the_folder(finished, files, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    from datasets import load_dataset  # noqa: PLC0415 - it reads the environment

    rows = load_dataset(str(finished), split="train", cache_dir=str(tmp_path))
    assert rows["key"][:] == sorted(files)
    assert str(rows.features["codes"].feature.dtype) == "uint16"
    good = rows.filter(lambda status: status == "ok", input_columns="status").with_format("numpy")
    expected = [row.codes for row in open_code_set(finished).rows() if row.codes is not None]
    assert len(good) == len(expected) == len(files) - 1
    for row, codes in zip(good, expected, strict=True):
        assert np.array_equal(row["codes"].reshape(row["grid_h"], row["grid_w"]), codes)
