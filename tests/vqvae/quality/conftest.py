"""Small sets of real photographs, a model with two decoders, and the report on them."""

from pathlib import Path

import pytest

from vqvae.checkpoint import load_model, save_model
from vqvae.pixels import RGB8, decode_image, encode_image
from vqvae.quality import Report, make_report
from vqvae.quality.figures import CodecFigures, CodeUse, DecoderFigures, Figures, ModelFigures, SetFigures
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
def two_decoders(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model `tiny` with the decoder of `other` as a second one, `vivid`."""
    tiny, other = load_model(weights / "tiny"), load_model(weights / "other")
    assert tiny.encoder is not None
    assert tiny.decoder is not None
    assert other.decoder is not None
    folder = tmp_path_factory.mktemp("models") / "two"
    save_model(
        folder,
        name="two",
        encoder=tiny.encoder,
        quantizer=tiny.quantizer,
        decoders={"faithful": tiny.decoder, "vivid": other.decoder},
    )
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
    """One set, one model of two decoders, and two codecs, of which one cannot make files that small."""
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
    use = CodeUse("photo-f8", "ab" * 32, num_codes=1048576, usage=0.99512, perplexity=2222.2)
    return Report({"Python": "3.11", "threads": "2"}, 1000, (SetFigures("kodak", 24, (model,), {}),), (use,))
