import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from vqvae import Tokenizer
from vqvae.bulk import InProcess, Options, Sample, plan_job, run_job, verification, verify
from vqvae.bulk.records import read_record, write_record
from vqvae.errors import BulkError
from vqvae.sources import open_source

SHARD = "codes-00001.parquet"


@pytest.fixture
def copy(finished, tmp_path):
    """The finished set, to be damaged."""
    return shutil.copytree(finished, tmp_path / "codes")


@pytest.fixture
def sample(photographs, tokenizer):
    return Sample(open_source(photographs), tokenizer, num_images=100)


def test_a_sound_set_has_no_problems(finished, sample):
    shards = []
    found = verify(finished, sample, on_shard=lambda: shards.append(1))
    assert found.problems == ()
    assert (found.num_shards, found.num_images, found.num_codes) == (3, 8, 117)
    assert (found.num_sampled, found.num_sampled_codes, found.num_differing_codes) == (8, 117, 0)
    assert len(shards) == 3


def test_without_a_sample_it_needs_neither_source_nor_model(copy):
    found = verify(copy)
    assert (found.problems, found.num_images, found.num_sampled) == ((), 8, 0)


def test_a_sample_has_the_size_that_was_asked_for_and_is_always_the_same(finished, sample):
    found = [verify(finished, replace(sample, num_images=3)) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].num_sampled == 3


@pytest.mark.parametrize("place", [0, 0.1, 0.5, 0.9, -1])
def test_a_flipped_byte_is_found(copy, place):
    path = copy / "data" / SHARD
    data = bytearray(path.read_bytes())
    data[int(place * len(data)) if place >= 0 else -1] ^= 1
    path.write_bytes(data)
    found = verify(copy)
    assert found.problems == (f"{path} is damaged: its SHA-256 is not the one in its record",)
    assert found.num_images == 5


def test_a_missing_shard_a_missing_record_and_a_stranger_are_found(copy):
    (copy / "data" / SHARD).unlink()
    (copy / "done/codes-00002.parquet.json").unlink()
    (copy / "data/codes-00003.parquet").touch()
    assert verify(copy).problems == (
        f"{copy / 'data' / SHARD} is missing",
        f"{copy / 'data/codes-00002.parquet'} is not finished: it has no done record",
        f"{copy / 'data/codes-00003.parquet'} is no shard of this set; remove it",
    )


def test_codes_that_another_model_made_are_found(photographs, weights, copy, sample, tmp_path):
    job = plan_job(photographs, tmp_path / "b", model=weights / "other", options=Options(shard_size=3))
    run_job(job, InProcess(Tokenizer.load(weights / "other")), max_error_rate=1)
    for path in (f"data/{SHARD}", f"done/{SHARD}.json"):
        shutil.copy(tmp_path / "b" / path, copy / path)
    problems = verify(copy).problems  # without looking at an image: the record says whose they are
    assert len(problems) == 1
    assert "fingerprint is " in problems[0]
    fingerprint = read_record(copy, "codes-00000.parquet").fingerprint
    write_record(copy, replace(read_record(copy, SHARD), fingerprint=fingerprint))
    assert verify(copy).problems == ()  # a lie that only encoding finds
    found = verify(copy, sample)
    assert found.num_differing_codes > 20
    assert len(found.problems) == 1
    assert "of 117 codes of the sample are not those that tiny@" in found.problems[0]


def test_a_model_other_than_the_manifest_s_is_refused(finished, sample, weights):
    with pytest.raises(BulkError, match=r"holds codes of tiny@.*, the model is other@"):
        verify(finished, replace(sample, tokenizer=Tokenizer.load(weights / "other")))


def test_rows_that_are_not_those_of_the_listing_are_found(copy, rewrite):
    rewrite(copy, SHARD, lambda rows: rows[::-1])
    rewrite(copy, "codes-00000.parquet", lambda rows: rows[:2])
    rewrite(copy, "codes-00002.parquet", lambda rows: [*rows, rows[-1]])
    assert verify(copy).problems == (
        f"{copy / 'data/codes-00000.parquet'} has 2 rows; by the listing it should be 3",
        f"{copy / 'data' / SHARD}, row 0 is of a/5.png; by the listing it should be a/3.png",
        f"{copy / 'data/codes-00002.parquet'}, row 2 is of b/twin.png; by the listing it should be no image",
    )


def test_codes_that_break_their_contract_are_found(copy, rewrite):
    rewrite(copy, SHARD, lambda rows: [replace(rows[0], codes=rows[0].codes + np.uint16(64)), *rows[1:]])
    rewrite(copy, "codes-00000.parquet", lambda rows: [*rows[:2], replace(rows[2], width=80)])
    first, second = verify(copy).problems
    assert first.startswith(f"{copy / 'data/codes-00000.parquet'}, row 2: codes must fill the grid")
    assert second.startswith(f"{copy / 'data' / SHARD}, row 0: codes must lie in [0, 64)")


def test_a_record_that_counts_wrong_is_found(copy):
    record = read_record(copy, SHARD)
    write_record(copy, replace(record, num_codes=1, num_errors=2))
    path = copy / "data" / SHARD
    assert verify(copy).problems == (
        f"{path}: num_errors is 0, its record says 2",
        f"{path}: num_codes is {record.num_codes}, its record says 1",
    )


def test_images_that_are_gone_or_changed_are_found(copy, sample, photographs, tmp_path):
    images = shutil.copytree(photographs, tmp_path / "images")
    (images / "a/0.png").unlink()
    (images / "b/bad.png").write_bytes(b"other")
    shutil.copy(images / "a/1.png", images / "a/2.png")
    assert verify(copy, replace(sample, source=open_source(images))).problems == (
        "1 images are no longer in the source, a/0.png the first",
        "a/2.png is not the image any more that was encoded: its SHA-256 differs",
        "b/bad.png is not the image any more that was encoded: its SHA-256 differs",
    )


def test_an_error_in_place_of_good_codes_is_found(copy, rewrite, sample):
    bad = {"codes": None, "width": None, "height": None, "error": "made up"}
    rewrite(copy, SHARD, lambda rows: [replace(rows[0], **bad), *rows[1:]])
    assert verify(copy).problems == ()
    assert verify(copy, sample).problems == (
        "a/3.png is otherwise than its row: made up; now it can be encoded",
    )


def test_a_few_near_ties_are_no_problem_and_are_told(copy, rewrite, sample, monkeypatch):
    def one_off(rows):
        codes = rows[0].codes.copy()
        codes[0, 0] ^= 1
        return [replace(rows[0], codes=codes), *rows[1:]]

    rewrite(copy, SHARD, one_off)
    assert verify(copy, sample).problems[0].startswith("1 of 117 codes of the sample are not those")
    monkeypatch.setattr(verification, "NEAR_TIES", 1 / 117)
    found = verify(copy, sample)
    assert (found.problems, found.num_differing_codes) == ((), 1)


def test_a_damaged_record_is_one_problem(copy):
    path = copy / "done" / f"{SHARD}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "size": "?"}))
    (problem,) = verify(copy).problems
    assert problem.startswith(f"{path} is damaged: ")


def test_a_damaged_listing_leaves_nothing_to_verify_by(copy):
    (copy / "listing.jsonl").write_text("")
    with pytest.raises(BulkError, match=r"listing\.jsonl is damaged"):
        verify(copy)
