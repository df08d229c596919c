"""Health and version, over a real socket."""

import time

import pytest

from service.scheduler import STALE_AFTER_S


def test_livez_says_alive(client):
    assert client.get("/livez").json() == {"status": "alive"}


def test_readyz_tells_of_recent_work(client):
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready"
    assert 0 <= ready["last_tile_age_s"] <= STALE_AFTER_S
    assert (ready["queue_megapixels"], ready["num_requests"]) == (0, 0)


def test_an_idle_service_stays_ready_by_its_probe(client):
    time.sleep(2.5)  # longer than the probe's interval
    assert client.get("/readyz").json()["last_tile_age_s"] < 2.5


def test_version_names_the_fingerprints(client, tokenizer, other_tokenizer):
    answer = client.get("/version").json()
    assert answer["models"] == {
        "tiny": tokenizer.space.fingerprint,
        "other": other_tokenizer.space.fingerprint,
    }
    assert answer["version"]
    assert answer["torch"]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/version", "/v1/models"])
def test_head_is_get_without_a_body(client, path):
    response = client.head(path)
    assert response.status_code == 200
    assert response.content == b""
    assert int(response.headers["content-length"]) > 0
