import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.formats import save_codes
from vqvae.pixels import decode_image
from vqvae.tokenizer import Tokenizer

ROOT = Path(__file__).parents[3]
COMMANDS = [
    "encode",
    "decode",
    "reconstruct",
    "info",
    "doctor",
    "evaluate",
    "quality",
    "train",
    "export-onnx",
]


def python(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def without(modules: list[str], *, cwd: Path, commands: list[list[str]]) -> subprocess.CompletedProcess[str]:
    """Runs commands one after another in a process that cannot import these modules."""
    code = f"""
import sys
sys.modules.update(dict.fromkeys({modules}))
from vqvae.cli import main
for command in {commands}:
    try:
        main(command)
    except SystemExit as ended:
        print("exit", ended.code or 0)
"""
    return python("-c", code, cwd=cwd)


def test_help_of_every_command_needs_no_heavy_import(tmp_path):
    heavy = ["torch", "safetensors", "numpy", "PIL", "orjson", "rich"]
    done = without(heavy, cwd=tmp_path, commands=[["--help"], *([name, "--help"] for name in COMMANDS)])
    assert done.stderr == ""
    assert done.stdout.count("exit 0") == 1 + len(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_opens_with_a_purpose_and_shows_examples_on_lines_of_their_own(vqvae, command):
    lines = vqvae(command, "--help").out.splitlines()
    assert lines[2].startswith("  ")
    assert lines[2].endswith(".")
    assert len([line for line in lines if line.startswith(f"      vqvae {command} ")]) >= 2


def test_purpose_of_every_command_fits_in_the_list_of_commands(vqvae):
    help_ = vqvae("--help").out
    assert "..." not in help_.split("Commands:")[1]
    assert all(f"\n  {command} " in help_ for command in COMMANDS)


def test_no_arguments_give_the_help(vqvae):
    ended = vqvae()
    assert ended.code == 0
    assert ended.out == vqvae("--help").out


def test_module_and_command_tell_one_version(vqvae, tmp_path):
    done = python("-m", "vqvae", "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "vqvae 0.1.0\n", "")
    assert vqvae("--version").out == done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["encdoe"], "error: no such command 'encdoe'. Did you mean 'encode'?"),
        (["encode"], "error: missing argument 'PHOTO'."),
        (["encode", "a.png", "--wrong"], "error: no such option: --wrong"),
        (["encode", "a.png", "--format", "gif"], "error: invalid value for '--format': 'gif' is not one of"),
        (["decode", "a.vqc", "--quality", "101"], "error: invalid value for '--quality': "),
    ],
)
def test_wrong_usage_is_a_line_and_where_to_look(vqvae, arguments, said):
    ended = vqvae(*arguments)
    assert (ended.code, ended.out) == (2, "")
    error, hint = ended.err.splitlines()
    assert error.startswith(said)
    assert hint.startswith("try: ")
    assert hint.endswith(" --help")


def test_without_torch_codes_can_be_looked_at_and_commands_that_need_it_say_how_to_get_it(tmp_path):
    grid = CodeGrid([[0, 1], [2, 1]], 16, 16, CodeSpace("m", "0" * 64, 3, 8))
    save_codes(grid, tmp_path / "a.vqc")
    done = without(["torch"], cwd=tmp_path, commands=[["info", "a.vqc"], ["decode", "a.vqc"]])
    assert "distinct codes    3 of 3\nexit 0\n" in done.stdout
    assert done.stdout.endswith("exit 2\n")
    assert (
        done.stderr
        == "error: this command needs the extra `model`; install it with: pip install 'vqvae[model]'\n"
    )


def test_operating_system_errors_are_one_line(vqvae, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "out")

    monkeypatch.setattr("vqvae.cli.encode.plan", full)
    ended = vqvae("encode", "photo.png")
    assert (ended.code, ended.err) == (2, "error: out: No space left on device\n")


def test_process_ends_with_2_and_one_line_on_stderr(tmp_path, weights):
    done = python("-m", "vqvae", "encode", "missing.jpg", "--model", weights / "tiny", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: missing.jpg: No such file or directory\n"


def test_names_that_the_terminal_cannot_show_are_escaped(tmp_path, weights, photo, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    photo.rename(tmp_path / "写真.png")
    done = python("-m", "vqvae", "encode", "写真.png", "--model", weights / "tiny", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(r"\u5199\u771f.png -> \u5199\u771f.vqc  ")


def test_a_picture_goes_through_pipes_to_codes_and_back(tmp_path, weights, photo):
    vqvae = f"{sys.executable} -m vqvae"
    done = subprocess.run(
        f"{vqvae} encode - -m tiny < photo.png | {vqvae} decode - > again.png",
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "VQVAE_WEIGHTS": str(weights)},
        capture_output=True,
        text=True,
        check=False,
    )
    tokenizer = Tokenizer.load(weights / "tiny")
    expected = tokenizer.decode_rgb8(tokenizer.encode(photo))
    assert np.array_equal(decode_image((tmp_path / "again.png").read_bytes()), expected)
    assert (done.returncode, done.stdout) == (0, "")
    assert (
        sorted(line.partition("  ")[0] for line in done.stderr.splitlines())
        == ["standard input -> standard output"] * 2
    )


def test_bytes_do_not_go_to_a_terminal(terminal, photo):
    ended = terminal("-m", "vqvae", "encode", "photo.png", "-o", "-", NO_COLOR="1")
    assert ended.code == 2
    assert (
        ended.out
        == "error: standard output is a terminal or closed, and the result is bytes; add > FILE, or -o FILE\n"
    )


def test_running_twice_in_one_process_is_running_twice(vqvae, photo):
    first, second = (vqvae("encode", photo, "-m", "tiny", "--force") for _ in range(2))
    assert first == second
