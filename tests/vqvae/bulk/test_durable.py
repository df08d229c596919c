import os
import subprocess
import sys

import pytest

from vqvae.bulk.durable import locked, make_folder, remove_leftovers, whole_file
from vqvae.errors import BulkError


def test_a_file_is_whole_or_as_it_was(tmp_path):
    target = tmp_path / "a"
    with whole_file(target) as file:
        file.write(b"old")
        assert not target.exists()

    def fail():
        with whole_file(target) as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}


def test_content_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    with whole_file(tmp_path / "a") as file:
        file.write(b"x")
        assert synced == []
    assert synced == [(tmp_path / "a").stat().st_ino, tmp_path.stat().st_ino]


def test_a_new_folder_and_its_new_parents_are_on_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    make_folder(tmp_path / "a/b/c")
    assert synced == [folder.stat().st_ino for folder in (tmp_path, tmp_path / "a", tmp_path / "a/b")]


def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path):
    target = tmp_path / "a"
    code = f"""
import resource
from pathlib import Path
from vqvae.bulk.durable import whole_file
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
with whole_file(Path({str(target)!r})) as file:
    file.write(bytes(1000))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"BulkError: {target} cannot be written: File too large; what is finished stays" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_kill_are_removed_and_nothing_else(tmp_path):
    for name in (".a.123.tmp", "a", ".lock", "b.tmp"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "a", "b.tmp"]


def test_a_folder_is_one_run_s_alone(tmp_path):
    make_folder(tmp_path / "a/b")

    def take():
        with locked(tmp_path / "a/b"):
            return True

    with locked(tmp_path / "a/b"), pytest.raises(BulkError, match="is being written by another run"):
        take()
    assert take()
