from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import ImageFont

from vqvae.training.fonts import ASCII, PILLOWS, Font, find_fonts, system_fonts

SANS = ImageFont.load_default(10).font_bytes


@pytest.fixture
def folder(tmp_path):
    """A font, the same without its tables of characters and names, and two files that are no fonts."""
    (tmp_path / "some" / "where").mkdir(parents=True)
    (tmp_path / "some" / "where" / "sans.TTF").write_bytes(SANS)
    (tmp_path / "symbols.otf").write_bytes(SANS.replace(b"cmap", b"none", 1).replace(b"post", b"none", 1))
    (tmp_path / "damaged.ttf").write_bytes(SANS[:100])
    (tmp_path / "empty.ttc").write_bytes(b"")
    (tmp_path / "readme.txt").write_bytes(SANS)
    return tmp_path


def test_pillows_font_is_there_without_any_other(tmp_path):
    assert find_fonts([]) == find_fonts([tmp_path, tmp_path / "missing"]) == (PILLOWS,)


def test_fonts_with_letters_are_found_in_folders_of_folders_and_others_passed_over(folder):
    assert find_fonts([folder]) == (PILLOWS, Font(str(folder / "some" / "where" / "sans.TTF")))


def test_fonts_come_in_the_order_of_their_paths(folder):
    for name in "cab":
        (folder / f"{name}.ttf").write_bytes(SANS)
    names = ["a.ttf", "b.ttf", "c.ttf", "sans.TTF"]
    for folders in ([folder], [folder / "some", folder]):
        assert [font.path.rpartition("/")[2] for font in find_fonts(folders)[1:]] == names


def test_every_font_of_the_system_has_the_characters_that_it_says():
    for font in system_fonts():
        glyphs = {bytes(font.sized(24).getmask(character)) for character in "AabQ7%" + font.accented}
        assert len(glyphs) >= 6 + len(set(font.accented.lower())) - 1, font
    assert len(ASCII) == 94


def test_a_font_may_be_used_by_several_threads_at_once():
    def drawn(i):
        return bytes(system_fonts()[i % len(system_fonts())].sized(8 + i % 7).getmask("quick brown fox"))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(drawn, range(300))) == [drawn(i) for i in range(300)]
