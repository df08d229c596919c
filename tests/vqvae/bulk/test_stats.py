from dataclasses import replace

import numpy as np
import pytest

from vqvae.bulk import picture_of, stats_of
from vqvae.errors import BulkError
from vqvae.pixels import encode_image


@pytest.fixture
def by_hand(encode, rewrite, picture, tmp_path):
    """Codes 0 0 1 | 3 of two images of 24x8 and 8x8 pixels, and a bad one; the last is there once more."""
    images = tmp_path / "images"
    images.mkdir()
    small = encode_image(picture(8, 8, seed=1))
    (images / "a.png").write_bytes(encode_image(picture(24, 8, seed=0)))
    for name, data in (("b.png", b"hello"), ("c.png", small), ("d.png", small)):
        (images / name).write_bytes(data)
    encode(images, tmp_path / "codes")
    of_images = {"a.png": [[0, 0, 1]], "c.png": [[3]], "d.png": [[3]]}

    def with_codes(rows):
        return [
            replace(row, codes=np.array(of_images[row.key], np.uint16)) if row.key in of_images else row
            for row in rows
        ]

    rewrite(tmp_path / "codes", "codes-00000.parquet", with_codes)
    return tmp_path / "codes"


def test_figures_are_those_worked_out_by_hand(by_hand):
    found = stats_of(by_hand)  # codes 0 0 1 3 3
    assert (found.num_images, found.num_errors, found.num_codes, found.num_pixels) == (4, 1, 5, 320)
    assert found.counts[:5].tolist() == [2, 0 + 1, 0, 2, 0]
    assert found.counts.shape == (64,)
    assert found.usage == 3 / 64
    assert found.entropy_bits == pytest.approx(1.5219281)  # 2 * 0.4 log2 2.5 + 0.2 log2 5
    assert found.perplexity == pytest.approx(2**1.5219281)
    assert found.most_common(2) == [0, 3]  # of equals the lower
    assert found.most_common(64) == [0, 3, 1]
    assert [found.share_of_codes(share) for share in (0.1, 0.5, 0.8, 0.81, 1)] == [1, 2, 2, 3, 3]


def test_equal_files_are_duplicates_bad_ones_too(encode, tmp_path, files):
    for name, data in (("1.png", b"x"), ("2.png", files["a/0.png"]), ("3.png", b"x"), ("4.png", b"x")):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_bytes(data)
    encode(tmp_path / "images", tmp_path / "codes", shard_size=2)
    found = stats_of(tmp_path / "codes")
    assert found.duplicates == (("1.png", "3.png", "4.png"),)
    assert found.num_duplicates == 2


def test_json_has_all_of_it(by_hand):
    facts = stats_of(by_hand).to_dict()
    assert facts["duplicates"] == [["c.png", "d.png"]]
    assert sum(facts["histogram"]) == facts["codes"] == 5
    assert facts["perplexity"] == pytest.approx(2.872, abs=1e-3)


def test_a_set_of_bad_images_alone_has_no_perplexity(encode, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"x")
    encode(tmp_path / "images", tmp_path / "codes")
    facts = stats_of(tmp_path / "codes").to_dict()
    assert (facts["codes"], facts["perplexity"], facts["usage"]) == (0, None, 0)


def test_an_unfinished_set_is_refused(encode, photographs, tmp_path):
    encode(photographs, tmp_path / "codes", shard_size=3, is_stopped=lambda: True)
    with pytest.raises(BulkError, match="is not finished: 3 of 3 shards are missing"):
        stats_of(tmp_path / "codes")


def test_the_picture_shows_the_codes_in_their_order():
    patches = np.arange(64, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3)
    drawn = picture_of([7, *range(20, 37)], patches)  # a row of 16, and two
    assert drawn.shape == (2 * 34 - 2, 16 * 34 - 2, 3)
    assert (drawn[:32, :32] == 7).all()
    assert (drawn[:32, 34:66] == 20).all()
    assert (drawn[34:, 34:66] == 36).all()
    assert (drawn[34:, 68:] == 255).all()
