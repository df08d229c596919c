import io
import os
import tarfile
from pathlib import Path

import pytest

from vqvae.cli.files import check_folder, code_files, making, photographs, plan, write_whole
from vqvae.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> list[Path]:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return [Path(name) for name in names]


def targets(paths: list[Path], out: str = "out", *, force: bool = False) -> list[str]:
    return [job.target.as_posix() for job in plan(photographs(paths), Path(out), ".vqc", force=force)]


def test_file_goes_by_its_stem_and_a_folder_keeps_its_tree():
    touch("a/one.jpg", "photos/two.png", "photos/sea/three.tar.webp", "photos/notes.txt")
    assert targets([Path("a/one.jpg"), Path("photos")]) == [
        "out/one.vqc",
        "out/sea/three.tar.vqc",
        "out/two.vqc",
    ]


def test_inputs_are_read_where_they_lie():
    touch("a/one.jpg", "photos/sea/two.png")
    first, second = photographs([Path("a/one.jpg"), Path("photos")])
    assert (first.read(), second.read()) == (b"a/one.jpg", b"photos/sea/two.png")
    assert str(second.path) == "photos/sea/two.png"


def test_shard_with_absolute_names_writes_below_the_output_folder():
    Path("photos").mkdir()
    with tarfile.open("photos/shard.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("/etc/passwd.png"), io.BytesIO())
    assert targets([Path("photos")]) == ["out/etc/passwd.vqc"]


def test_two_inputs_for_one_output_are_refused_before_the_folder_is_made():
    with pytest.raises(ConfigError, match=r"a/x\.png and b/x\.jpg would both become out/x\.vqc"):
        targets(touch("a/x.png", "b/x.jpg"))
    assert not Path("out").exists()


def test_existing_output_is_refused_unless_forced():
    paths = touch("a.png", "b.png", "c.png")
    touch("out/a.vqc", "out/c.vqc")
    with pytest.raises(ConfigError, match=r"out/a\.vqc \(and 1 more\) exists; --force replaces it"):
        targets(paths)
    assert targets(paths, force=True) == ["out/a.vqc", "out/b.vqc", "out/c.vqc"]


def test_input_is_never_written_over_even_by_force():
    inputs = photographs(touch("a.png"))
    os.symlink(".", "here")
    with pytest.raises(ConfigError, match=r"here/a\.png is one of the inputs"):
        plan(inputs, Path("here"), ".png", force=True)


def test_output_folder_that_is_a_file_is_refused():
    touch("file")
    with pytest.raises(ConfigError, match="file cannot be a folder for results: File exists"):
        check_folder(Path("file"))


def test_output_folder_without_the_right_to_write_is_refused(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may always write
    with pytest.raises(ConfigError, match="out cannot be written to"):
        check_folder(Path("out"))


def test_folder_of_codes_is_its_code_files():
    touch("codes/b/two.vqc", "codes/one.vqc", "codes/one.json", "x.npy")
    assert [(str(item.path), str(item.place)) for item in code_files([Path("codes"), Path("x.npy")])] == [
        ("codes/b/two.vqc", "b/two.vqc"),
        ("codes/one.vqc", "one.vqc"),
        ("x.npy", "x.npy"),
    ]


def test_folder_without_code_files_is_an_error():
    touch("codes/one.json")
    with pytest.raises(DataError, match=r"codes holds no \.vqc files"):
        code_files([Path("codes")])


def test_file_is_written_whole_or_not_at_all(monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    write_whole(Path("sub/file"), b"before")
    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(Path("sub/file"), b"after")
    assert Path("sub/file").read_bytes() == b"before"
    assert os.listdir("sub") == ["file"]


def test_failure_to_write_names_the_file_and_not_the_temporary_one():
    with pytest.raises(OSError, match=r"No space left on device: 'sub/file'"), making(Path("sub/file")):
        raise OSError(28, "No space left on device", "sub/.0123.tmp")
