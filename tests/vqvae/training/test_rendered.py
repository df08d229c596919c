"""Shapes: S crop size in pixels."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import ImageDraw

from vqvae.training.fonts import ASCII, PILLOWS, system_fonts
from vqvae.training.rendered import (
    KINDS,
    checks,
    flat,
    gradient,
    halftone,
    halves,
    render_crop,
    stripes,
    text,
)

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def draw(kind, seed, size=64, fonts=(PILLOWS,)):
    return kind(np.random.default_rng(seed), size, fonts)


def colours_of(crop):
    """Its colours as 0xRRGGBB, the most frequent ones first, with the share of the crop that each has."""
    numbers, counts = np.unique(crop @ (1 << 16, 1 << 8, 1), return_counts=True)
    order = np.argsort(-counts)
    shares = (counts[order] / counts.sum()).tolist()
    return list(zip(numbers[order].tolist(), shares, strict=True))


@pytest.fixture
def written(monkeypatch):
    """All that is written while a test runs: pairs of words and the size of their letters."""
    written = []
    plain = ImageDraw.ImageDraw.text

    def text(self, xy, words, fill, font, **options):
        written.append((words, font.size))
        plain(self, xy, words, fill, font, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return written


@kinds
@pytest.mark.parametrize("size", [8, 33, 128])
def test_a_crop_is_rgb8_of_its_size(kind, size):
    for seed in range(30):
        crop = draw(kind, seed, size)
        assert crop.shape == (size, size, 3)
        assert crop.dtype == np.uint8


@kinds
def test_a_crop_is_a_function_of_the_generators_state(kind):
    fonts = system_fonts()
    crops = [draw(kind, seed, fonts=fonts) for seed in range(30)]
    for seed in reversed(range(30)):
        assert np.array_equal(draw(kind, seed, fonts=fonts), crops[seed])
    assert len({crop.tobytes() for crop in crops}) > 25


def test_crops_do_not_depend_on_threads():
    def drawn(seed):
        return draw(render_crop, seed, fonts=system_fonts()).tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(drawn, range(200))) == list(map(drawn, range(200)))


def test_without_fonts_letters_are_pillows():
    assert np.array_equal(draw(render_crop, 3, fonts=()), draw(render_crop, 3))


def test_each_kind_has_its_share():
    assert sum(KINDS.values()) == pytest.approx(1)
    num_flat = sum(len(colours_of(draw(render_crop, seed))) == 1 for seed in range(400))
    assert 0.14 < num_flat / 400 < 0.34  # a few of the others are blank


def test_flat_crops_are_flat_and_of_any_colour():
    crops = [draw(flat, seed, 8) for seed in range(500)]
    assert all((crop == crop[0, 0]).all() for crop in crops)
    colours = np.array([crop[0, 0] for crop in crops])
    assert len(np.unique(colours // 128, axis=0)) == 8  # the eight corners of the cube
    is_grey = (colours == colours[:, :1]).all(1)
    assert 0.15 < is_grey.mean() < 0.35
    assert len(np.unique(colours[is_grey] // 32)) == 3 + 5


def test_gradients_go_gently_from_one_colour_to_another():
    for seed in range(50):
        crop = draw(gradient, seed).astype(int)
        assert (
            max(np.abs(np.diff(crop, axis=axis)).max() for axis in (0, 1)) <= 9
        )  # 255 in 64 pixels, slanted
        assert len(colours_of(crop)) > 3


def test_halves_are_two_colours_with_one_edge():
    for seed in range(50):
        (_, first), *rest = colours_of(draw(halves, seed))
        assert first + (rest[0][1] if rest else 0) > 0.95


def test_stripes_repeat_within_16_pixels_or_nearly_so():
    num_upright = 0
    for seed in range(60):
        row = draw(stripes, seed)[0].astype(int)
        if np.ptp(row) > 20:
            num_upright += any(np.abs(row[shift:] - row[:-shift]).max() == 0 for shift in range(2, 17))
    assert 3 < num_upright < 25  # the others are level, slanted, or change their period as in perspective


def test_most_stripes_are_grey_or_pale():
    crops = [draw(stripes, seed).astype(int) for seed in range(200)]
    chroma = np.array([np.ptp(crop, axis=-1).max() for crop in crops])
    assert (chroma <= 50).mean() > 0.6


def test_checks_repeat_every_two_cells():
    for seed in range(50):
        crop = draw(checks, seed)
        assert len(colours_of(crop)) <= 2
        assert any(np.array_equal(crop[2 * cell :], crop[: -2 * cell]) for cell in range(1, 17))


def test_halftone_has_ground_and_dots():
    for seed in range(50):
        (_, ground), (_, dots), *_ = colours_of(draw(halftone, seed))
        assert ground > 0.1
        assert dots > 0.02


def test_text_is_letters_on_paper():
    paper = Counter()
    for seed in range(100):
        colours = colours_of(draw(text, seed, 128))
        paper[colours[0][0]] += 1
        assert len(colours) > 10 or colours[0][1] > 0.97  # edges are soft; a page may be nearly empty
    assert 30 < paper[0xFFFFFF] < 65  # black on white is the most frequent
    assert paper.most_common(2)[1][1] < 8


def test_letters_of_text_are_8_to_64_pixels_high_and_all_characters_are_among_them(written):
    font = max(system_fonts(), key=lambda font: len(font.accented))
    for seed in range(250):
        draw(text, seed, 128, (font,))
    heights = [height for _, height in written]
    assert min(heights) == 8
    assert 60 <= max(heights) <= 2 * 64  # some are drawn twice as large, then shrunk
    characters = set("".join(words for words, _ in written))
    assert characters == {" ", *ASCII, *font.accented}


@pytest.mark.parametrize("kind", ["screen", "diagram"])
def test_screens_and_diagrams_have_words_and_an_even_ground(kind, written):
    kind = next(drawn for drawn in KINDS if drawn.__name__ == kind)
    grounds = [sum(share for _, share in colours_of(draw(kind, seed, 128))[:2]) for seed in range(60)]
    assert np.mean(grounds) > 0.6
    assert len({words for words, _ in written}) > 200


def has_two_hues(crop):
    """Whether two strong colours of a crop point to different hues."""
    red, green, blue = crop.reshape(-1, 3).T.astype(float)
    hues = np.unique(np.stack([red - green, blue - green], axis=1), axis=0)
    strong = hues[np.hypot(*hues.T) > 40]
    directions = strong / np.hypot(*strong.T)[:, None]
    return len(directions) > 1 and bool((directions @ directions.T).min() < 0.9)


@pytest.mark.parametrize("pattern", [stripes, checks, halftone])
def test_few_patterns_have_two_hues(pattern):
    assert 0 < np.mean([has_two_hues(draw(pattern, seed)) for seed in range(300)]) < 0.1
