import re
import tomllib
from pathlib import Path

from vqvae.doctor.software import PARTS, software, torch_here

ROOT = Path(__file__).parents[3]


def names(requirements):
    return {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}


def test_packages_are_those_of_the_base_install_and_of_the_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(PARTS["base"]) == names(project["dependencies"])
    for extra in PARTS.keys() - {"base"}:
        assert set(PARTS[extra]) <= names(project["optional-dependencies"][extra])


def test_versions_and_libraries_are_told_of_all_that_is_here(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("VQVAE_SERVE_API_KEYS", "secret")
    monkeypatch.setenv("UNRELATED", "1")
    here = software()
    assert all(version for versions in here.packages.values() for version in versions.values())
    assert here.images["JPEG"].startswith(("libjpeg_turbo ", "jpg "))
    assert all(here.images.values())
    assert {"OMP_NUM_THREADS", "VQVAE_SERVE_API_KEYS"} <= set(here.variables)
    assert "UNRELATED" not in here.variables


def test_torch_says_how_it_computes_here():
    torch = torch_here()
    assert torch is not None
    assert torch.threads >= 1
    assert torch.kernels
