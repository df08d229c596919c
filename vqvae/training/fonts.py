"""The fonts that crops are drawn with: those of the system that have Latin letters, and Pillow's own."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageFont

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.fonts",
    "~/.local/share/fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "~/Library/Fonts",
    "C:/Windows/Fonts",
    "~/AppData/Local/Microsoft/Windows/Fonts",
)
SUFFIXES = (".ttf", ".otf", ".ttc")
ASCII = "".join(map(chr, range(33, 127)))  # what is printed, but for the space
ACCENTED = "àáâãäåæçèéêëìíîïñòóôõöøùúûüýßÄÅÇÉÈÖØÜ"
ABSENT = "\uffff"  # no character, so every font draws its .notdef glyph for it


@dataclass(frozen=True, slots=True)
class Font:
    """A typeface with all of printable ASCII."""

    path: str | None  # None is Pillow's own
    accented: str = ""  # those of ACCENTED that it has

    def sized(self, size: int) -> ImageFont.FreeTypeFont:
        """The font at a size in pixels."""
        return _open(self.path, size)


PILLOWS = Font(None)


@cache
def system_fonts() -> tuple[Font, ...]:
    """Pillow's font, then the system's."""
    return find_fonts(Path(folder).expanduser() for folder in FOLDERS)


def find_fonts(folders: Iterable[Path]) -> tuple[Font, ...]:
    """Pillow's font, then those anywhere in some folders that have Latin letters, by path."""
    paths = {str(path) for folder in folders for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES}
    fonts = map(_latin, sorted(paths))
    return (PILLOWS, *(font for font in fonts if font is not None))


# Shared by threads: Pillow says that a font may be used by several of them at once. Few, since each may hold
# its file open.
@lru_cache(maxsize=128)
def _open(path: str | None, size: int) -> ImageFont.FreeTypeFont:
    if path is None:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _latin(path: str) -> Font | None:
    """The font of a file, or None where it is damaged or has other glyphs than letters."""
    try:
        font = _open(path, 16)
        absent, upper, lower = (_drawn(font, character) for character in (ABSENT, "A", "a"))
        if upper == lower or any(_drawn(font, character) == absent for character in ASCII):
            return None
        accented = "".join(character for character in ACCENTED if _drawn(font, character) != absent)
    except OSError:  # FreeType's every complaint
        return None
    return Font(path, accented)


def _drawn(font: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
