import os
import pty
import sys
from pathlib import Path

import pytest

from vqvae.cli.inputs import code_files, photographs
from vqvae.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def places(*words: str) -> dict[str, str]:
    return {item.word: item.place.as_posix() for item in photographs(words)}


def test_file_goes_by_its_name_and_a_folder_keeps_its_tree():
    touch("a/one.jpg", "photos/two.png", "photos/sea/three.tar.webp", "photos/notes.txt")
    assert places("a/one.jpg", "photos") == {
        "a/one.jpg": "one.jpg",
        "photos/sea/three.tar.webp": "sea/three.tar.webp",
        "photos/two.png": "two.png",
    }


def test_inputs_are_read_where_they_lie():
    touch("a/one.jpg", "photos/sea/two.png")
    first, second = photographs(["a/one.jpg", "photos"])
    assert (first.read(), second.read()) == (b"a/one.jpg", b"photos/sea/two.png")


def test_folder_of_codes_is_its_code_files():
    touch("codes/b/two.vqc", "codes/one.vqc", "codes/one.json", "x.npy")
    assert [(item.word, str(item.place)) for item in code_files(["codes", "x.npy"])] == [
        ("codes/b/two.vqc", "b/two.vqc"),
        ("codes/one.vqc", "one.vqc"),
        ("x.npy", "x.npy"),
    ]


def test_folder_without_code_files_is_an_error():
    touch("codes/one.json")
    with pytest.raises(DataError, match=r"codes holds no \.vqc files"):
        code_files(["codes"])


def test_pattern_is_what_it_matches_in_order():
    touch("photos/b.jpg", "photos/a.jpg", "photos/c.png", "photos/sea/d.jpg", "photos/.hidden.jpg")
    assert list(places("photos/*.jpg")) == ["photos/a.jpg", "photos/b.jpg"]
    assert list(places("photos/[bc].*")) == ["photos/b.jpg", "photos/c.png"]


def test_two_stars_match_at_any_depth_and_keep_the_tree_below_the_first_wildcard():
    touch("photos/a.jpg", "photos/sea/b.jpg", "photos/sea/deep/b.jpg")
    assert places("photos/**/*.jpg") == {
        "photos/a.jpg": "a.jpg",
        "photos/sea/b.jpg": "sea/b.jpg",
        "photos/sea/deep/b.jpg": "sea/deep/b.jpg",
    }


@pytest.mark.parametrize("pattern", ["photos/*", "photos/**", "./photos/**/*"])
def test_matched_folders_are_walked_and_nothing_is_there_twice(pattern):
    touch("photos/a.jpg", "photos/sea/b.jpg", "photos/sea/notes.txt")
    assert places(pattern) == {"photos/a.jpg": "a.jpg", "photos/sea/b.jpg": "sea/b.jpg"}


def test_name_that_exists_is_no_pattern():
    touch("photo[1].jpg", "photo1.jpg", "really?/a.jpg")
    assert list(places("photo[1].jpg", "really?")) == ["photo[1].jpg", "really?/a.jpg"]


def test_pattern_that_matches_nothing_says_so():
    with pytest.raises(DataError, match=r"nothing matches photos/\*\.jpg; "):
        photographs(["photos/*.jpg"])


def test_dash_is_standard_input(monkeypatch):
    read, write = os.pipe()
    os.write(write, b"\x89\x00\n")
    os.close(write)
    with os.fdopen(read) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        (item,) = photographs(["-"])
        assert (item.word, item.place.as_posix(), item.read()) == ("-", "stdin", b"\x89\x00\n")


def test_dash_with_a_folder_before_it_is_a_file():
    touch("-")
    (item,) = photographs(["./-"])
    assert (item.word, item.place.as_posix(), item.read()) == ("./-", "-", b"-")


def test_standard_input_is_given_once():
    with pytest.raises(ConfigError, match="- is given 2 times; standard input can be read once"):
        photographs(["-", "a.jpg", "-"])


def test_standard_input_must_hold_something(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as stdin:
        for nobody in (stdin, None):
            monkeypatch.setattr(sys, "stdin", nobody)
            with pytest.raises(ConfigError, match="- reads standard input, which is a terminal or closed"):
                photographs(["-"])
    os.close(ours)
