import io
import os
import tarfile
from pathlib import Path

import pytest

from vqvae.cli.files import check_folder, format_of, plan, write_whole
from vqvae.cli.inputs import photographs
from vqvae.errors import ConfigError

FORMATS = {"png": (".png",), "jpeg": (".jpg", ".jpeg")}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> list[str]:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return list(names)


def targets(words: list[str], out: str | None = "out", *, force: bool = False) -> list[str | None]:
    jobs = plan(photographs(words), out, (".vqc", ".codes"), force=force, as_json=False)
    return [None if job.target is None else job.target.as_posix() for job in jobs]


def test_results_keep_their_places_below_the_folder():
    touch("a/one.jpg", "photos/two.png", "photos/sea/three.tar.webp")
    assert targets(["a/one.jpg", "photos"]) == ["out/one.vqc", "out/sea/three.tar.vqc", "out/two.vqc"]
    assert targets(["a/one.jpg"], None) == ["one.vqc"]


def test_shard_with_absolute_names_writes_below_the_output_folder():
    Path("photos").mkdir()
    with tarfile.open("photos/shard.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("/etc/passwd.png"), io.BytesIO())
    assert targets(["photos"]) == ["out/etc/passwd.vqc"]


@pytest.mark.parametrize("out", ["new/mine.vqc", "mine.VQC", "mine.codes"])
def test_one_result_may_be_given_a_file(out):
    assert targets(touch("a.png"), out) == [out]
    assert Path(out).parent.is_dir()


def test_folder_that_is_called_like_a_file_is_a_folder():
    Path("mine.vqc").mkdir()
    assert targets(touch("a.png"), "mine.vqc") == ["mine.vqc/a.vqc"]


def test_several_results_are_not_put_into_one_file():
    with pytest.raises(ConfigError, match=r"mine\.vqc is one file, and there are 2 results; give a folder"):
        targets(touch("a.png", "b.png"), "mine.vqc")


def test_standard_output_takes_one_result():
    assert targets(touch("a.png"), "-") == [None]
    with pytest.raises(ConfigError, match="standard output takes one result, and there are 2"):
        targets(touch("a.png", "b.png"), "-")


def test_standard_output_takes_the_result_or_json():
    with pytest.raises(ConfigError, match="standard output takes either --json or the result"):
        plan(photographs(touch("a.png")), "-", (".vqc",), force=False, as_json=True)


def test_two_inputs_for_one_output_are_refused_before_the_folder_is_made():
    with pytest.raises(ConfigError, match=r"a/x\.png and b/x\.jpg would both become out/x\.vqc"):
        targets(touch("a/x.png", "b/x.jpg"))
    assert not Path("out").exists()


def test_existing_output_is_refused_unless_forced():
    paths = touch("a.png", "b.png", "c.png")
    touch("out/a.vqc", "out/c.vqc")
    with pytest.raises(ConfigError, match=r"out/a\.vqc \(and 1 more\) exists; --force replaces it"):
        targets(paths)
    with pytest.raises(ConfigError, match=r"out/a\.vqc exists; --force replaces it"):
        targets(paths[:1], "out/a.vqc")
    assert targets(paths, force=True) == ["out/a.vqc", "out/b.vqc", "out/c.vqc"]


def test_input_is_never_written_over_even_by_force():
    inputs = photographs(touch("a.png"))
    os.symlink(".", "here")
    for out in ("here", "here/a.png"):
        with pytest.raises(ConfigError, match=r"here/a\.png is one of the inputs"):
            plan(inputs, out, (".png",), force=True, as_json=False)


def test_format_is_what_is_wanted_or_how_the_file_ends_or_the_first():
    assert format_of(None, None, FORMATS) == "png"
    assert format_of("out", "jpeg", FORMATS) == "jpeg"
    assert format_of("a.JPEG", None, FORMATS) == "jpeg"
    assert format_of("a.jpg", "jpeg", FORMATS) == "jpeg"
    assert format_of("v1.0", None, FORMATS) == "png"  # a folder


def test_file_that_ends_unlike_its_format_is_refused():
    with pytest.raises(ConfigError, match=r"a\.jpg must end in \.png, or be a folder"):
        format_of("a.jpg", "png", FORMATS)
    with pytest.raises(ConfigError, match=r"a\.vqc must end in \.png or \.jpg or \.jpeg, or be a folder"):
        format_of("a.vqc", None, FORMATS)
    Path("a.vqc").mkdir()
    assert format_of("a.vqc", None, FORMATS) == "png"


def test_output_folder_that_is_a_file_is_refused():
    touch("file")
    with pytest.raises(ConfigError, match="file cannot be a folder for results: File exists"):
        check_folder(Path("file"))


def test_output_folder_without_the_right_to_write_is_refused(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may always write
    with pytest.raises(ConfigError, match="out cannot be written to"):
        check_folder(Path("out"))


def test_file_is_written_whole_or_not_at_all(monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    write_whole(Path("sub/file"), b"before")
    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(Path("sub/file"), b"after")
    assert Path("sub/file").read_bytes() == b"before"
    assert os.listdir("sub") == ["file"]


def test_failure_to_write_names_the_file_and_not_the_temporary_one(monkeypatch):
    def full(path: Path, _: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: 'sub/file'"):
        write_whole(Path("sub/file"), b"")
