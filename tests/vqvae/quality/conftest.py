"""Small sets of real photographs, a model with two decoders, and the report on them."""

from dataclasses import replace
from pathlib import Path

import pytest

from vqvae.model.cost import Cost
from vqvae.pixels import RGB8, decode_image, encode_image
from vqvae.quality import Report, make_report, text
from vqvae.quality.figures import (
    Appearance,
    CodecFigures,
    CodeUse,
    DecoderFacts,
    DecoderFigures,
    Figures,
    FlatFigures,
    ModelFacts,
    ModelFigures,
    SetFigures,
)
from vqvae.sources import Source, open_source

IMAGES = Path(__file__).parents[2] / "images"


def photograph(name: str, height: int, width: int) -> RGB8:
    """The top left of a photograph."""
    return decode_image((IMAGES / f"{name}.png").read_bytes())[:height, :width]


@pytest.fixture(scope="session")
def cat() -> RGB8:
    """136 wide and 128 high."""
    return photograph("chelsea", 128, 136)


@pytest.fixture(scope="session")
def photographs() -> Source:
    """Four, of 250 to 320 pixels."""
    return open_source(IMAGES)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set `large` of two images and the set `small`, of one under 176 pixels and no multiple of f."""
    folder = tmp_path_factory.mktemp("bench")
    for place, rgb in {
        "large/cat.png": photograph("chelsea", 176, 200),
        "large/cup.png": photograph("coffee", 184, 176),
        "small/face.png": photograph("astronaut", 60, 91),
    }.items():
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_bytes(encode_image(rgb))
    return folder


@pytest.fixture(scope="session")
def steps() -> list[tuple[str, int, int]]:
    """What `report` told of its progress."""
    return []


@pytest.fixture(scope="session")
def report(
    bench: Path, two_decoders: Path, weights: Path, photographs: Source, steps: list[tuple[str, int, int]]
) -> Report:
    """Of the models `two` and `other` on both sets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "CAP_HEIGHTS", (11,))
        return make_report(
            [two_decoders, weights / "other"],
            {name: open_source(bench / name) for name in ("large", "small")},
            photographs,
            num_patches=2000,
            num_codes=9000,
            on_step=lambda *step: steps.append(step),
        )


@pytest.fixture
def by_hand() -> Report:
    """One set of one model of two decoders and two codecs, one of which cannot make files that small.

    A second model has been measured on no set.
    """
    model = ModelFigures(
        model="photo-f8",
        fingerprint="ab" * 32,
        codebook_size=4096,
        downsample_factor=8,
        bits_per_pixel=0.1875,
        entropy_bits_per_pixel=0.15777,
        num_codes=147456,
        usage=0.9148,
        perplexity=1097.4,
        decoders={
            "faithful": DecoderFigures(0.1875, 26.031, 0.71864, 0.92, 0.2951, 1.4),
            "vivid": DecoderFigures(0.1875, 25.5, 0.7, None, 0.25, 1.1),
        },
        floor=Figures(0.1875, 24.4, 0.6, 0.87),
        codecs={
            "JPEG": CodecFigures(0.2, 24.96, 0.65, 0.88, num_over=3),
            "AVIF": CodecFigures(0.186, 28.5, 0.8, 0.95, num_over=0),
        },
    )
    flats = FlatFigures(32, 1.24, 3.96, 0.388, {"4": 0.1, "8": 0.402})
    colours = replace(flats, num_images=64)
    looks = {
        "faithful": Appearance(flats, colours, {"11": 0.5, "24": 0.971}),
        "vivid": Appearance(replace(flats, mean_error=5), colours, {"11": None, "24": None}),
    }
    facts = ModelFacts(
        model="photo-f8",
        fingerprint="ab" * 32,
        codebook_size=4096,
        codebook_dim=8,
        downsample_factor=8,
        pixels_version=1,
        stored_bytes=14_979_550,
        encoder=Cost(2_844_296, 7.97, 96),
        decoders={name: DecoderFacts(Cost(4_610_059, 15.26, 20), look) for name, look in looks.items()},
    )
    use = CodeUse("photo-f8", "ab" * 32, num_codes=1048576, usage=0.99512, perplexity=2222.2)
    return Report(
        machine={"Python": "3.11", "threads": "2"},
        num_patches=1000,
        sets=(SetFigures("kodak", 24, (model,), {}),),
        code_use=(use, replace(use, model="photo-f16")),
        models=(facts, replace(facts, model="photo-f16")),
        page_read={"11": 0.99, "24": 1.0},
    )
