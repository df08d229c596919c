"""The service on a Ray cluster of this machine: what it promises by itself, it promises there."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from pydantic import ValidationError

from service.settings import PREFIX, Settings
from vqvae import Client
from vqvae.pixels import encode_image

ray = pytest.importorskip("ray")
serve = pytest.importorskip("ray.serve")

from service.deploy.ray_serve import STOP_S, Scaling, deployment  # noqa: E402 - needs Ray

ROOT = Path(__file__).parents[3]
PATIENCE_S = 300  # a busy machine is no failure

# The tests of the contract, which ask what the fixture `contract_service` is here.
_spec = importlib.util.spec_from_file_location("contract", ROOT / "tests/service/test_contract.py")
contract = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(contract)
contract.OF_EVERY_ANSWER |= {"server"}  # uvicorn, as Serve's proxy says
globals().update({name: thing for name, thing in vars(contract).items() if name.startswith("test_")})
model, space, answers, ask = contract.model, contract.space, contract.answers, contract.ask


@pytest.fixture(scope="module")
def cluster(only_ray):
    """A cluster of one node with Serve on it; its address, and the URL of Serve's proxy."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    at_sigterm = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        of_ray = {"include_dashboard": False, "log_to_driver": False, "_node_ip_address": "127.0.0.1"}
        context = ray.init("local", num_cpus=3, **of_ray)  # never one that is there already
        signal.signal(signal.SIGTERM, at_sigterm)
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        yield SimpleNamespace(address=context.address_info["gcs_address"], url=f"http://127.0.0.1:{port}")
        serve.shutdown()
        ray.shutdown()


@pytest.fixture(scope="module")
def contract_service(cluster, model):
    """Two replicas, started by the command that the README gives."""
    variables = {"THREADS": "1", "MODELS": str(model), "API_KEYS": contract.KEY}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    words = ["service.deploy.ray_serve:app", "min_replicas=2", "max_replicas=2"]
    options = ["--address", cluster.address, "--name", "vqvae", "--non-blocking"]
    subprocess.run(
        [Path(sys.executable).with_name("serve"), "run", *options, *words],
        check=True,
        cwd=ROOT,
        env=clean | {PREFIX + name: value for name, value in variables.items()},
        timeout=PATIENCE_S,
    )
    return cluster


def replicas(application="vqvae"):
    """Process id -> actor of the replicas that answer."""
    found = {}
    for actor in ray.util.list_named_actors(all_namespaces=True):
        if actor["name"].startswith(f"SERVE_REPLICA::{application}#"):
            try:
                replica = ray.get_actor(actor["name"], actor["namespace"])
                found[ray.get(replica.__ray_call__.remote(lambda _: os.getpid()))] = replica
            except (ValueError, ray.exceptions.RayActorError):
                pass  # it has just ended
    return found


def until(condition):
    ends_at = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < ends_at, f"not within {PATIENCE_S} s"
        time.sleep(0.2)
    return found


def test_a_request_has_one_id_and_the_problem_has_the_same(contract_service, problem_of):
    for headers in {}, {"x-request-id": "an-id"}:
        response = httpx.get(f"{contract_service.url}/v1/models/nope", headers=contract.AUTHORIZED | headers)
        problem = problem_of(response, 404, "not-found")
    assert problem["request_id"] == "an-id"


def test_nothing_is_lost_or_hangs_where_a_replica_is_killed(contract_service, tokenizer, photo):
    before = until(lambda: len(found := replicas()) == 2 and found)
    images = [np.roll(photo, i, axis=1) for i in range(photo.shape[1])] * 4
    wanted = [tokenizer.encode_rgb8(image).codes for image in images]
    killed = next(iter(before))
    with (
        Client(contract_service.url, api_key=contract.KEY) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        grids = pool.map(client.encode, images, timeout=PATIENCE_S)
        first = list(islice(grids, 20))
        os.kill(killed, signal.SIGKILL)
        codes = [grid.codes for grid in [*first, *grids]]
    assert all(map(np.array_equal, codes, wanted))
    assert len(codes) == len(images)
    after = until(lambda: len(found := replicas()) == 2 and found)
    assert killed not in after


def test_a_replica_whose_model_does_not_work_is_replaced(cluster, model):
    settings = Settings(threads=1, models=str(model))
    impatient = deployment(settings, Scaling()).options(health_check_period_s=0.5)
    serve.run(impatient.bind(), name="sick", route_prefix="/sick")

    def end_the_worker(_):
        (worker,) = [thread for thread in threading.enumerate() if thread.name == "model-worker-0"]
        worker._target.__self__.stop()  # the scheduler's own way to end it

    ((sick, replica),) = replicas("sick").items()
    ray.get(replica.__ray_call__.remote(end_the_worker))
    until(lambda: (found := replicas("sick")) and sick not in found)
    until(lambda: httpx.get(f"{cluster.url}/sick/readyz").status_code == 200)


def test_accepted_requests_are_answered_where_the_application_is_deleted(contract_service, tokenizer):
    image = np.random.default_rng(0).integers(0, 256, (2048, 2048, 3), np.uint8)
    with Client(contract_service.url, api_key=contract.KEY) as client, ThreadPoolExecutor(2) as pool:
        client.encode(image[:64])
        asked = [pool.submit(client.reconstruct, encode_image(image)) for _ in range(2)]
        until(lambda: any(num_requests(replica) for replica in replicas().values()))
        serve.delete("vqvae", _blocking=False)
        assert all(each.result(PATIENCE_S).image.size == (2048, 2048) for each in asked)


def num_requests(replica):
    return ray.get(replica.get_num_ongoing_requests.remote())


def test_a_replica_reserves_its_threads_and_stops_within_the_drain():
    of_three = deployment(Settings(threads=3, drain_s=7, connections=50), Scaling())
    assert of_three.ray_actor_options["num_cpus"] == 3
    assert of_three.max_ongoing_requests == of_three.max_queued_requests == 50
    assert of_three._deployment_config.graceful_shutdown_timeout_s == 7 + STOP_S


def test_a_word_that_nobody_knows_is_refused():
    with pytest.raises(ValidationError, match="max_replica\n"):
        Scaling.model_validate({"max_replica": "2"})
