"""The Compose file agrees with the service and with its image, and Docker reads it."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.__main__ import FLUSH_S
from service.app import create_app
from service.scheduler import STALE_AFTER_S
from service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
FILE = ROOT / "service/deploy/compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
README = (FILE.parent / "README.md").read_text()
SERVICE = COMPOSE["services"]["vqvae"]
SETTINGS = Settings(
    **{name.removeprefix(PREFIX).lower(): value for name, value in SERVICE["environment"].items()}
)
PORT = re.search(r"VQVAE_SERVE_PORT=(\d+)", DOCKERFILE)[1]
SECONDS = re.compile(r"(\d+)s")


def has_compose():
    return (
        bool(shutil.which("docker"))
        and not subprocess.run(["docker", "compose", "version"], check=False, capture_output=True).returncode
    )


@pytest.mark.skipif(not has_compose(), reason="needs docker compose")
def test_docker_reads_it():
    command = ["docker", "compose", "--file", FILE, "--profile", "watch", "config", "--quiet"]
    subprocess.run(command, check=True, timeout=60)


def test_it_builds_the_image_of_the_repository():
    assert (FILE.parent / SERVICE["build"]).resolve() == ROOT


def test_the_user_is_the_image_s_and_can_do_nothing_else():
    assert SERVICE["user"] == re.search(r"^USER (\S+)$", DOCKERFILE, re.M)[1]
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]
    assert "volumes" not in SERVICE


def test_ports_are_the_image_s_and_open_to_this_machine_alone():
    assert SERVICE["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_its_health_is_what_the_image_asks_for():
    options, command = re.search(r"^HEALTHCHECK (.*?) *\\\n +CMD (\[.*\])$", DOCKERFILE, re.M).groups()
    check = SERVICE["healthcheck"]
    assert check["test"] == ["CMD", *yaml.safe_load(command)]
    of_image = dict(option.removeprefix("--").split("=") for option in shlex.split(options))
    assert {name.replace("_", "-"): str(check[name]) for name in check if name != "test"} == of_image
    (path,) = re.findall(rf":{PORT}(/\w+)", check["test"][-1])
    assert path in create_app(Settings(), []).openapi()["paths"]


def test_every_variable_is_a_setting_and_it_has_the_time_to_drain():
    assert {name.removeprefix(PREFIX).lower() for name in SERVICE["environment"]} <= {*Settings.model_fields}
    grace_s = int(SECONDS.fullmatch(SERVICE["stop_grace_period"])[1])
    assert grace_s >= SETTINGS.drain_s + FLUSH_S + STALE_AFTER_S


def test_a_full_queue_is_done_within_the_time_to_drain():
    megapixels_a_second = float(re.search(r"^> .* or ([\d.]+) megapixels a second", README, re.M)[1])
    assert SETTINGS.drain_s >= SETTINGS.queue_megapixels / megapixels_a_second


def test_threads_are_the_processors_that_it_has():
    assert isinstance(SERVICE["cpus"], int)  # whole ones, as threads are
    assert PREFIX + "THREADS" not in SERVICE["environment"]  # they follow the limit


def test_prometheus_and_grafana_come_only_when_asked_for_and_find_the_service():
    assert all(COMPOSE["services"][name]["profiles"] == ["watch"] for name in ("prometheus", "grafana"))
    (job,) = yaml.safe_load(COMPOSE["configs"]["prometheus"]["content"])["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"vqvae:{PORT}"]}]
    (source,) = yaml.safe_load(COMPOSE["configs"]["grafana-source"]["content"])["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (dashboard,) = COMPOSE["services"]["grafana"]["volumes"]
    shown = COMPOSE["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert dashboard == f"./grafana-dashboard.json:{shown}:ro"
    assert (FILE.parent / "grafana-dashboard.json").exists()
