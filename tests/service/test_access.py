"""Keys, origins and what is left open, in one process."""

import pytest

from service.access import ApiKeys
from service.settings import Settings
from vqvae.errors import ConfigError

pytestmark = pytest.mark.anyio
KEYS = {"api_keys": "first-key, second-key"}


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("key", ["first-key", "second-key"])
async def test_each_of_several_keys_fits_so_that_they_can_be_rotated(in_process, png, key):
    async with in_process(**KEYS) as (client, _):
        assert (await client.post("/v1/encode", content=png, headers=bearer(key))).status_code == 200
        assert (await client.get("/v1/models", headers=bearer(key))).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("third-key"),
        bearer("first-key,second-key"),
        bearer(""),
        {"Authorization": "first-key"},
        {"Authorization": "Basic first-key"},
        {"Authorization": b"Bearer \xff"},
    ],
)
@pytest.mark.parametrize("path", ["encode", "decode", "reconstruct"])
async def test_without_a_key_that_fits_there_is_no_work(in_process, png, problem_of, path, headers):
    async with in_process(**KEYS) as (client, app):
        response = await client.post(f"/v1/{path}", content=png, headers=headers)
        problem = problem_of(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
        assert "first-key" not in str(problem)
        assert app.state.service.scheduler.health.num_requests == 0


async def test_without_keys_configured_anyone_may_ask(in_process, png):
    async with in_process() as (client, _):
        assert (await client.post("/v1/encode", content=png)).status_code == 200
        assert "401" not in (await client.get("/openapi.json")).text


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/version", "/docs", "/openapi.json"])
async def test_health_and_documentation_need_no_key(in_process, path):
    async with in_process(**KEYS) as (client, _):
        while (await client.get("/readyz")).status_code != 200:
            pass
        assert (await client.get(path)).status_code == 200


async def test_the_document_tells_of_keys_where_there_are_any(in_process):
    async with in_process(**KEYS) as (client, _):
        document = (await client.get("/openapi.json")).json()
    operation = document["paths"]["/v1/encode"]["post"]
    assert operation["security"] == [{"HTTPBearer": []}]
    assert list(operation["responses"]["401"]["content"]) == ["application/problem+json"]
    assert "security" not in document["paths"]["/livez"]["get"]


def test_keys_come_from_a_file_as_well(tmp_path):
    file = tmp_path / "keys"
    file.write_text("of-the-file\n\n another \n")
    assert Settings(api_keys="mine", api_keys_file=file).read_keys() == ["mine", "of-the-file", "another"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "api_keys_file .* cannot be read: .*No such file"),
        ("\n", "api_keys_file .* must hold a key a line, got none"),
        ("good\nsch\u00f6n\n", "an API key must be printable ASCII without spaces; number 2 is not"),
        ("two words\n", "an API key must be printable ASCII without spaces; number 1 is not"),
    ],
)
def test_a_file_without_keys_is_an_error_and_never_an_open_door(tmp_path, content, message):
    file = tmp_path / "keys"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        Settings(api_keys_file=file).read_keys()
    assert "words" not in str(caught.value)


@pytest.mark.parametrize("keys", ["", " , "])
def test_a_setting_without_keys_is_an_error_and_never_an_open_door(keys):
    with pytest.raises(ConfigError, match="api_keys must hold a key, got none; leave it out"):
        Settings(api_keys=keys).read_keys()


def test_settings_do_not_show_their_keys():
    assert "first-key" not in repr(Settings(**KEYS))


def test_keys_are_not_kept_as_they_are():
    assert b"first-key" not in repr(vars(ApiKeys(["first-key"]))).encode()


async def test_by_default_no_origin_is_let_in(in_process):
    async with in_process() as (client, _):
        response = await client.get("/v1/models", headers={"Origin": "https://example.org"})
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_a_listed_origin_is_let_in_and_another_is_not(in_process):
    async with in_process(cors_origins="https://example.org, https://example.com") as (client, _):
        for origin, allowed in ("https://example.com", True), ("https://evil.example", False):
            preflight = await client.options(
                "/v1/encode",
                headers={
                    "Origin": origin,
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "authorization,content-type",
                },
            )
            response = await client.get("/v1/models", headers={"Origin": origin})
            assert (preflight.status_code == 200) == allowed
            for answer in preflight, response:
                assert (answer.headers.get("access-control-allow-origin") == origin) == allowed
            if allowed:
                assert "X-Fingerprint" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("origin", "method", "header", "what"),
    [
        ("https://evil.example", "POST", "content-type", "origin"),
        ("https://example.org", "DELETE", "content-type", "method"),
        ("https://example.org", "POST", "x-evil", "headers"),
    ],
)
async def test_a_refused_preflight_is_a_problem(in_process, problem_of, origin, method, header, what):
    async with in_process(cors_origins="https://example.org") as (client, _):
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": header,
        }
        refused = await client.options("/v1/encode", headers=headers)
        counted = (await client.get("/metrics")).text
    problem = problem_of(refused, 400, "origin-refused")
    assert problem["detail"].endswith(what)
    assert "evil" not in refused.text
    assert refused.headers["vary"].startswith("Origin")
    assert ("access-control-allow-origin" in refused.headers) == (what != "origin")
    assert 'vqvae_problems_total{problem="origin-refused"} 1.0' in counted


async def test_a_browser_lets_a_page_ask_with_a_key(in_process):
    async with in_process(cors_origins="https://example.org", **KEYS) as (client, _):
        headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
        preflight = await client.options("/v1/encode", headers=headers)  # browsers send it without the key
        assert preflight.status_code == 200
        refused = await client.get("/v1/models", headers={"Origin": "https://example.org"})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://example.org"  # so the page can read it


@pytest.mark.parametrize("path", ["/livez", "/v1/models", "/nothing", "/docs"])
async def test_answers_tell_browsers_to_do_nothing_clever(in_process, path):
    async with in_process() as (client, _):
        headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
