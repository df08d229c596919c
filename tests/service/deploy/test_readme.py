"""service/deploy/README.md says what is so."""

import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.app import UNPACKING_BYTES_PER_PIXEL
from service.settings import PREFIX, Settings

FOLDER = Path(__file__).parents[3] / "service/deploy"
README = (FOLDER / "README.md").read_text()
OF_SERVICE = (FOLDER.parent / "README.md").read_text()
YAML = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", README, re.M | re.S)]


def block_with(key):
    (found,) = [block for block in YAML if key in block]
    return found


def test_figures_are_quoted_from_where_they_were_measured():
    quotes = re.findall(r"^> (.*)$", README, re.M)
    latencies = re.findall(r"at (\d+)% half of all requests took ([\d.]+ s)|, at (\d+)% ([\d.]+ s)", README)
    assert quotes
    assert all(quote in OF_SERVICE for quote in quotes)
    assert len(latencies) == 2
    for level, seconds in (pair[:2] if pair[0] else pair[2:] for pair in latencies):
        assert re.search(rf"at {level}%: p99 of .*, p50 {seconds};", OF_SERVICE)


def test_sums_come_to_what_is_said():
    load, share, capacity, replicas = re.search(
        r"ceil\(([\d.]+) / \(([\d.]+) \* ([\d.]+)\)\) = (\d+)", README
    ).groups()
    assert math.ceil(float(load) / (float(share) * float(capacity))) == int(replicas)
    assert f"or {capacity} megapixels a second" in README
    settings = Settings()
    bodies = 4 * settings.body_bytes + 2**26
    unpacking = bodies + UNPACKING_BYTES_PER_PIXEL * settings.image_pixels
    queue = settings.queue_body_bytes + 3 * settings.queue_megapixels * 2**20
    said = [int(megabytes) for megabytes in re.findall(r": (\d+) MB by default", README)]
    assert said == [round(size / 10**6) for size in (unpacking, bodies, queue)]


def test_every_setting_that_it_names_is_one():
    named = re.findall(rf"`({PREFIX}[A-Z_]+|[A-Z]+(?:_[A-Z]+)+)`", README)
    assert named
    assert {name.removeprefix(PREFIX).lower() for name in named} <= {*Settings.model_fields}


def test_serve_reads_the_file_that_is_shown():
    schema = pytest.importorskip("ray.serve.schema").ServeDeploySchema
    (application,) = schema.model_validate(block_with("applications")).applications
    ray_serve = pytest.importorskip("service.deploy.ray_serve")
    assert application.import_path == f"{ray_serve.__name__}:{ray_serve.app.__name__}"
    assert ray_serve.Scaling.model_validate(application.args).max_replicas == 8
    given = application.runtime_env["env_vars"]
    assert {name.removeprefix(PREFIX).lower() for name in given} <= {*Settings.model_fields}


@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
def test_keys_of_a_secret_can_be_given_by_the_patch_that_is_shown(tmp_path):
    shutil.copytree(FOLDER / "kubernetes", tmp_path / "base")
    own = block_with("patches") | {"resources": ["base"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    command = ["kubectl", "kustomize", tmp_path]
    built = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    (pod,) = [each["spec"]["template"] for each in yaml.safe_load_all(built) if each["kind"] == "Deployment"]
    (container,) = pod["spec"]["containers"]
    file = {variable["name"]: variable["value"] for variable in container["env"]}[f"{PREFIX}API_KEYS_FILE"]
    (mount,) = container["volumeMounts"]
    assert file.startswith(f"{mount['mountPath']}/")
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == [mount["name"]]
