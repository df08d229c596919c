import io

import numpy as np
import pytest
from PIL import Image

from vqvae.checkpoint import load_card
from vqvae.pixels import decode_image, encode_image
from vqvae.quality import model_sheets
from vqvae.quality.drawing import GAP, HEAD_HEIGHT, LABEL_WIDTH, about_of
from vqvae.quality.model_sheets import (
    FAULT_SIZE,
    FAULTS,
    LOOK_SIZE,
    LOOKS,
    ZOOM,
    decoders_sheet,
    faults_sheet,
    shows_less,
)
from vqvae.sources import open_source
from vqvae.tokenizer import Tokenizer


@pytest.fixture
def kodak_like(tmp_path):
    """A set with an image under the key of the first of FAULTS, and one of no fault before it."""
    rgb = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    for name in ("a.png", FAULTS[0].key):
        (tmp_path / name).write_bytes(encode_image(rgb))
    return {"like kodak": open_source(tmp_path)}


@pytest.fixture
def sets(bench):
    return {name: open_source(bench / name) for name in ("large", "small")}


def cells(png, size, num_rows):
    """A sheet as its cells: a list a row."""
    sheet = np.asarray(Image.open(io.BytesIO(png)))
    width, height = size
    num_columns = (sheet.shape[1] - LABEL_WIDTH + GAP) // (width + GAP)
    return [
        [
            sheet[HEAD_HEIGHT + i * (height + GAP) :, LABEL_WIDTH + j * (width + GAP) :][:height, :width]
            for j in range(num_columns)
        ]
        for i in range(num_rows)
    ]


def weights_of(folder, decoder):
    card = load_card(folder)
    return f"{card.fingerprint}/{card.decoders[decoder].digest}"


def enlarged(crop):
    return crop.repeat(ZOOM, 0).repeat(ZOOM, 1)


def test_faults_are_shown_as_they_are_as_they_were_and_by_every_decoder(two_decoders, weights, kodak_like):
    png = faults_sheet(two_decoders, kodak_like, [weights / "other"])
    (source,) = kodak_like.values()
    rgb = decode_image(source.read(FAULTS[0].key))
    (left, top), (width, height) = FAULTS[0].corner, FAULT_SIZE
    first, *others = cells(png, (ZOOM * width, ZOOM * height), 3)
    assert len(first) == 4
    assert np.array_equal(first[0], enlarged(rgb[top : top + height, left : left + width]))
    for cell, (folder, decoder) in zip(
        first[1:],
        [(weights / "other", "faithful"), (two_decoders, "faithful"), (two_decoders, "vivid")],
        strict=True,
    ):
        x_hat = np.asarray(Tokenizer.load(folder, decoder=decoder).reconstruct(rgb))
        assert np.array_equal(cell, enlarged(x_hat[top : top + height, left : left + width]))
    flat, text = (row[0] for row in others)
    assert {tuple(colour) for colour in flat.reshape(-1, 3)} == set(model_sheets.SATURATED)
    assert text.min() < 30
    assert (text[:, -GAP:] == 255).mean() > 0.9


def test_the_very_same_weights_are_shown_once(two_decoders, kodak_like):
    assert faults_sheet(two_decoders, kodak_like, [two_decoders]) == faults_sheet(two_decoders, kodak_like)


def test_decoders_stand_side_by_side_at_full_size(two_decoders, sets):
    png = decoders_sheet(two_decoders, sets)  # of none of LOOKS: the middles of the first set's images
    source = sets["large"]
    assert len(source.keys) == 2
    sheet = np.asarray(Image.open(io.BytesIO(png)))
    top = HEAD_HEIGHT
    for key in source.keys:
        rgb = decode_image(source.read(key))
        height, width = rgb.shape[:2]
        vivid = np.asarray(Tokenizer.load(two_decoders, decoder="vivid").reconstruct(rgb))
        left = LABEL_WIDTH + 2 * (200 + GAP)  # the wider of the two images
        assert np.array_equal(sheet[top : top + height, left : left + width], vivid)
        assert np.array_equal(sheet[top : top + height, LABEL_WIDTH : LABEL_WIDTH + width], rgb)
        top += height + GAP


def test_a_picture_knows_which_weights_it_shows(two_decoders, weights, sets):
    alone = faults_sheet(two_decoders, sets)
    with_before = faults_sheet(two_decoders, sets, [weights / "other"])
    now = [weights_of(two_decoders, decoder) for decoder in ("faithful", "vivid")]
    assert about_of(alone).split() == now
    assert about_of(with_before).split() == [weights_of(weights / "other", "faithful"), *now]
    assert shows_less(alone, with_before)
    assert not shows_less(with_before, alone)
    assert not shows_less(alone, alone)
    assert not shows_less(faults_sheet(weights / "tiny", sets), faults_sheet(weights / "other", sets))


@pytest.mark.parametrize(("subjects", "size"), [(FAULTS, FAULT_SIZE), (LOOKS[:-1], LOOK_SIZE)])
def test_subjects_lie_in_kodak_images(kodak, subjects, size):
    for subject in subjects:
        height, width = decode_image((kodak / subject.key).read_bytes()).shape[:2]
        left, top = subject.corner
        assert left + size[0] <= width
        assert top + size[1] <= height
