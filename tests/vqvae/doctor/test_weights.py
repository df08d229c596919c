import shutil
from pathlib import Path

import pytest

from vqvae import places
from vqvae.doctor.weights import Place, places_here, without_paths


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The package as if it were there, with no model around it."""
    monkeypatch.setattr(places, "__file__", str(tmp_path / "site" / "vqvae" / "places.py"))
    monkeypatch.delenv("VQVAE_WEIGHTS", raising=False)
    return tmp_path / "site"


def test_places_stand_in_the_order_in_which_names_are_looked_for(site, weights, monkeypatch):
    shutil.copytree(weights / "tiny", site / "vqvae" / "weights" / "tiny")
    assert places_here() == [Place("repository", False, ()), Place("wheel", True, ("tiny",))]
    monkeypatch.setenv("VQVAE_WEIGHTS", str(weights))
    assert places_here()[0] == Place("$VQVAE_WEIGHTS", True, ("other", "tiny"))
    assert len(places_here()) == 3


@pytest.mark.usefixtures("site")
def test_errors_tell_neither_folders_nor_homes_nor_users(monkeypatch):
    monkeypatch.setenv("HOME", "/data/people/jane")
    monkeypatch.setenv("VQVAE_WEIGHTS", "/srv/secret/models")
    monkeypatch.setenv("LOGNAME", "jane")
    other = "/".join(["", "home", "john", "lib.so"])
    text = without_paths(
        f"/srv/secret/models/a/model.json, /data/people/jane/b, {other}, /scratch/jane/c, janet/d"
    )
    assert text == "$VQVAE_WEIGHTS/a/model.json, ~/b, ~/lib.so, /scratch/USER/c, janet/d"


@pytest.mark.usefixtures("site")
def test_who_has_no_home_is_no_failure(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert without_paths("a plain text") == "a plain text"
