import os

import pytest

ENCODE = ("bulk", "encode", "images", "codes", "-m", "tiny", "--shard-size", "5", "--max-error-rate", "1")


@pytest.fixture
def encoded(vqvae, images, tmp_path):
    assert vqvae(*ENCODE, "--workers", "1").code == 0
    return tmp_path / "codes"


def test_a_sound_set_is_told_in_three_lines(vqvae, encoded):
    ended = vqvae("bulk", "verify", "codes")
    assert (ended.code, ended.err) == (0, "")
    first, second, third = ended.out.splitlines()
    assert first.startswith("codes: 3 shards, 12 images, 81 codes of tiny@")
    assert second == "12 images encoded again: 0 of 81 codes differ"
    assert third == "all as the manifest says"


def test_what_is_wrong_is_a_line_each_and_2(vqvae, encoded):
    shards = sorted((encoded / "data").iterdir())
    shards[0].write_bytes(shards[0].read_bytes()[:-1] + b"?")
    shards[2].unlink()
    ended = vqvae("bulk", "verify", "codes", "--sample", "1")
    assert ended.code == 2
    assert ended.err.splitlines() == [
        "error: codes/data/codes-00000.parquet is damaged: its SHA-256 is not the one in its record",
        "error: codes/data/codes-00002.parquet is missing",
    ]
    assert "all as the manifest says" not in ended.out


def test_images_that_have_moved_are_found_where_source_says(vqvae, encoded, images, tmp_path):
    images.rename(tmp_path / "moved")
    ended = vqvae("bulk", "verify", "codes")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "error: images does not exist; say with --source where the images are, or do with --sample 0\n"
    )
    assert vqvae("bulk", "verify", "codes", "--source", "moved").code == 0
    assert vqvae("bulk", "verify", "codes", "--sample", "0").code == 0


def test_another_model_is_refused(vqvae, encoded):
    ended = vqvae("bulk", "verify", "codes", "-m", "other")
    assert ended.code == 2
    assert "the model is other@" in ended.err


def test_a_folder_that_holds_no_codes_is_an_error(vqvae, tmp_path):
    os.mkdir(tmp_path / "empty")
    ended = vqvae("bulk", "verify", "empty")
    assert (ended.code, ended.err) == (
        2,
        "error: empty holds no codes of `vqvae bulk encode`: there is no manifest.json\n",
    )
