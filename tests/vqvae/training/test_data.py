"""Shapes: B crops a batch, S crop size in pixels."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqvae.errors import ConfigError, DataError
from vqvae.pixels import encode_image
from vqvae.training.data import (
    DRAWS,
    BatchShape,
    CropConfig,
    Crops,
    Photographs,
    centre_crop,
    split,
    to_grey,
)

ROOMY = 2**30


class Files:
    """A source in memory, which counts how often it is read."""

    def __init__(self, files):
        self.files = files
        self.keys = sorted(files)
        self.num_reads = 0

    def read(self, key):
        self.num_reads += 1
        if self.files[key] is None:
            raise DataError(f"{key} cannot be read")
        return self.files[key]


def noise(width, height, seed):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def crops_of(files, seed=0, cache_bytes=ROOMY, shape=None, **config):
    photographs = Photographs(Files(files), cache_bytes)
    crop_config = CropConfig(**{"size": 16, "grey": 0, "rendered": 0} | config)
    shape = shape or (lambda _: BatchShape(5, crop_config.size))
    return Crops(photographs, photographs.source.keys, crop_config, shape, seed)


FOUR = {f"{i}.png": encode_image(noise(40 + 9 * i, 70 - 9 * i, i)) for i in range(4)}


@pytest.mark.parametrize("config", [{}, {"grey": 0.3, "rendered": 0.5}])
def test_a_crop_is_a_function_of_seed_step_and_index(config):
    crops = crops_of(FOUR, **config)
    first = {(step, index): crops.crop(step, index) for step in range(4) for index in range(3)}
    again = crops_of(FOUR, cache_bytes=0, **config)
    for step, index in reversed(first):
        assert np.array_equal(again.crop(step, index), first[step, index])
    assert len({crop.tobytes() for crop in first.values()}) == len(first)
    others = [crops_of(FOUR, seed=1, **config).crop(0, 0), crops.crop(1, 0), crops.crop(0, 1)]
    assert all(not np.array_equal(first[0, 0], other) for other in others)


@pytest.mark.parametrize(("workers", "ahead"), [(1, 0), (2, 3), (7, 5)])
def test_batches_do_not_depend_on_threads_or_on_where_they_begin(workers, ahead):
    crops = crops_of(FOUR, rendered=0.5)
    for first_step in (0, 3):
        batches = crops_of(FOUR, rendered=0.5).batches(first_step, workers=workers, ahead=ahead)
        for step, batch in enumerate(islice(batches, 4), first_step):
            assert batch.shape == (5, 16, 16, 3)
            assert np.array_equal(batch, [crops.crop(step, index) for index in range(5)])
        batches.close()


def test_a_batch_has_the_shape_of_its_step():
    batches = crops_of(FOUR, shape=lambda step: BatchShape(5 - step, 8 + step), rendered=0.5).batches(0)
    assert [batch.shape for batch in islice(batches, 3)] == [(5, 8, 8, 3), (4, 9, 9, 3), (3, 10, 10, 3)]
    batches.close()


def test_at_full_scale_a_crop_is_a_piece_of_its_photograph():
    rgb = noise(24, 20, 0)
    pieces = np.lib.stride_tricks.sliding_window_view(rgb, (16, 16, 3)).reshape(-1, 16, 16, 3)
    known = {piece.tobytes() for piece in pieces}
    known |= {piece[:, ::-1].tobytes() for piece in pieces}
    crops = crops_of({"a.png": encode_image(rgb)}, min_scale=1.0)
    seen = {crops.crop(step, 0).tobytes() for step in range(60)}
    assert seen <= known
    assert len(seen) > 30


def test_crops_are_shrunk_by_up_to_min_scale_and_never_enlarged():
    # A ramp of one grey level a pixel: the steps between a crop's columns say by how much it was shrunk.
    ramp = np.broadcast_to(np.arange(250, dtype=np.uint8)[None, :, None], (250, 250, 3))
    crops = crops_of({"a.png": encode_image(np.ascontiguousarray(ramp))}, size=64, min_scale=0.4)
    slopes = [np.diff(crops.crop(step, 0)[..., 0].astype(float), axis=1).mean() for step in range(60)]
    sizes = np.abs(slopes)
    assert 0.97 <= sizes.min() < 1.15
    assert 2.2 < sizes.max() <= 2.55  # 1 / 0.4
    assert 15 < sum(slope < 0 for slope in slopes) < 45  # flipped


def test_a_photograph_smaller_than_a_crop_is_padded_by_its_edge():
    rgb = noise(5, 3, 0)
    crop = crops_of({"a.png": encode_image(rgb)}).crop(0, 0)
    crop = crop if np.array_equal(crop[0, 0], rgb[0, 0]) else crop[:, ::-1]
    assert np.array_equal(crop, np.pad(rgb, ((0, 13), (0, 11), (0, 0)), mode="edge"))


@pytest.mark.parametrize(
    ("balance", "shares"),
    [(0.0, (1 / 3, 1 / 3, 1 / 3)), (0.5, (1 / 7, 2 / 7, 4 / 7)), (1.0, (1 / 21, 4 / 21, 16 / 21))],
)
def test_a_group_of_n_photographs_is_drawn_with_weight_n_to_the_balance(balance, shares):
    # groups of 1, 4 and 16 photographs, each group of one grey
    groups = {"few": (1, 10), "some": (4, 20), "many": (16, 30)}
    files = {
        f"{name}/{i:02}.png": encode_image(np.full((8, 8, 3), grey, np.uint8))
        for name, (num, grey) in groups.items()
        for i in range(num)
    }
    crops = crops_of(files, size=8, balance=balance)
    greys = [int(crops.crop(step, 0)[0, 0, 0]) for step in range(1000)]
    for (_, grey), share in zip(groups.values(), shares, strict=True):
        deviation = (share * (1 - share) / 1000) ** 0.5
        assert abs(greys.count(grey) / 1000 - share) < 4 * deviation


def is_grey(crop):
    return (crop == crop[..., :1]).all()


def test_shares_of_the_crops_are_drawn_and_of_the_photographs_grey():
    config = {"grey": 0.2, "rendered": 0.3, "size": 8, "min_scale": 1.0}
    plain, mixed = crops_of(FOUR, **config | {"grey": 0, "rendered": 0}), crops_of(FOUR, **config)
    num_drawn = num_grey = 0
    for step in range(1000):
        photograph, crop = plain.crop(step, 0), mixed.crop(step, 0)
        if np.array_equal(crop, to_grey(photograph)):
            num_grey += 1
        elif not np.array_equal(crop, photograph):  # where none is drawn, the photograph is as it was
            num_drawn += 1
    for num, share in ((num_drawn, 0.3), (num_grey, 0.7 * 0.2)):
        assert abs(num / 1000 - share) < 4 * (share * (1 - share) / 1000) ** 0.5


def test_by_default_a_few_crops_are_drawn():
    assert 0 < CropConfig().rendered <= 0.05


def test_no_crop_or_every_crop_can_be_drawn():
    assert not any(is_grey(crops_of(FOUR).crop(step, 0)) for step in range(50))
    crops = crops_of(BAD, rendered=1)
    assert len({crops.crop(step, 0).tobytes() for step in range(50)}) > 45
    assert crops._photographs.source.num_reads == 0


def test_grey_is_luma():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [9, 9, 9]]], np.uint8)
    greys = to_grey(colours)
    assert is_grey(greys)
    assert greys[0, :, 0].tolist() == [76, 150, 29, 255, 9]  # 255 times 0.299, 0.587, 0.114


BAD = {"bad.jpg": b"\xff\xd8\xff no photograph", "text.png": b"text", "gone.png": None}


def test_bad_photographs_are_skipped_and_named():
    crops = crops_of(FOUR | BAD)
    photographs = crops._photographs
    for step in range(60):
        crops.crop(step, 0)
    assert set(photographs.bad) == set(BAD)
    assert photographs.bad["gone.png"] == "gone.png cannot be read"
    assert "JPEG" in photographs.bad["text.png"]  # which types would have been read


def test_bad_photographs_are_tried_once():
    photographs = Photographs(Files(BAD), ROOMY)
    for _ in range(3):
        assert [photographs.get(key) for key in BAD] == [None] * 3
    assert photographs.source.num_reads == 3


def test_crops_do_not_depend_on_when_a_photograph_was_found_to_be_bad():
    first, second = crops_of(FOUR | BAD), crops_of(FOUR | BAD)
    for key in BAD:
        second._photographs.get(key)
    assert all(np.array_equal(first.crop(step, 0), second.crop(step, 0)) for step in range(20))


def test_nothing_but_bad_photographs_is_an_error():
    with pytest.raises(DataError, match=f"none of {DRAWS} photographs drawn for a crop could be decoded"):
        crops_of(BAD).crop(0, 0)
    with pytest.raises(DataError, match="could be decoded"):
        next(crops_of(BAD).batches(0))


def test_photographs_are_kept_as_long_as_there_is_room():
    one = noise(10, 10, 0).nbytes
    photographs = Photographs(Files({f"{i}.png": encode_image(noise(10, 10, i)) for i in range(3)}), 2 * one)
    for _ in range(4):
        for i in range(3):
            assert np.array_equal(photographs.get(f"{i}.png"), noise(10, 10, i))
    assert photographs.source.num_reads == 1 + 1 + 4


def test_a_centre_crop_is_the_middle():
    rgb = noise(9, 8, 0)
    assert np.array_equal(centre_crop(rgb, 4), rgb[2:6, 2:6])
    assert np.array_equal(centre_crop(rgb, 9), np.pad(rgb, ((0, 1), (0, 0), (0, 0)), mode="edge"))


@given(st.sets(st.text(min_size=1), min_size=1, max_size=60), st.floats(0, 0.9))
def test_a_split_keeps_every_photograph_on_one_side(keys, share):
    keys = sorted(keys)
    training, held_out = split(keys, share)
    assert sorted(training + held_out) == keys
    assert training
    assert len(held_out) == min(max(1, round(share * len(keys))), len(keys) - 1)
    assert split(keys[::-1], share) == (training[::-1], held_out)


def test_a_split_of_a_grown_folder_moves_no_photograph_back():
    keys = [f"{i}.jpg" for i in range(1000)]
    _, held_out = split(keys)
    assert len(held_out) == 20
    _, more = split(keys + [f"new-{i}.jpg" for i in range(1000)])
    assert len(more) == 40
    assert len(set(held_out) & set(more)) > 10


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"size": 7}, "crop size must be at least 8, got 7"),
        ({"min_scale": 0}, r"min_scale must lie in \(0, 1\], got 0"),
        ({"min_scale": 1.5}, r"min_scale must lie in \(0, 1\], got 1.5"),
        ({"balance": -1}, r"balance must lie in \[0, 1\], got -1"),
        ({"grey": 2}, r"grey must lie in \[0, 1\], got 2"),
        ({"rendered": -0.5}, r"rendered must lie in \[0, 1\], got -0.5"),
    ],
)
def test_values_off_their_rule_are_rejected_by_name(variables, message):
    with pytest.raises(ConfigError, match=message):
        CropConfig(**variables)
