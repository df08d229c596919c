import io
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from vqvae.bulk import read_manifest
from vqvae.bulk.rows import Row
from vqvae.bulk.webdataset import TarWriter, check_samples, read_tar, sample_of
from vqvae.errors import ConfigError, FormatError

SHA = "0f" * 32
LONG = "long/" * 30 + "ü.jpg"
ROWS = [
    Row("a/b.jpg", SHA, np.arange(6, dtype=np.uint16).reshape(2, 3), 24, 16, None),
    Row("c.png", None, None, None, None, "it is bad"),
    Row(LONG, SHA, np.zeros((1, 1), np.uint16), 3, 4, None),
]


@pytest.fixture(scope="module")
def written(finished):
    file = io.BytesIO()
    writer = TarWriter(file, read_manifest(finished))
    for row in ROWS:
        writer.write(row)
    writer.close()
    return file.getvalue()


def test_samples_are_named_as_their_images_are(written):
    with tarfile.open(fileobj=io.BytesIO(written)) as tar:
        assert tar.getnames() == [
            "a/b.codes.npy",
            "a/b.json",
            "c.codes.npy",
            "c.json",
            LONG.replace(".jpg", ".codes.npy"),
            LONG.replace(".jpg", ".json"),
        ]
        assert np.load(io.BytesIO(tar.extractfile("a/b.codes.npy").read())).tolist() == [[0, 1, 2], [3, 4, 5]]
        assert np.load(io.BytesIO(tar.extractfile("c.codes.npy").read())).shape == (0, 0)
        facts = json.load(tar.extractfile("c.json"))
        assert (facts["key"], facts["status"], facts["error"], facts["grid_h"]) == (
            "c.png",
            "error",
            "it is bad",
            None,
        )
        assert len(facts["fingerprint"]) == 64


def test_members_have_no_time_and_no_owner(written):
    with tarfile.open(fileobj=io.BytesIO(written)) as tar:
        assert {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in tar} == {
            (0, 0, 0, "", 0o644)
        }


def test_rows_come_back(written, tmp_path):
    (tmp_path / "a.tar").write_bytes(written)
    for row, expected in zip(read_tar(tmp_path / "a.tar"), ROWS, strict=True):
        assert (row.key, row.source_sha256, row.width, row.height, row.error) == (
            expected.key,
            expected.source_sha256,
            expected.width,
            expected.height,
            expected.error,
        )
        assert np.array_equal(row.codes, expected.codes) if expected.codes is not None else row.codes is None


@pytest.mark.parametrize(
    ("key", "sample"),
    [
        ("0001.jpg", "0001"),
        ("a.b/0001.left.PNG", "a.b/0001_left"),
        ("0001", "0001"),
        ("v1.5", "v1_5"),
        ("/abs/x.tiff", "abs/x"),
    ],
)
def test_a_sample_has_the_name_of_its_image_without_a_dot(key, sample):
    assert sample_of(key) == sample


def test_two_images_of_one_sample_are_refused_before_any_work():
    with pytest.raises(ConfigError, match=r"a\.jpg and a\.png would both be the sample a"):
        check_samples(["a.jpg", "a.png"])
    with pytest.raises(ConfigError, match=r"x\.l\.png and x_l\.png would both be the sample x_l"):
        check_samples(["x.l.png", "x_l.png"])
    with pytest.raises(ConfigError, match="climbs out of its folder"):
        check_samples(["../a.jpg"])


def test_hugging_face_datasets_reads_every_sample_a_bad_first_one_and_dots_too(finished, tmp_path):
    datasets = pytest.importorskip("datasets")
    with (tmp_path / "a.tar").open("wb") as file:
        writer = TarWriter(file, read_manifest(finished))
        for key, row in zip(
            ("bad.png", "x.left.png", "x.right.png"), (ROWS[1], ROWS[0], ROWS[2]), strict=True
        ):
            writer.write(replace(row, key=key))
        writer.close()
    table = datasets.load_dataset(
        "webdataset", data_files=str(tmp_path / "a.tar"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert [sample["json"]["key"] for sample in table] == ["bad.png", "x.left.png", "x.right.png"]
    assert [np.asarray(sample["codes.npy"]).size for sample in table] == [0, 6, 1]


def test_a_damaged_file_is_an_error_that_names_it(written, tmp_path):
    for damaged in (written[:700], b"hello" * 200, written.replace(b'"key"', b'"kez"')):
        (tmp_path / "a.tar").write_bytes(damaged)
        with pytest.raises(FormatError, match=r"a\.tar is damaged"):
            list(read_tar(tmp_path / "a.tar"))
