"""The manifests fit their schemas, and agree with the service, with its image and with each other."""

import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.__main__ import FLUSH_S
from service.app import HEADER_PROCESSES, UNPACKING_BYTES_PER_PIXEL, create_app
from service.scheduler import STALE_AFTER_S
from service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "service/deploy/kubernetes"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
README = (ROOT / "service/deploy/README.md").read_text()
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS = {name: yaml.safe_load((FOLDER / name).read_text()) for name in KUSTOMIZATION["resources"]}
KINDS = {thing["kind"]: thing for thing in OBJECTS.values()}
OLDEST = "1.30"  # that sleeps before it stops a container unless told not to

POD = KINDS["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
ENVIRONMENT = {variable["name"]: variable["value"] for variable in CONTAINER["env"]}
SETTINGS = Settings(
    **{name.removeprefix(PREFIX).lower(): value for name, value in ENVIRONMENT.items()},
    threads=int(CONTAINER["resources"]["limits"]["cpu"]),
)
PORT = int(re.search(r"VQVAE_SERVE_PORT=(\d+)", DOCKERFILE)[1])


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("name", OBJECTS)
def test_a_manifest_fits_its_schema_and_has_nothing_else(name, version):
    kubernetes_validate.validate(OBJECTS[name], version, strict=True)


def test_every_manifest_is_listed():
    assert {path.name for path in FOLDER.iterdir()} == {"kustomization.yaml", *OBJECTS}
    assert {*KINDS} == {
        "Deployment",
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    }


@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
def test_kubectl_puts_them_together():
    command = ["kubectl", "kustomize", FOLDER]
    built = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert {thing["kind"] for thing in yaml.safe_load_all(built.stdout)} == {*KINDS}


def test_all_mean_the_same_pods():
    labels = POD["metadata"]["labels"]
    selectors = [
        KINDS["Deployment"]["spec"]["selector"]["matchLabels"],
        KINDS["Service"]["spec"]["selector"],
        KINDS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        KINDS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in POD["spec"]["topologySpreadConstraints"]),
    ]
    assert all(selector == labels for selector in selectors)
    target = KINDS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", KINDS["Deployment"]["metadata"]["name"])
    assert POD["spec"]["serviceAccountName"] == KINDS["ServiceAccount"]["metadata"]["name"]


def test_ports_are_those_of_the_image():
    (port,) = CONTAINER["ports"]
    assert port["containerPort"] == PORT
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(PORT)
    (of_service,) = KINDS["Service"]["spec"]["ports"]
    ((of_policy,),) = [rule["ports"] for rule in KINDS["NetworkPolicy"]["spec"]["ingress"]]
    asked = [
        CONTAINER[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    ]
    assert {of_service["targetPort"], of_policy["port"], *asked} == {port["name"]}


def test_probes_and_prometheus_ask_for_what_there_is():
    paths = create_app(Settings(), []).openapi()["paths"]
    probes = {name: CONTAINER[name]["httpGet"]["path"] for name in CONTAINER if name.endswith("Probe")}
    assert probes == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
    assert {*probes.values(), POD["metadata"]["annotations"]["prometheus.io/path"]} <= {*paths}


@pytest.mark.anyio
async def test_the_autoscaler_asks_for_a_metric_that_there_is(in_process):
    (metric,) = KINDS["HorizontalPodAutoscaler"]["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    async with in_process() as (client, _):
        text = (await client.get("/metrics")).text
    (family,) = [family for family in text_string_to_metric_families(text) if family.name == name]
    assert family.type == "gauge"
    assert f"seriesQuery: '{name}{{" in README


def test_every_variable_is_a_setting():
    assert {name.removeprefix(PREFIX).lower() for name in ENVIRONMENT} <= {*Settings.model_fields}


def test_a_pod_has_the_time_to_drain():
    grace_s = POD["spec"]["terminationGracePeriodSeconds"]
    before_s = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert (
        grace_s >= before_s + SETTINGS.drain_s + FLUSH_S + STALE_AFTER_S
    )  # which it may wait for the worker


def test_a_full_queue_is_done_within_the_time_to_drain():
    megapixels_a_second = float(re.search(r"^> .* or ([\d.]+) megapixels a second", README, re.M)[1])
    needed_s = SETTINGS.queue_megapixels / megapixels_a_second
    assert SETTINGS.drain_s >= needed_s
    assert f"{needed_s:.0f} s there, so {SETTINGS.drain_s} in the manifests" in README


def test_threads_are_the_processors_that_a_pod_has():
    resources = CONTAINER["resources"]
    assert resources["limits"] == resources["requests"]
    assert resources["limits"]["cpu"].isdecimal()  # whole ones, as threads are
    assert PREFIX + "THREADS" not in ENVIRONMENT  # they follow the limit


def test_memory_is_enough_for_what_the_settings_allow():
    bodies = 4 * SETTINGS.body_bytes + 2**26
    processes = HEADER_PROCESSES * bodies + SETTINGS.threads * (
        bodies + UNPACKING_BYTES_PER_PIXEL * SETTINGS.image_pixels
    )
    waiting = SETTINGS.queue_body_bytes + 3 * SETTINGS.queue_megapixels * 2**20
    (gibibytes,) = re.fullmatch(r"(\d+)Gi", CONTAINER["resources"]["limits"]["memory"]).groups()
    assert int(gibibytes) * 2**30 >= processes + waiting + 2**30  # of the service's own process


def test_the_user_is_the_image_s_and_can_do_nothing_else():
    user, group = map(int, re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.M).groups())
    of_pod, of_container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert of_pod == {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert of_container == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert KINDS["ServiceAccount"]["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & {*POD["spec"]}


def test_replicas_are_left_while_one_is_taken():
    assert (
        KINDS["HorizontalPodAutoscaler"]["spec"]["minReplicas"]
        > KINDS["PodDisruptionBudget"]["spec"]["maxUnavailable"]
    )
    assert "replicas" not in KINDS["Deployment"]["spec"]  # or each apply would undo the autoscaler's choice
