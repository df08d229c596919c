"""Real processes that are stopped at various moments: what they leave behind, and how they end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vqvae.formats import load_codes

ROOT = Path(__file__).parents[3]
STOP = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.fixture(autouse=True)
def heeded_signals():
    """What this process ignores its children would too, and it may have been started by nohup."""
    before = [(number, signal.signal(number, signal.SIG_DFL)) for number, _ in STOP]
    yield
    for number, handler in before:
        signal.signal(number, handler)


def start(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("number", "code"), STOP[:2], ids=str)
def test_between_files_it_ends_quietly_and_leaves_whole_files_only(tmp_path, weights, photo, number, code):
    (tmp_path / "photos").mkdir()
    for i in range(2000):
        os.link(photo, tmp_path / f"photos/{i:04d}.png")
    process = start("-m", "vqvae", "encode", "photos", "-o", "codes", "-m", weights / "tiny", cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("photos/0000.png -> codes/0000.vqc  ")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, "")
    made = list((tmp_path / "codes").iterdir())
    assert 1 <= len(made) < 2000
    assert {load_codes(path).width for path in made} == {35}  # each can be read, and none is a temporary file


HALF_WRITTEN = """
import pathlib, time
from vqvae.cli import main

def write_half(path, data):
    with open(path, "wb") as file:
        file.write(data[: len(data) // 2])
    print("half", flush=True)
    time.sleep(60)

pathlib.Path.write_bytes = write_half
main(["encode", "photo.png", "-m", "%s"])
"""


@pytest.mark.parametrize(("number", "code"), STOP, ids=str)
def test_half_a_file_is_taken_away(tmp_path, weights, photo, number, code):
    process = start("-c", HALF_WRITTEN % (weights / "tiny"), cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, "")
    assert list(tmp_path.iterdir()) == [photo]


IMPORT_BREAKS = """
import builtins, sys, time
from vqvae.cli import main

def load(name, *rest, original=builtins.__import__):
    if name == "vqvae.formats":
        try:
            print("importing", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            raise %s  # as extension modules do
    return original(name, *rest)

builtins.__import__ = load
main(["info", "a.vqc"])
"""


@pytest.mark.parametrize("error", ["ImportError", "ModuleNotFoundError(name='numpy')", "SystemError"])
def test_an_import_that_is_cut_short_is_no_error(tmp_path, error):
    (tmp_path / "a.vqc").touch()
    process = start("-c", IMPORT_BREAKS % error, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 130


def test_ctrl_c_is_quiet_before_the_command_line_is_there(tmp_path):
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    process = start("-c", "from vqvae.__main__ import main; main()", cwd=tmp_path)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 130


def test_waiting_for_standard_input_can_be_stopped(tmp_path):
    process = start(
        "-c", "from vqvae.cli import main; print('up', flush=True); main(['info', '-'])", cwd=tmp_path
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(5)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 143


IGNORING = """
import os, signal
from vqvae.cli.stopping import stoppable

signal.signal(signal.SIGHUP, signal.SIG_IGN)
with stoppable():
    os.kill(os.getpid(), signal.SIGHUP)
    print("goes on")
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_what_nohup_ignores_stays_ignored_and_handlers_are_put_back(tmp_path):
    process = start("-c", IGNORING, cwd=tmp_path)
    assert process.communicate(timeout=60) == ("goes on\nTrue\n", "")


def test_a_reader_that_leaves_ends_it_quietly(tmp_path, weights):
    command = f"{sys.executable} -m vqvae info {weights / 'tiny'} {weights / 'other'} | head -1"
    done = subprocess.run(
        command,
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("model             tiny\n", "")
