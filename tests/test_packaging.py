"""What is delivered: the wheel, the extras with their pins, the layers, the image's files, the set-up."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
CONTRACTS = {contract["name"]: contract for contract in PYPROJECT["tool"]["importlinter"]["contracts"]}
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
)
OF_EXTRAS = [
    "torch",
    "safetensors",
    "tensorboard",
    "matplotlib",
    "pyarrow",
    "onnx",
    "onnxruntime",
    "fastapi",
    "starlette",
    "uvicorn",
    "pydantic",
    "skimage",
    "scipy",
]


def required(dependencies: list[str]) -> list[Requirement]:
    return [
        requirement for line in dependencies if (requirement := Requirement(line)).name != PROJECT["name"]
    ]


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def without_extras(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code as if the base install were all there is."""
    block = f"import sys; sys.modules.update(dict.fromkeys({OF_EXTRAS!r})); "
    command = [sys.executable, "-c", block + code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """What is in the wheel."""
    return set(zipfile.ZipFile(wheel).namelist())


def test_wheel_holds_the_library_and_the_default_model_and_nothing_else(names: set[str]) -> None:
    library = {f"vqvae/{name}" for name in files_below(ROOT / "vqvae")}
    weights = {f"vqvae/weights/photo-f8/{name}" for name in files_below(ROOT / "weights/photo-f8")}
    assert {name for name in names if ".dist-info/" not in name} == library | weights


def test_wheel_can_load_the_default_model_by_name(names: set[str]) -> None:
    assert {"vqvae/weights/photo-f8/model.safetensors", "vqvae/weights/photo-f8/model.json"} <= names


def test_wheel_carries_the_licence(names: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_base_install_is_light() -> None:
    names = {requirement.name for requirement in required(PROJECT["dependencies"])}
    assert names == {"numpy", "pillow", "orjson", "httpx", "typer", "rich"}


def test_lower_layers_import_without_any_extra() -> None:
    modules = CONTRACTS["from metrics down there is no torch"]["source_modules"]
    done = without_extras(f"import vqvae, {', '.join(modules)}")
    assert done.returncode == 0, done.stderr


def test_command_line_explains_itself_without_any_extra() -> None:
    done = without_extras("from vqvae.cli import main; main()", "--help")
    assert done.returncode == 0, done.stderr


def test_every_module_has_its_place_in_the_layers() -> None:
    assert all(contract["exhaustive"] for contract in CONTRACTS.values() if contract["type"] == "layers")


def test_service_may_import_the_facade_and_what_is_below_it_by_name() -> None:
    contract = CONTRACTS["service leaves the inside of vqvae alone"]
    forbidden = {module.removeprefix("vqvae.") for module in contract["forbidden_modules"]}
    every = {
        path.stem
        for path in (ROOT / "vqvae").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert every - forbidden - {"__init__"} == {
        "tokenizer",
        "code_grid",
        "formats",
        "pixels",
        "metrics",
        "errors",
    }


def test_every_dependency_is_pinned_to_a_version_it_admits() -> None:
    build = PYPROJECT["build-system"]["requires"]
    lists = [build, PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in required([line for lines in lists for line in lines]):
        pin = PINS.get(canonicalize_name(requirement.name))
        assert pin, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(pin), f"{requirement} does not admit {pin}"


def test_pins_are_closed_under_what_the_pinned_require() -> None:
    for name in PINS:
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # of an extra that is not installed
            continue
        for requirement in map(Requirement, lines):
            needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            pinned_by_torch = name == "torch" and "==" in str(requirement.specifier)
            if needed and not pinned_by_torch:
                assert canonicalize_name(requirement.name) in PINS, f"{name} brings {requirement.name}"


def test_image_is_built_from_what_dockerignore_lets_through_and_nothing_more() -> None:
    ignore = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    assert ignore[0] == "*"  # .git, .venv and runs among it
    assert {line[1:] for line in ignore if line.startswith("!")} == {
        name for names in copied for name in names.split()
    }


def test_no_file_names_a_package_registry_or_a_folder_of_one_machine() -> None:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git repository")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    # written so that this line does not find itself
    unwanted = re.compile(
        rb"py[p]i\.org|pythonhoste[d]|npmj[s]\.|(deb|security)\.debia[n]\.org|/(work|root|home)[/]\w"
    )
    found = {
        name: match.group().decode()
        for name in names
        if (path := ROOT / name).is_file() and (match := unwanted.search(path.read_bytes()))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("python", "package"),
    [
        ("exit 127", "python3-venv or python3.11-venv"),
        ('case "$2" in *version_info*) echo 3.12 ;; *) exit 1 ;; esac', "python3.12-venv"),
    ],
    ids=["no Python from 3.11 on", "a Python without venv"],
)
def test_make_says_in_one_line_which_package_is_missing(tmp_path: Path, python: str, package: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("make", "sh", "ls", "rm", "find", "sed", "touch"):
        (tools / tool).symlink_to(shutil.which(tool) or pytest.skip(f"{tool} is not installed"))
    (tools / "python3").write_text(f"#!{tools}/sh\n{python}\n")
    (tools / "python3").chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(
        [tools / "make", "serve", f"SHELL={tools}/sh"],
        cwd=tmp_path,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert said == [f"Python 3.11 or newer with venv is needed: install the package {package}"]
    assert done.returncode == 2
