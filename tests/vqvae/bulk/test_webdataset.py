import io
import json
import tarfile

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
            "c.json",
            LONG.replace(".jpg", ".codes.npy"),
            LONG.replace(".jpg", ".json"),
        ]
        assert np.load(io.BytesIO(tar.extractfile("a/b.codes.npy").read())).tolist() == [[0, 1, 2], [3, 4, 5]]
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
        ("a/0001.left.PNG", "a/0001.left"),
        ("0001", "0001"),
        ("v1.5", "v1.5"),
        ("/abs/x.tiff", "abs/x"),
    ],
)
def test_only_the_suffix_of_an_image_is_no_part_of_a_sample(key, sample):
    assert sample_of(key) == sample


def test_two_images_of_one_sample_are_refused_before_any_work():
    with pytest.raises(ConfigError, match=r"a\.jpg and a\.png would both be the sample a"):
        check_samples(["a.jpg", "a.png"])
    with pytest.raises(ConfigError, match="climbs out of its folder"):
        check_samples(["../a.jpg"])


def test_a_damaged_file_is_an_error_that_names_it(written, tmp_path):
    for damaged in (written[:700], b"hello" * 200, written.replace(b'"key"', b'"kez"')):
        (tmp_path / "a.tar").write_bytes(damaged)
        with pytest.raises(FormatError, match=r"a\.tar is damaged"):
            list(read_tar(tmp_path / "a.tar"))
