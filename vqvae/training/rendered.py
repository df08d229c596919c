"""Crops that are drawn rather than photographed: flat colours, gradients, patterns, text, screens, diagrams.

A few of them teach a decoder what photographs hardly show: letters that stay legible, and that what is flat
comes back flat. A crop is a function of a generator's state and of the fonts present.

Shapes: S crop size in pixels. Crops are uint8 (S, S, 3).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from vqvae.pixels import RGB8
from vqvae.training.fonts import ASCII, PILLOWS, Font

Colour: TypeAlias = tuple[int, int, int]
Kind: TypeAlias = Callable[[np.random.Generator, int, Sequence[Font]], RGB8]
T = TypeVar("T")

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
VOCABULARY = """
    a about above after again air all along also an and animal answer any are as at away back be because
    been before below between book both boy but by call came can change city close come country cut day
    did different do does earth end even every example eye far father few find first follow food for found
    from get girl give go good great group grow had hand hard has have he head help her here high him his
    home house how if image important in into is it its just keep kind know land large last learn leave
    left letter life light like line list little live long look made make man many may mean might mile
    more most mother mountain move much must my name near need never new next night no not now number of
    off often old on once one only open or other our out over own page paper part people picture place
    plant play point question quick quite read really right river run said same saw say school sea second
    see seem sentence set she should show side small so some something sometimes song soon sound spell
    start state still stop story study such take talk tell than that the their them then there these they
    thing think this those thought three through time to together too took tree try turn two under until
    up us use very walk want was watch water way we well went were what when where which while white who
    why will with without word work world would write year you young your jazz oxygen zebra puzzle quartz
    fjord wizard vexing yacht kiwi waltz sphinx
"""
WORDS = VOCABULARY.split()


def render_crop(random: np.random.Generator, size: int, fonts: Sequence[Font]) -> RGB8:
    """One crop (S, S, 3) of a random kind; without fonts, Pillow's own letters are taken."""
    kind = list(KINDS)[random.choice(len(KINDS), p=list(KINDS.values()))]
    return kind(random, size, fonts or (PILLOWS,))


# ---- colours ---------------------------------------------------------------------------------------------


def _colour(random: np.random.Generator) -> Colour:
    """Any colour, or in a quarter of all draws any grey."""
    red, green, blue = random.integers(256, size=3).tolist()
    return (red, red, red) if random.random() < 0.25 else (red, green, blue)


def _near(random: np.random.Generator, colour: Colour, distance: int) -> Colour:
    """A colour within a distance of another in each channel."""
    red, green, blue = np.clip(colour + random.integers(-distance, distance + 1, 3), 0, 255).tolist()
    return red, green, blue


def _luma(colour: Colour) -> float:
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def _mixed(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _apart(random: np.random.Generator, other: Colour) -> Colour:
    """A colour that can be read on another."""
    while abs(_luma(colour := _colour(random)) - _luma(other)) < 70:
        pass
    return colour


def _readable_on(colour: Colour) -> Colour:
    return WHITE if _luma(colour) < 128 else BLACK


def _paper_and_ink(random: np.random.Generator) -> tuple[Colour, Colour]:
    """Two colours to write with; most often black on white."""
    draw = random.random()
    if draw < 0.45:
        return WHITE, BLACK
    if draw < 0.65:
        return _near(random, (240, 240, 240), 15), _near(random, (35, 35, 35), 35)
    if draw < 0.8:
        return _near(random, (22, 22, 22), 22), _near(random, (225, 225, 225), 30)
    paper = _colour(random)
    return paper, _apart(random, paper)


def _contrast(random: np.random.Generator) -> tuple[Colour, Colour]:
    """Two colours for a pattern: mostly greys and pale paint, for there false hues are seen at once."""
    draw = random.random()
    if draw < 0.25:
        return BLACK, WHITE
    if draw < 0.45:
        first, second = random.integers(256, size=2).tolist()
        return (first,) * 3, (second,) * 3
    if draw < 0.75:
        paint = _near(random, (int(random.integers(256)),) * 3, 24)
        return paint, _mixed(paint, _readable_on(paint), random.uniform(0.2, 1))
    if draw < 0.95:
        colour = _colour(random)
        return colour, _mixed(colour, _readable_on(colour), random.uniform(0.2, 1))
    return _colour(random), _colour(random)


def _blend(share: NDArray[np.float64], first: Colour, second: Colour) -> RGB8:
    """From one colour to another: shares (S, S) in [0, 1] -> (S, S, 3)."""
    start, end = np.array(first), np.array(second)
    blended: RGB8 = np.rint(start + share[..., None] * (end - start)).astype(np.uint8)
    return blended


# ---- what has no letters ---------------------------------------------------------------------------------


def flat(random: np.random.Generator, size: int, fonts: Sequence[Font]) -> RGB8:
    """One colour."""
    return np.full((size, size, 3), _colour(random), np.uint8)


def gradient(random: np.random.Generator, size: int, fonts: Sequence[Font]) -> RGB8:
    """From one colour to another, often a near one, along a line or outwards from a point."""
    first = _colour(random)
    second = _near(random, first, 40) if random.random() < 0.6 else _colour(random)
    if random.random() < 0.5:
        distance = _distance(random, size)
    else:
        x, y = random.uniform(0, size, 2)
        rows, columns = np.ogrid[:size, :size]
        distance = np.hypot(rows - y, columns - x)
    distance -= distance.min()
    return _blend(distance / distance.max(), first, second)


def halves(random: np.random.Generator, size: int, fonts: Sequence[Font]) -> RGB8:
    """Two flat colours with one edge between them."""
    distance = _distance(random, size)
    edge = np.rint(random.uniform(distance.min(), distance.max()))
    return _blend(np.clip(distance - edge + 0.5, 0, 1), _colour(random), _colour(random))


def stripes(random: np.random.Generator, size: int, fonts: Sequence[Font]) -> RGB8:
    """Two colours in turn, with a period of 2 to 16 pixels: hard on the pixel, or soft and in perspective."""
    distance = _distance(random, size)
    if random.random() < 0.3:
        period = float(random.integers(2, 17))
        wave = ((distance + random.integers(16)) % period < max(1, period // 2)).astype(np.float64)
    else:
        period, stretch = random.uniform(2, 16), random.uniform(-0.4, 0.4)  # the crop's end has other periods
        turns = distance / period * (1 + stretch * distance / size) + random.random()
        sharpness, more_of_one = random.uniform(1, 4), random.uniform(-0.5, 0.5)
        wave = np.clip(0.5 + 0.5 * sharpness * (np.sin(2 * np.pi * turns) + more_of_one), 0, 1)
    return _blend(wave, *_contrast(random))


def checks(random: np.random.Generator, size: int, fonts: Sequence[Font]) -> RGB8:
    """A checkerboard of cells of 1 to 16 pixels."""
    cell = random.integers(1, 17)
    x, y = random.integers(32, size=2)
    rows, columns = np.ogrid[:size, :size]
    odd = ((rows + y) // cell + (columns + x) // cell) % 2
    return _blend(odd.astype(np.float64), *_contrast(random))


def halftone(random: np.random.Generator, size: int, fonts: Sequence[Font]) -> RGB8:
    """Dots on a slanted lattice of 3 to 12 pixels, that grow along a line."""
    period, angle = random.uniform(3, 12), random.uniform(0, np.pi)
    rows, columns = np.ogrid[:size, :size]
    u = (columns * np.cos(angle) + rows * np.sin(angle)) / period
    v = (rows * np.cos(angle) - columns * np.sin(angle)) / period
    from_dot = period * np.hypot(u - np.rint(u), v - np.rint(v))
    growth = _distance(random, size) / size
    radius = period * (0.35 + random.uniform(0, 0.3) * growth)
    return _blend(np.clip(radius - from_dot + 0.5, 0, 1), *_contrast(random))


def _distance(random: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Signed distance in pixels of every pixel (S, S) along a line: across, down or slanted."""
    draw = random.random()
    angle = 0.0 if draw < 0.3 else np.pi / 2 if draw < 0.6 else random.uniform(0, 2 * np.pi)
    rows, columns = np.ogrid[:size, :size]
    # rounded, so that a line straight down lies on pixels and not a hair beside them
    across, down = np.round((np.cos(angle), np.sin(angle)), 9)
    distance: NDArray[np.float64] = columns * across + rows * down
    return distance


# ---- text ------------------------------------------------------------------------------------------------


def _pick(random: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(random.integers(len(options)))]


def _word(random: np.random.Generator, font: Font) -> str:
    """A word, now and then a number, or characters at random, so that every one of the font's is drawn."""
    draw = random.random()
    if draw < 0.1:
        return "".join(ASCII[i] for i in random.integers(len(ASCII), size=random.integers(1, 9)))
    if draw < 0.18:
        number = int(10 ** random.uniform(0, 6))
        return _pick(random, (f"{number}", f"{number:,}", f"{number / 100:.2f}", f"{number % 100}%"))
    word = _pick(random, WORDS)
    if draw < 0.25:
        word = word.upper()
    elif draw < 0.45:
        word = word.capitalize()
    elif draw < 0.5 and font.accented:
        place = random.integers(len(word))
        word = word[:place] + _pick(random, font.accented) + word[place + 1 :]
    return word + _pick(random, ".,,;:!?") if draw > 0.88 else word


def _words(random: np.random.Generator, font: Font, num_characters: float) -> str:
    """Words until there are as many characters."""
    line = _word(random, font)
    while len(line) < num_characters:
        line += " " + _word(random, font)
    return line


def text(random: np.random.Generator, size: int, fonts: Sequence[Font]) -> RGB8:
    """A piece of a page of paragraphs, its letters 8 to 64 pixels high, sometimes askew or softened."""
    scale = 2 if random.random() < 0.2 else 1  # of the drawing, which is then shrunk: other edges
    side = scale * size
    height = scale * round(8 ** random.uniform(1, 2))
    font = _pick(random, fonts)
    face = font.sized(height)
    spacing = height * random.uniform(1.05, 1.6)
    letter = face.getlength("the mean letter") / 15
    # the page's left margin, or the middle of its lines
    left = random.uniform(0, side / 5) if random.random() < 0.5 else -random.uniform(0, 12) * letter
    right = side * random.uniform(0.8, 1.3)
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    bold = 0.02 * height if random.random() < 0.1 else 0
    y = random.uniform(-height, height)
    while y < side:
        line = _words(random, font, (right - left) / letter - 4)
        draw.text((round(left), round(y)), line, 255, face, stroke_width=bold)
        y += spacing * (1.6 if random.random() < 0.12 else 1)  # a paragraph ends
    if random.random() < 0.12:
        mask = mask.rotate(random.normal(0, 4), Image.Resampling.BICUBIC)
    if scale != 1:
        mask = mask.resize((size, size), Image.Resampling.BICUBIC)
    if random.random() < 0.1:
        mask = mask.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 0.8)))
    paper, ink = _paper_and_ink(random)
    return _blend(np.asarray(mask) / 255, paper, ink)


# ---- screens ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pen:
    """What a screen or a diagram is drawn with: one canvas, one size of letters, few colours."""

    random: np.random.Generator
    draw: ImageDraw.ImageDraw
    font: Font
    height: int  # of the letters, in pixels; all else follows from it
    ground: Colour
    ink: Colour
    accent: Colour

    @property
    def faint(self) -> Colour:
        """For borders and rules."""
        return _mixed(self.ground, self.ink, 0.25)

    @property
    def raised(self) -> Colour:
        """For buttons and bars."""
        return _mixed(self.ground, self.ink, 0.08)

    def chance(self, share: float) -> bool:
        """True in a share of all draws."""
        return self.random.random() < share

    def up_to(self, bound: int) -> int:
        """An integer in [0, bound)."""
        return int(self.random.integers(max(1, bound)))

    def label(self, x: float, y: float, num_characters: float, colour: Colour | None = None) -> float:
        """Write some words; returns where they end."""
        return self.write(x, y, _words(self.random, self.font, num_characters), colour)

    def write(self, x: float, y: float, words: str, colour: Colour | None = None) -> float:
        """Write; returns where it ends."""
        face = self.font.sized(self.height)
        self.draw.text((round(x), round(y)), words, colour or self.ink, face)
        return x + face.getlength(words)

    def box(self, x: float, y: float, width: float, height: float, fill: Colour | None) -> None:
        """A box with a faint border, sometimes with round corners."""
        radius = self.height // 3 if self.chance(0.5) else 0
        corners = (round(x), round(y), round(x + max(2, width)), round(y + max(2, height)))
        self.draw.rounded_rectangle(corners, radius, fill, self.faint)


def _pen(random: np.random.Generator, canvas: Image.Image, fonts: Sequence[Font], height: int) -> _Pen:
    """A pen in the colours of a canvas that is still empty, which it fills with its ground."""
    ground, ink = _paper_and_ink(random)
    accent = _colour(random)
    canvas.paste(ground, (0, 0, *canvas.size))
    return _Pen(random, ImageDraw.Draw(canvas), _pick(random, fonts), height, ground, ink, accent)


def screen(random: np.random.Generator, size: int, fonts: Sequence[Font]) -> RGB8:
    """A piece of a screen: the rows of a window, or the lines of an editor."""
    canvas = Image.new("RGB", (size, size))
    pen = _pen(random, canvas, fonts, int(random.integers(8, 19)))
    if pen.chance(0.3):
        _editor(pen, size)
    else:
        _window(pen, size)
    return np.asarray(canvas)


def _editor(pen: _Pen, size: int) -> None:
    """Lines of code, each word in the colour of its kind."""
    colours = [pen.ink, pen.ink, *(_apart(pen.random, pen.ground) for _ in range(4))]
    number, letter = pen.up_to(900), pen.font.sized(pen.height).getlength("m")
    left = 3 * letter if pen.chance(0.5) else -pen.up_to(4) * letter
    indent = 0
    y = float(-pen.up_to(pen.height))
    while y < size:
        number, indent = number + 1, max(0, min(4, indent + pen.up_to(3) - 1))
        if left > 0:
            pen.write(0, y, f"{number:3}", pen.faint)
        x = left + 1.2 * letter * indent
        while x < size and not pen.chance(0.12):
            word = _word(pen.random, pen.font) + _pick(
                pen.random, (" ", " ", "(", ") ", " = ", ", ", ": ", ".")
            )
            x = pen.write(x, y, word, _pick(pen.random, colours))
        y += 1.35 * pen.height


def _window(pen: _Pen, size: int) -> None:
    """A window's corner on a desktop, or its inside; rows of things to click from top to bottom."""
    x = y = -1.0
    if pen.chance(0.5):
        x, y = (float(pen.up_to(size // 3)) for _ in range(2))
        pen.draw.rectangle((0, 0, size, size), _colour(pen.random))
        pen.draw.rectangle((x, y, 2 * size, 2 * size), pen.ground, pen.faint)
    if pen.chance(0.6):
        bar = 1.8 * pen.height
        colour = pen.accent if pen.chance(0.5) else pen.raised
        pen.draw.rectangle((x, y, 2 * size, y + bar), colour)
        pen.label(x + pen.height, y + 0.3 * pen.height, 12, _readable_on(colour))
        y += bar
    rows = pen.random.choice(len(ROWS), 3).tolist()  # three kinds a window, so that there are lists of one
    y += pen.height / 2
    while y < size:
        y += ROWS[_pick(pen.random, rows)](pen, x + pen.height / 2, y, size)


def _button_row(pen: _Pen, x: float, y: float, size: int) -> float:
    height = 1.8 * pen.height
    while x < size:
        width = (3 + pen.up_to(6)) * pen.height
        fill = pen.accent if pen.chance(0.3) else pen.raised
        pen.box(x, y, width, height, fill)
        word = _pick(pen.random, WORDS).capitalize()
        pen.write(x + pen.height / 2, y + 0.3 * pen.height, word, _readable_on(fill))
        x += width + pen.height / 2
    return height + pen.height / 2


def _text_row(pen: _Pen, x: float, y: float, size: int) -> float:
    pen.label(x, y, 1.5 * size / pen.height, pen.accent if pen.chance(0.1) else pen.ink)
    return 1.3 * pen.height


def _field_row(pen: _Pen, x: float, y: float, size: int) -> float:
    end = pen.label(x, y + 0.2 * pen.height, 5)
    inside = _mixed(pen.ground, _readable_on(pen.ink), 0.7)
    pen.box(end + pen.height / 2, y, pen.height * (4 + pen.up_to(8)), 1.6 * pen.height, inside)
    pen.label(end + pen.height, y + 0.2 * pen.height, 4, pen.faint)
    return 2.2 * pen.height


def _check_row(pen: _Pen, x: float, y: float, size: int) -> float:
    side = pen.height
    shape = pen.draw.ellipse if pen.chance(0.4) else pen.draw.rectangle
    chosen = pen.chance(0.5)
    shape((x, y, x + side, y + side), pen.accent if chosen else pen.ground, pen.ink)
    if chosen:
        tick = (
            (x + side * 0.2, y + side * 0.5),
            (x + side * 0.45, y + side * 0.75),
            (x + side * 0.8, y + side * 0.2),
        )
        pen.draw.line(tick, pen.ground, max(1, side // 6))
    pen.label(x + 1.6 * side, y, 12)
    return 1.7 * side


def _menu_row(pen: _Pen, x: float, y: float, size: int) -> float:
    chosen = pen.chance(0.2)
    if chosen:
        pen.draw.rectangle((x, y - pen.height // 4, size, y + 1.2 * pen.height), pen.accent)
    end = pen.label(x + pen.height, y, 8, _readable_on(pen.accent) if chosen else pen.ink)
    pen.write(max(end + pen.height, size * 0.7), y, f"Ctrl+{_pick(pen.random, ASCII[32:58])}", pen.faint)
    if pen.chance(0.2):
        pen.draw.line((x, y + 1.5 * pen.height, size, y + 1.5 * pen.height), pen.faint)
    return 1.7 * pen.height


def _icon_row(pen: _Pen, x: float, y: float, size: int) -> float:
    side = pen.height * (1.5 + pen.up_to(3))
    while x < size:
        corners = (round(x), round(y), round(x + side), round(y + side))
        colour = _colour(pen.random)
        match pen.up_to(4):
            case 0:
                pen.draw.ellipse(corners, colour, pen.ink if pen.chance(0.3) else None)
            case 1:
                pen.draw.rounded_rectangle(corners, side / 4, colour)
            case 2:
                pen.draw.regular_polygon((x + side / 2, y + side / 2, side / 2), 3 + pen.up_to(4), 0, colour)
            case _:
                pen.draw.rectangle(corners, colour)
        pen.draw.ellipse((x + side / 3, y + side / 3, x + side * 2 / 3, y + side * 2 / 3), pen.ground)
        x += 1.4 * side
    return side + pen.height / 2


def _slider_row(pen: _Pen, x: float, y: float, size: int) -> float:
    width, middle = size * 0.8, y + pen.height / 2
    at = x + width * pen.random.random()
    thick = max(1, pen.height // 4)
    pen.draw.line((x, middle, x + width, middle), pen.faint, thick)
    pen.draw.line((x, middle, at, middle), pen.accent, thick)
    if pen.chance(0.6):
        pen.draw.ellipse(
            (at - thick * 2, middle - thick * 2, at + thick * 2, middle + thick * 2), pen.ground, pen.ink
        )
    return 1.6 * pen.height


def _table_row(pen: _Pen, x: float, y: float, size: int) -> float:
    height, width = 1.6 * pen.height, 5 * pen.height
    while x < size:
        pen.draw.rectangle((round(x), round(y), round(x + width), round(y + height)), None, pen.faint)
        pen.write(x + pen.height / 3, y + 0.2 * pen.height, _word(pen.random, pen.font)[:7])
        x += round(width)
    return round(height)


ROWS = (
    _button_row, _text_row, _text_row, _field_row, _check_row, _menu_row, _icon_row, _slider_row, _table_row
)  # fmt: skip


# ---- diagrams --------------------------------------------------------------------------------------------


def diagram(random: np.random.Generator, size: int, fonts: Sequence[Font]) -> RGB8:
    """A piece of a chart or a drawing, with hard edges or, drawn large and shrunk, with soft ones."""
    scale = 2 if random.random() < 0.5 else 1
    canvas = Image.new("RGB", (scale * size, scale * size))
    pen = _pen(random, canvas, fonts, scale * int(random.integers(8, 15)))
    _pick(random, DIAGRAMS)(pen, scale * size, scale * int(random.integers(1, 4)))
    return np.asarray(canvas.resize((size, size), Image.Resampling.BICUBIC) if scale != 1 else canvas)


def _flow_chart(pen: _Pen, side: int, stroke: int) -> None:
    """Boxes with words and arrows from one to the next."""
    cell = pen.height * (4.5 + pen.up_to(4))
    left, top = -pen.random.random() * cell, -pen.random.random() * cell
    for row in range(math.ceil(side / cell) + 1):
        for column in range(math.ceil(side / cell) + 1):
            x, y = left + column * cell, top + row * cell * 0.75
            width, height = 0.65 * cell, 0.42 * cell
            fill = _mixed(pen.ground, _colour(pen.random), 0.4) if pen.chance(0.5) else None
            corners = (x, y, x + width, y + height)
            if pen.chance(0.25):
                pen.draw.ellipse(corners, fill, pen.ink, stroke)
            else:
                pen.draw.rounded_rectangle(
                    corners, height / 4 if pen.chance(0.4) else 0, fill, pen.ink, stroke
                )
            pen.write(x + pen.height / 3, y + height / 2 - pen.height / 2, _pick(pen.random, WORDS)[:6])
            if pen.chance(0.7):
                _arrow(pen, (x + width, y + height / 2), (left + (column + 1) * cell, y + height / 2), stroke)
            if pen.chance(0.5):
                _arrow(pen, (x + width / 2, y + height), (x + width / 2, y + 0.75 * cell), stroke)


def _arrow(pen: _Pen, start: tuple[float, float], end: tuple[float, float], stroke: int) -> None:
    angle = math.atan2(end[1] - start[1], end[0] - start[0])
    length = 3 + 3 * stroke
    wings = [
        (end[0] - length * math.cos(angle + turn), end[1] - length * math.sin(angle + turn))
        for turn in (-0.5, 0.5)
    ]
    pen.draw.line((*start, *end), pen.ink, stroke)
    pen.draw.polygon((end, *wings), pen.ink)


def _plot(pen: _Pen, side: int, stroke: int) -> None:
    """Curves or points between axes with ticks and a grid."""
    left, bottom = pen.random.uniform(0, side / 3), pen.random.uniform(0.6, 1) * side
    _axes(pen, side, left, bottom, stroke)
    xs = np.linspace(left, side, 8 + pen.up_to(20))
    for _ in range(1 + pen.up_to(3)):
        walk = pen.random.normal(size=len(xs)).cumsum() * side / 20
        ys = np.clip(bottom - side * pen.random.uniform(0.1, 0.8) + walk, -side, bottom)
        points = list(zip(xs.tolist(), ys.tolist(), strict=True))
        colour = _apart(pen.random, pen.ground)
        dots = pen.chance(0.3)
        if dots:
            for x, y in points:
                pen.draw.circle((x, y), 1.5 * stroke, colour)
        if not dots or pen.chance(0.5):
            pen.draw.line(points, colour, stroke, "curve")


def _axes(pen: _Pen, side: int, left: float, bottom: float, stroke: int) -> None:
    step = pen.height * (2 + pen.up_to(3))
    grid = pen.chance(0.6)
    for i in range(1, math.ceil(side / step)):
        x, y = left + i * step, bottom - i * step
        if grid:
            pen.draw.line((left, y, side, y), pen.faint)
            pen.draw.line((x, 0, x, bottom), pen.faint)
        pen.draw.line((left - 2 * stroke, y, left, y), pen.ink, stroke)
        pen.draw.line((x, bottom, x, bottom + 2 * stroke), pen.ink, stroke)
        pen.write(left - 2.2 * pen.height, y - pen.height / 2, f"{i * 10}")
        pen.write(x - pen.height / 2, bottom + 3 * stroke, f"{i}")
    pen.draw.line((left, 0, left, bottom, side, bottom), pen.ink, stroke)


def _bars(pen: _Pen, side: int, stroke: int) -> None:
    """Bars on axes."""
    left, bottom = pen.random.uniform(0, side / 3), pen.random.uniform(0.6, 1) * side
    _axes(pen, side, left, bottom, stroke)
    colours = [_apart(pen.random, pen.ground) for _ in range(1 + pen.up_to(3))]
    width, x, i = pen.height * pen.random.uniform(0.5, 2), left + pen.height, 0
    while x < side:
        top = bottom - side * pen.random.uniform(0.05, 0.9)
        pen.draw.rectangle((x, top, x + width, bottom), colours[i % len(colours)])
        x, i = x + width * (1 if i % len(colours) else 1.5), i + 1


def _pie(pen: _Pen, side: int, stroke: int) -> None:
    """A pie or a ring in pieces, with a legend."""
    x, y, radius = side * pen.random.uniform((0.4, 0, 0.2), (1, 1, 0.5))
    corners = (x - radius, y - radius, x + radius, y + radius)
    angle, end = 360 * pen.random.random(), 0.0
    colours = []
    while end < 360:
        piece = pen.random.uniform(10, 120)
        colours.append(_colour(pen.random))
        stop = angle + min(360.0, end + piece)
        pen.draw.pieslice(corners, angle + end, stop, colours[-1], pen.ground, stroke)
        end += piece
    if pen.chance(0.4):
        pen.draw.circle((x, y), radius / 2, pen.ground)
    top = pen.random.uniform(0, side / 2)
    for i, colour in enumerate(colours):
        row = top + 1.4 * i * pen.height
        pen.draw.rectangle((4, row, 4 + pen.height, row + pen.height), colour)
        pen.label(4 + 1.5 * pen.height, row, 5)


def _grid(pen: _Pen, side: int, stroke: int) -> None:
    """Squared paper, or a table with words in it."""
    step = pen.height * pen.random.uniform(0.6, 3)
    wide = step * (1 if pen.chance(0.5) else 3)
    x, y = -pen.random.random() * wide, -pen.random.random() * step
    colour = pen.ink if pen.chance(0.4) else pen.faint
    for i in range(math.ceil(side / step) + 2):
        pen.draw.line((0, y + i * step, side, y + i * step), colour, stroke)
        pen.draw.line((x + i * wide, 0, x + i * wide, side), colour, stroke)
        if step > 1.3 * pen.height and wide > step:
            for j in range(math.ceil(side / wide) + 1):
                words = _word(pen.random, pen.font)[:6]
                pen.write(x + j * wide + pen.height / 3, y + i * step + pen.height / 5, words)


def _drawing(pen: _Pen, side: int, stroke: int) -> None:
    """Thin lines, circles and polygons, some filled."""
    for _ in range(3 + pen.up_to(10)):
        x, y, u, v = pen.random.uniform(-0.1 * side, 1.1 * side, 4).tolist()
        colour = pen.ink if pen.chance(0.6) else _apart(pen.random, pen.ground)
        fill = _colour(pen.random) if pen.chance(0.25) else None
        match pen.up_to(5):
            case 0:
                pen.draw.circle((x, y), abs(u) / 3, fill, colour, stroke)
            case 1:
                pen.draw.regular_polygon((x, y, abs(u) / 3 + 2), 3 + pen.up_to(5), v, fill, colour, stroke)
            case 2:
                pen.draw.arc((min(x, u), min(y, v), max(x, u) + 1, max(y, v) + 1), 0, v, colour, stroke)
            case 3:
                _arrow(pen, (x, y), (u, v), stroke)
            case _:
                pen.draw.line((x, y, u, v), colour, stroke)


DIAGRAMS = (_flow_chart, _plot, _bars, _pie, _grid, _drawing)

KINDS: dict[Kind, float] = {  # with their shares
    flat: 0.22,
    gradient: 0.07,
    halves: 0.04,
    stripes: 0.18,  # no less: fences that turn green are what a person sees first
    checks: 0.02,
    halftone: 0.02,
    text: 0.26,
    screen: 0.11,
    diagram: 0.08,
}
