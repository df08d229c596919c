"""Settings from the environment."""

import os

import pytest

from service.settings import PREFIX, Settings, read_settings, usable_cpus
from vqvae.errors import ConfigError


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def test_defaults_are_the_designs():
    settings = read_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.model_names == ["photo-f8", "photo-f16"]
    assert (settings.body_bytes, settings.images_per_request, settings.deadline_s) == (20_000_000, 64, 30)
    assert (settings.image_megapixels, settings.request_megapixels) == (16, 64)


def test_a_variable_sets_what_it_names(monkeypatch):
    monkeypatch.setenv(f"{PREFIX}PORT", "8123")
    monkeypatch.setenv(f"{PREFIX}MODELS", " photo-f8, weights/other ,")
    settings = read_settings()
    assert settings.port == 8123
    assert settings.model_names == ["photo-f8", "weights/other"]


def test_unknown_variable_is_rejected_by_name(monkeypatch):
    monkeypatch.setenv(f"{PREFIX}PROT", "8123")
    with pytest.raises(ConfigError, match=rf"{PREFIX}PROT is no setting; there are .*{PREFIX}PORT"):
        read_settings()


def test_what_kubernetes_puts_beside_a_service_called_vqvae_is_ignored(monkeypatch):
    monkeypatch.setenv("VQVAE_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("VQVAE_SERVICE_HOST", "10.0.0.1")
    assert (read_settings().host, read_settings().port) == ("127.0.0.1", 8000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "http"),
        ("HOST", ""),
        ("THREADS", "0"),
        ("BODY_BYTES", "-1"),
        ("DEADLINE_S", ""),
        ("DEADLINE_S", "inf"),
        ("IMAGE_MEGAPIXELS", "nan"),
    ],
)
def test_a_wrong_value_is_rejected_in_a_line_that_names_it(monkeypatch, name, value):
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(ConfigError, match=rf"^{PREFIX}{name}: .*got '{value}'$"):
        read_settings()


def test_limits_must_agree(monkeypatch):
    monkeypatch.setenv(f"{PREFIX}IMAGE_MEGAPIXELS", "65")
    with pytest.raises(
        ConfigError, match="image_megapixels must not exceed request_megapixels, got 65 and 64"
    ):
        read_settings()


def test_a_model_there_must_be(monkeypatch):
    monkeypatch.setenv(f"{PREFIX}MODELS", ",")
    with pytest.raises(ConfigError, match="at least one model"):
        read_settings()


def test_every_setting_says_what_it_is():
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_threads_follow_the_cgroups_quota_and_the_affinity(tmp_path, monkeypatch, files, quota):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cpus(tmp_path) == (quota or 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert usable_cpus(tmp_path) == 1
