"""One shard's work: what the rows hold, whatever does it."""

import errno
import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from vqvae import Tokenizer
from vqvae.bulk import Options, ShardWork, Tally, encode_shard, open_code_set, plan_job, shard
from vqvae.bulk.framing import centre_square
from vqvae.bulk.shard import BATCH_PIXELS, encode_images
from vqvae.errors import BulkError, DataError, FingerprintError
from vqvae.pixels import decode_image
from vqvae.sources import open_source

NO_IMAGE = "image must be a JPEG, PNG, WebP, GIF, BMP or TIFF; its first bytes are of none"


@pytest.fixture
def work_of(photographs, weights, tmp_path):
    """The work of the only shard of the photographs' codes."""

    def plan(**options):
        job = plan_job(photographs, tmp_path / "codes", model=weights / "tiny", options=Options(**options))
        for name in ("data", "done"):
            (job.folder / name).mkdir(parents=True)
        return ShardWork(job.folder, job.manifest, job.shards[0], job.source)

    return plan


@pytest.mark.parametrize("size", [0, 16])
def test_every_image_has_the_codes_that_it_has_alone(encode, photographs, files, tokenizer, tmp_path, size):
    encode(photographs, tmp_path / "codes", size=size)
    rows = {row.key: row for row in open_code_set(tmp_path / "codes").rows()}
    assert list(rows) == sorted(files)
    for key, data in files.items():
        row = rows[key]
        assert row.source_sha256 == hashlib.sha256(data).hexdigest()
        if key == "b/bad.png":
            assert row.codes is None
            assert (
                row.error == "image must be a JPEG, PNG, WebP, GIF, BMP or TIFF; its first bytes are of none"
            )
        else:
            rgb = decode_image(data)
            grid = tokenizer.encode(centre_square(rgb, size) if size else rgb)
            assert row.code_grid(grid.space) == grid


def test_images_of_one_size_that_follow_each_other_are_encoded_together(work_of, tokenizer, monkeypatch):
    batches = []

    def counted(tokenizer, images):
        batches.append([rgb.shape[:2] for rgb in images])
        return encode_images(tokenizer, images)

    monkeypatch.setattr(shard, "encode_images", counted)
    encode_shard(work_of(), tokenizer)
    assert batches == [[(24, 40)], [(40, 24)] * 3, [(7, 9)], [(64, 33)], [(24, 40)]]
    assert BATCH_PIXELS == 16 * 256 * 256


def test_no_batch_has_more_pixels_than_a_tile(work_of, tokenizer, monkeypatch):
    monkeypatch.setattr(shard, "BATCH_PIXELS", 3 * 16 * 16)
    batches = []

    def counted(tokenizer, images):
        batches.append(len(images))
        return encode_images(tokenizer, images)

    monkeypatch.setattr(shard, "encode_images", counted)
    encode_shard(work_of(size=16), tokenizer)
    assert batches == [3, 3, 1]


def test_bytes_do_not_depend_on_readers_or_threads(work_of, tokenizer):
    work = work_of()
    before = torch.get_num_threads()
    records = {encode_shard(work, tokenizer, readers=readers).sha256 for readers in (1, 2, 5)}
    try:
        torch.set_num_threads(3)
        records.add(encode_shard(work, tokenizer).sha256)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert len(records) == 1


def test_the_record_says_what_the_shard_holds(work_of, tokenizer, photographs):
    tallies = []
    record = encode_shard(work_of(), tokenizer, on_images=tallies.append)
    pixels = 3 * 24 * 40 + 2 * 24 * 40 + 9 * 7 + 33 * 64
    assert record.num_images == 8
    assert record.num_errors == 1
    assert record.num_pixels == pixels
    assert record.num_codes == 5 * 15 + 2 + 5 * 8
    assert record.first_errors == (f"b/bad.png: {NO_IMAGE}",)
    assert sum(tallies, Tally(0, 0, 0)) == Tally(8, 1, pixels)


def test_another_model_is_refused(work_of, weights):
    with pytest.raises(FingerprintError, match=r"is for codes of tiny@.*, the model is other@"):
        encode_shard(work_of(), Tokenizer.load(weights / "other"))


def test_a_process_with_other_versions_is_refused(work_of, tokenizer):
    work = work_of()
    older = replace(work.manifest, made_with=replace(work.manifest.made_with, torch="1.0"))
    with pytest.raises(BulkError, match=r"would make other codes: made_with\.torch was 1\.0, now"):
        encode_shard(replace(work, manifest=older), tokenizer)


class Failing:
    """A source one of whose images cannot be read."""

    def __init__(self, source, key, error):
        self.keys, self._source, self._key, self._error = source.keys, source, key, error

    def read(self, key):
        if key == self._key:
            raise DataError(f"{key} cannot be read: {self._error.strerror}") from self._error
        return self._source.read(key)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EISDIR])
def test_an_image_that_cannot_be_read_is_a_row_without_a_hash(work_of, photographs, tokenizer, number):
    error = OSError(number, "so it is")
    work = work_of()
    record = encode_shard(
        replace(work, source=Failing(open_source(photographs), "a/1.png", error)), tokenizer
    )
    assert record.first_errors[0] == "a/1.png: cannot be read: so it is"
    assert record.num_errors == 2


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_failing_disk_ends_the_work_and_leaves_no_shard(work_of, photographs, tokenizer, number):
    work = work_of()
    broken = Failing(open_source(photographs), "a/1.png", OSError(number, "so it is"))
    with pytest.raises(BulkError, match=r"a/1\.png cannot be read: so it is; mend that"):
        encode_shard(replace(work, source=broken), tokenizer)
    assert [path for path in work.folder.rglob("*") if path.is_file()] == []


def test_a_source_that_is_gone_ends_the_work_and_leaves_no_shard(work_of, photographs, tokenizer, tmp_path):
    copy = tmp_path / "photographs"
    shutil.copytree(photographs, copy)
    work = replace(work_of(), source=open_source(copy))
    shutil.rmtree(copy)
    with pytest.raises(BulkError, match=r"is there no more; put the source back as it was"):
        encode_shard(work, tokenizer)
    assert [path for path in work.folder.rglob("*") if path.is_file()] == []


def test_missing_memory_is_not_called_a_bad_image(work_of, tokenizer, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("vqvae.pixels.to_rgb8", exhausted)
    with pytest.raises(BulkError, match="memory does not suffice to unpack it; give fewer workers"):
        encode_shard(work_of(), tokenizer)


def test_an_image_over_the_limit_is_a_row_that_says_so(work_of, tokenizer, monkeypatch):
    monkeypatch.setattr(
        "vqvae.bulk.preparing.decode_image", lambda data, **_: decode_image(data, max_pixels=1500)
    )
    record = encode_shard(work_of(), tokenizer)
    assert record.first_errors[0] == "a/5.png: image is 33x64 = 2112 pixels; the limit is 1500"


def test_a_large_image_goes_in_tiles(weights, picture, tokenizer):
    tiled = Tokenizer.load(weights / "tiny", tile_size=64)
    rgb = picture(300, 200, seed=3)
    (grid,) = encode_images(tiled, [rgb])
    assert np.array_equal(grid.codes, tokenizer.encode(rgb).codes)
