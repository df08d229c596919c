"""What Prometheus reads, in one process."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.anyio


async def samples(client):
    """Sample and its labels -> value."""
    text = (await client.get("/metrics")).text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def requests(route, method, status):
    return "vqvae_requests_total", ("method", method), ("route", route), ("status", status)


async def test_a_request_is_counted_timed_and_measured(in_process, png):
    async with in_process() as (client, app):
        await client.post("/v1/encode", content=png)
        found = await samples(client)
        (space,) = app.state.service.registry.spaces
    assert found[requests("/v1/encode", "POST", "200")] == 1
    assert found["vqvae_request_duration_seconds_count", ("route", "/v1/encode")] == 1
    for stage in "intake", "queue", "model", "output":
        assert found["vqvae_stage_duration_seconds_count", ("stage", stage)] == 1
    assert found["vqvae_stage_duration_seconds_sum", ("stage", "model")] > 0
    assert found["vqvae_images_total", ("outcome", "done")] == 1
    assert found["vqvae_codes_total",] == 6 * 9
    assert found["vqvae_image_megapixels_sum",] == pytest.approx(45 * 70 / 2**20)
    assert (found["vqvae_queue_megapixels",], found["vqvae_requests_in_flight",]) == (0, 0)
    assert found["process_resident_memory_bytes",] > 1e7
    (build,) = (dict(key[1:]) for key in found if key[0] == "vqvae_build_info")
    assert (build["model"], build["fingerprint"]) == ("tiny", space.fingerprint)


async def test_problems_are_counted_by_their_type(in_process, png):
    async with in_process(queue_megapixels=0.001) as (client, _):
        await client.post("/v1/encode", content=b"no image")
        await client.post("/v1/encode", content=png)
        await client.get("/nothing")
        await client.get("/v1/encode")
        found = await samples(client)
    for kind in "unsupported-type", "too-large", "not-found", "method-not-allowed":
        assert found["vqvae_problems_total", ("problem", kind)] == 1
    assert found[requests("/v1/encode", "POST", "415")] == 1
    assert found[requests("none", "GET", "404")] == 1
    assert found[requests("/v1/encode", "GET", "405")] == 1


async def test_a_bad_image_among_several_is_counted_as_failed(in_process, png):
    async with in_process() as (client, _):
        files = [("image", ("a.png", data)) for data in (png, png[:60])]
        assert (await client.post("/v1/encode", files=files)).json()["counts"]["failed"] == 1
        found = await samples(client)
    assert found["vqvae_images_total", ("outcome", "done")] == 1
    assert found["vqvae_images_total", ("outcome", "failed")] == 1


async def test_an_unforeseen_error_is_counted_as_well(in_process, png, monkeypatch):
    async with in_process() as (client, app):
        monkeypatch.setattr(type(app.state.service.registry), "named", lambda *_: 1 / 0)
        assert (await client.post("/v1/encode", content=png)).status_code == 500
        found = await samples(client)
    assert found["vqvae_problems_total", ("problem", "internal")] == 1
    assert found[requests("/v1/encode", "POST", "500")] == 1


async def test_no_label_takes_a_value_from_a_client(in_process):
    async with in_process() as (client, _):
        await client.get("/readyz")
        await client.request("BREW", "/pot")
        before = await samples(client)
        for i in range(50):
            await client.get(f"/v1/models/{i}")
            await client.get(f"/path-{i}")
            await client.request(f"BREW{i}", f"/pot-{i}", headers={"X-Request-ID": f"id-{i}"})
            await client.post(f"/v1/encode?option-{i}={i}", content=b"", headers={"Content-Type": f"a/{i}"})
        after = await samples(client)
    new = {key for key in after if key not in before}
    assert not [key for key in new if "49" in str(key)]
    assert len({key for key in new if key[0] == "vqvae_requests_total"}) <= 4


async def test_readiness_is_a_metric_too(in_process):
    async with in_process() as (client, app):
        while (await client.get("/readyz")).status_code != 200:
            pass
        assert (await samples(client))["vqvae_ready",] == 1
        app.state.service.scheduler.close()
        assert (await samples(client))["vqvae_ready",] == 0
