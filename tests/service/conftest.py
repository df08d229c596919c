"""The service around tiny real models, in its own process or in this one."""

import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.app import create_app
from service.settings import PREFIX, Settings
from service.unpacking.pool import UnpackingPool
from vqvae.pixels import encode_image
from vqvae.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]
START_S = 60


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def tokenizer(weights):
    return Tokenizer.load(weights / "tiny")


@pytest.fixture(scope="session")
def other_tokenizer(weights):
    return Tokenizer.load(weights / "other")


@pytest.fixture(scope="session")
def photo():
    """Smooth colours with some noise, 45 high and 70 wide: no multiple of f."""
    y, x = np.mgrid[0:45, 0:70]
    noise = np.random.default_rng(0).integers(0, 40, (45, 70))
    return np.stack([3 * x + noise, 4 * y + noise, 2 * x + y + noise], axis=-1).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def png(photo):
    return encode_image(photo)


class RunningService:
    """`python -m service` on a free port of 127.0.0.1."""

    def __init__(self, folder, **settings):
        self.log = folder / "log"
        variables = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service"], cwd=ROOT, env=clean | variables, stdout=log, stderr=log
            )
        self.url = self._wait_for_url()
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self.wait_until_ready()

    def _wait_for_url(self):
        for _ in range(10 * START_S):
            for line in self.log.read_text().splitlines():
                if "serving on " in line:
                    return line.split("serving on ")[1].split()[0]
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(f"no start within {START_S} s: {self.log.read_text()}")

    def wait_until_ready(self):
        for _ in range(10 * START_S):
            if self.client.get("/readyz").status_code == 200:
                return
            time.sleep(0.1)
        raise AssertionError(f"not ready within {START_S} s: {self.log.read_text()}")

    def stop(self):
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=20)
        finally:
            self.process.kill()


@pytest.fixture(scope="session")
def start_service(weights, tmp_path_factory):
    """Starts a service of its own for a test, with these settings; `tiny` and `other` are loaded."""
    started = []

    def start(**settings):
        defaults = {"port": 0, "threads": 1, "models": f"{weights / 'tiny'},{weights / 'other'}"}
        started.append(RunningService(tmp_path_factory.mktemp("service"), **(defaults | settings)))
        return started[-1]

    yield start
    for service in started:
        service.stop()


@pytest.fixture(scope="session")
def service(start_service):
    """A service with default limits."""
    return start_service()


@pytest.fixture(scope="session")
def client(service):
    """A client of the service with default limits."""
    return service.client


@pytest.fixture(scope="session")
def strict_client(start_service):
    """A client of a service with limits that tests can reach."""
    return start_service(
        body_bytes=100_000,
        body_s=0.5,
        image_megapixels=0.0625,  # 65536 pixels
        request_megapixels=0.125,
        images_per_request=3,
        codes_per_request=2500,
        queue_megapixels=0.2,
        queue_body_bytes=150_000,
    ).client


@pytest.fixture(scope="session")
def start_pool():
    """Starts so many unpacking processes for a test; what replaces them goes to `on_replaced`."""
    started = []

    def start(num_processes, *, seconds=60, memory_bytes=2**28, on_replaced=lambda: None):
        pool = UnpackingPool(
            num_processes, seconds=seconds, memory_bytes=memory_bytes, on_replaced=on_replaced
        )
        started.append(pool)
        pool.start()
        return pool

    yield start
    for pool in started:
        pool.stop()


@pytest.fixture
def in_process(weights):
    """An application in this process, for forced faults: `async with in_process(...) as (client, app)`."""

    @asynccontextmanager
    async def run(folder=weights / "tiny", **settings):
        tokenizers = Tokenizer.load_decoders(folder, tile_size=64)
        app = create_app(Settings(threads=1, **settings), tokenizers)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://service") as client,
        ):
            yield client, app

    return run


def problem_of(response, status, kind):
    """The problem that an answer is, after its form was checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == f"urn:vqvae:problem:{kind}"
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["title"]
    return problem


@pytest.fixture(name="problem_of", scope="session")
def _problem_of():
    return problem_of
