"""A storm of batches over real sockets: whole answers or refusals, and no small request pays for it."""

import asyncio
import re
import socket
import time

import httpx
import numpy as np
import pytest

from vqvae.pixels import encode_image

pytestmark = pytest.mark.anyio

NUM_CLIENTS, NUM_IMAGES, NUM_LEAVING = 8, 32, 4
PATIENCE_S = 300


@pytest.fixture(scope="module")
def service(start_service):
    """With room for three batches, which count as large, and for a few small requests."""
    return start_service(tile_pixels=128, queue_megapixels=2, deadline_s=PATIENCE_S)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [encode_image(rng.integers(0, 256, (16 + i, 48, 3), np.uint8)) for i in range(NUM_IMAGES)]


def leave_after_the_body(url, request):
    """Sends a whole request, and is gone."""
    body = request.read()
    lines = [f"{request.method} {request.url.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall("\r\n".join([*lines, "\r\n"]).encode() + body)
        time.sleep(0.2)


async def test_a_storm_of_batches(service, images, problem_of):
    batch = [("image", image) for image in images]
    refusals, singles = [], []
    async with httpx.AsyncClient(base_url=service.url, timeout=PATIENCE_S) as client:

        async def ask_until_accepted():
            while (answer := await client.post("/v1/encode", files=batch)).status_code != 200:
                refusals.append(answer)
                await asyncio.sleep(0.2)
            return answer.json()

        storm = [asyncio.create_task(ask_until_accepted()) for _ in range(NUM_CLIENTS)]
        leaving = client.build_request("POST", "/v1/encode", files=batch)
        leavers = [asyncio.to_thread(leave_after_the_body, service.url, leaving) for _ in range(NUM_LEAVING)]
        left = asyncio.gather(*leavers)
        while not all(task.done() for task in storm):
            singles.append(await client.post("/v1/encode", content=images[0]))
        answers = [await task for task in storm]
        await left

    alone = [service.client.post("/v1/encode", content=image).json()["data"][0] for image in images]
    for answer in answers:
        assert answer["counts"]["failed"] == 0
        assert [item["codes"] for item in answer["data"]] == [item["codes"] for item in alone]
    assert len(refusals) >= NUM_CLIENTS - 3
    for refusal in refusals:
        problem = problem_of(refusal, 429, "overloaded")
        assert problem["limit"] == 2 * 15 / 16
        assert int(refusal.headers["retry-after"]) >= 1
    assert {single.status_code for single in singles} == {200}

    until = time.monotonic() + PATIENCE_S
    while (ready := service.client.get("/readyz").json()).get("num_requests") and time.monotonic() < until:
        time.sleep(0.1)
    assert (ready["num_requests"], ready["queue_megapixels"]) == (0, 0)
    metrics = service.client.get("/metrics").text
    statuses = dict(re.findall(r'_total{method="POST",route="/v1/encode",status="(\d+)"} (\d+)', metrics))
    assert set(statuses) <= {"200", "429", "499"}  # whoever left was refused before, or was noticed
    num_answers = sum(map(int, statuses.values()))
    assert num_answers == NUM_CLIENTS + NUM_LEAVING + len(refusals) + len(singles) + len(alone)
