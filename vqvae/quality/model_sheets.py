"""Pictures of one model: what it does badly, and what each of its decoders makes of the same codes.

A row is a subject, a column a way of showing it: as it is, as earlier weights of the same name showed it, and
as every decoder does. The pictures carry along which weights they show.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vqvae.checkpoint import load_card
from vqvae.pixels import RGB8, decode_image
from vqvae.quality.drawing import Label, SheetRow, about_of, cut, draw_sheet
from vqvae.quality.text import font_of
from vqvae.sources import Source
from vqvae.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Subject:
    """Where to look in one image of some set."""

    label: Label
    key: str
    corner: tuple[int, int]  # left, top


FAULTS = (
    Subject(("fine stripes", "kodim19"), "kodim19.png", (140, 380)),
    Subject(("sky", "kodim20"), "kodim20.png", (40, 20)),
    Subject(("leaves, gravel", "kodim13"), "kodim13.png", (470, 185)),
    Subject(("small faces", "kodim14"), "kodim14.png", (340, 205)),
)
FAULT_SIZE = 200, 120  # width, height
ZOOM = 2  # so that what pixels do is seen

LOOKS = (
    Subject(("foliage", "kodim13"), "kodim13.png", (440, 100)),
    Subject(("hair", "kodim04"), "kodim04.png", (100, 160)),
    Subject(("text", "kodim14"), "kodim14.png", (400, 230)),
    Subject(("face", "astronaut"), "astronaut.png", (80, 10)),
)
LOOK_SIZE = 320, 240

SATURATED = ((30, 40, 140), (200, 30, 60), (20, 150, 70), (250, 210, 0))
SMALL_PRINT = "and eleven: the quick\nbrown fox jumps over\n0123456789"


@dataclass(frozen=True, slots=True)
class _Scene:
    """A whole image (H, W, 3), and where to look in it."""

    label: Label
    rgb: RGB8
    corner: tuple[int, int] | None  # None is the middle


@dataclass(frozen=True, slots=True)
class _Way:
    """A way of showing an image."""

    head: Label
    weights: str  # fingerprint and digest of the decoder; empty for the image as it is
    show: Callable[[RGB8], RGB8]


def faults_sheet(folder: Path, sets: Mapping[str, Source], earlier: Sequence[Path] = ()) -> bytes:
    """A PNG of what the model in a folder does badly, beside what earlier weights did; enlarged.

    Args:
        sets: where FAULTS are looked for; where none of them is, the first images of the first set do.
        earlier: folders of models; one with the very same weights has no column.
    """
    now = _ways(folder)
    shown = {way.weights for way in now}
    before = [_way(older, "faithful", "before") for older in earlier]
    ways = [now[0], *(way for way in before if way.weights not in shown), *now[1:]]
    return _sheet([*_scenes(FAULTS, sets), _flat_colours(), _small_print()], ways, FAULT_SIZE, ZOOM)


def decoders_sheet(folder: Path, sets: Mapping[str, Source]) -> bytes:
    """A PNG of what each decoder of the model in a folder makes of the same codes, at its own size."""
    return _sheet(_scenes(LOOKS, sets), _ways(folder), LOOK_SIZE, zoom=1)


def shows_less(sheet: bytes, other: bytes) -> bool:
    """Whether the other picture shows all the weights that a picture shows, and more."""
    return set(about_of(sheet).split()) < set(about_of(other).split())


def _sheet(scenes: Sequence[_Scene], ways: Sequence[_Way], size: tuple[int, int], zoom: int) -> bytes:
    rows = []
    for scene in scenes:
        crops = (cut(way.show(scene.rgb), *size, scene.corner) for way in ways)
        rows.append(SheetRow(scene.label, tuple(crop.repeat(zoom, 0).repeat(zoom, 1) for crop in crops)))
    return draw_sheet(rows, [way.head for way in ways], " ".join(filter(None, (way.weights for way in ways))))


def _ways(folder: Path) -> list[_Way]:
    """The image as it is, and every decoder of a model."""
    as_it_is = _Way(("original",), "", lambda rgb: rgb)
    return [as_it_is, *(_way(folder, decoder, decoder) for decoder in load_card(folder).decoders)]


def _way(folder: Path, decoder: str, name: str) -> _Way:
    tokenizer = Tokenizer.load(folder, decoder=decoder)
    card = tokenizer.card
    return _Way(
        (name, card.space.short),
        f"{card.fingerprint}/{card.decoders[decoder].digest}",
        lambda rgb: tokenizer.decode_rgb8(tokenizer.encode_rgb8(rgb)),
    )


def _scenes(subjects: Sequence[Subject], sets: Mapping[str, Source]) -> list[_Scene]:
    """The subjects that are in the sets; the middles of as many images where none is."""
    found = {
        subject: source for subject in subjects for source in sets.values() if subject.key in source.keys
    }
    if found:
        return [
            _Scene(subject.label, decode_image(source.read(subject.key)), subject.corner)
            for subject, source in found.items()
        ]
    name, source = next(iter(sets.items()))
    keys = source.keys[: len(subjects)]
    return [_Scene((Path(key).stem, name), decode_image(source.read(key)), None) for key in keys]


def _flat_colours() -> _Scene:
    """Four of them around the middle, each reaching far beyond what is looked at."""
    rgb = np.empty((384, 512, 3), np.uint8)
    height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
    for i, colour in enumerate(SATURATED):
        top, left = i // 2 * height, i % 2 * width
        rgb[top : top + height, left : left + width] = colour
    return _Scene(("flat colours",), rgb, None)


def _small_print() -> _Scene:
    """Capitals of 24 and of 11 pixels in black on white."""
    image = Image.new("RGB", (256, 160), "white")
    draw = ImageDraw.Draw(image)
    draw.text((8, 4), "24 pixels", "black", font_of(24))
    draw.text((8, 46), SMALL_PRINT, "black", font_of(11), spacing=8)
    return _Scene(("text", "capitals of 24", "and 11 pixels"), np.asarray(image), (0, 0))
