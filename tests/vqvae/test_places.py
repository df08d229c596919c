import subprocess
import sys

from vqvae.places import named_models, places


def test_models_are_known_by_the_names_of_their_folders(weights, monkeypatch):
    monkeypatch.setenv("VQVAE_WEIGHTS", str(weights))
    assert places()[0] == weights
    assert named_models()["tiny"] == weights / "tiny"
    assert "photo-f8" in named_models()


def test_the_first_place_that_has_a_name_wins(weights, monkeypatch, tmp_path):
    (tmp_path / "photo-f8").mkdir()
    (tmp_path / "photo-f8/model.json").touch()
    monkeypatch.setenv("VQVAE_WEIGHTS", str(tmp_path))
    assert named_models()["photo-f8"] == tmp_path / "photo-f8"


def test_listing_needs_nothing_heavy():
    code = "import sys, vqvae.places; sys.exit(not {'torch', 'numpy'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
