"""What shells ask and what they are answered, as the scripts ask that `--show-completion` gives them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LIGHT = "import sys; sys.modules.update(dict.fromkeys(['torch', 'numpy', 'PIL'])); sys.argv[0] = 'vqvae'"


@pytest.fixture
def ask(weights, two_decoders, tmp_path):
    """Runs the command line on a shell's question, where nothing heavy can be imported."""
    shutil.copytree(weights / "tiny", tmp_path / "weights/tiny")
    shutil.copytree(two_decoders, tmp_path / "weights/two")
    (tmp_path / "weights/damaged").mkdir()
    (tmp_path / "weights/damaged/model.json").write_text("[")

    def run(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", f"{LIGHT}; from vqvae.cli import main; main()", *arguments],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "VQVAE_WEIGHTS": str(tmp_path / "weights"),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture
def complete(ask):
    """The choices for the last word, asked as fish asks: NAME or NAME and, after a tab, help."""

    def run(line: str) -> dict[str, str]:
        environment = {"_VQVAE_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        answer = ask(**environment, _TYPER_COMPLETE_ARGS=line)
        rows = (row.partition("\t") for row in answer.splitlines() if row)
        return {name: help_ for name, _, help_ in rows}

    return run


def test_commands_are_completed_with_their_purposes(complete):
    assert complete("vqvae re") == {"reconstruct": "Show what codes keep of photographs."}


def test_options_are_completed_each_on_one_line(complete):
    options = complete("vqvae encode --")
    assert {"--out", "--model", "--format", "--json", "--force"} <= set(options)
    assert all(name.startswith("--") for name in options)
    assert options["--format"].endswith("npy: the bare integers.")


@pytest.mark.parametrize(
    "line",
    [
        "vqvae encode -m ",
        "vqvae decode --model ",
        "vqvae info ",
        "vqvae evaluate ",
        "vqvae train --from ",
        "vqvae quality -m ",
    ],
)
def test_models_are_completed_by_name(complete, line):
    assert set(complete(f"{line}t")) == {"tiny", "two"}


def test_decoders_are_those_of_the_model(complete, two_decoders):
    assert set(complete("vqvae reconstruct -m tiny --decoder ")) == {"faithful"}
    assert set(complete("vqvae reconstruct -m two --decoder ")) == {"faithful", "vivid"}
    assert set(complete(f"vqvae evaluate {two_decoders} photos --decoder ")) == {"faithful", "vivid"}
    assert set(complete("vqvae decode --decoder v")) == {"vivid"}  # of some model


def test_damaged_and_missing_cards_complete_nothing(complete):
    assert complete("vqvae reconstruct -m damaged --decoder ") == {}
    assert complete("vqvae reconstruct -m missing --decoder ") == {}


def test_formats_and_devices_are_completed(complete):
    assert set(complete("vqvae encode --format ")) == {"vqc", "json", "npy"}
    assert set(complete("vqvae encode --device c")) == {"cpu", "cuda"}


def test_bash_completes_by_the_script_it_is_given(ask, tmp_path):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    vqvae = tmp_path / "vqvae"
    vqvae.write_text(f"#!{sys.executable}\n{LIGHT}\nfrom vqvae.cli import main\nmain()\n")
    vqvae.chmod(0o755)
    script = ask("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    asking = f"{script}\nCOMP_WORDS=(vqvae encode -m ti) COMP_CWORD=3\n_vqvae_completion {vqvae}"
    done = subprocess.run(
        [bash, "-c", f'{asking}\necho "${{COMPREPLY[@]}}"'],
        env={**os.environ, "PYTHONPATH": str(ROOT), "VQVAE_WEIGHTS": str(tmp_path / "weights")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "tiny\n"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_of_other_shells_ask_the_same_program(ask, shell):
    script = ask("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert f"_VQVAE_COMPLETE=complete_{shell}" in script


def test_zsh_is_told_names_and_to_look_for_files_where_there_are_none(ask):
    asking = {"_VQVAE_COMPLETE": "complete_zsh"}
    assert ask(**asking, _TYPER_COMPLETE_ARGS="vqvae encode -m ti") == "_arguments '*: :((\"tiny\"))'\n"
    assert ask(**asking, _TYPER_COMPLETE_ARGS="vqvae encode runs/") == "_files\n"
