"""The playground's files, as they are served; in a browser they are in tests/service/test_playground.py."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest

from service.routes.playground import FOLDER, MEDIA_TYPES

FILES = sorted(
    path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in MEDIA_TYPES
)


class References(HTMLParser):
    """What a page refers to."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attributes):
        self.found |= {value for name, value in attributes if name in ("src", "href")}


def test_the_page_is_at_the_root(client):
    response = client.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.text == (FOLDER / "index.html").read_text()


def test_the_page_may_load_nothing_from_elsewhere(client):
    policy = client.get("/").headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    allowed = {source for rule in policy for source in rule.split()[1:]}
    assert allowed == {"'none'", "'self'", "blob:", "data:"}


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
def test_every_file_is_served_with_its_type(client, name):
    response = client.get(f"/playground/{name}")
    assert response.status_code == 200
    assert response.content == (FOLDER / name).read_bytes()
    assert response.headers["content-type"] == MEDIA_TYPES[f".{name.rpartition('.')[2]}"]
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/playground/main.js"])
def test_a_browser_asks_each_time_and_gets_what_is_new(client, path):
    whole = client.get(path)
    assert whole.headers["cache-control"] == "no-cache"
    again = client.get(path, headers={"if-none-match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    # which take the place of those that the browser has kept
    assert again.headers["content-security-policy"] == whole.headers["content-security-policy"]


@pytest.mark.parametrize(
    "name", ["nope.js", "index.html", "../app.py", "%2e%2e/app.py", "samples", "samples/README.md"]
)
def test_no_other_file_is_served(client, problem_of, name):
    problem_of(client.get(f"/playground/{name}"), 404, "not-found")


def test_every_reference_leads_to_a_file_and_every_file_is_used():
    page = References()
    page.feed((FOLDER / "index.html").read_text())
    used = {reference.removeprefix("playground/") for reference in page.found} - {"docs"}
    for name in FILES:
        if name.endswith(".js"):
            text = (FOLDER / name).read_text()
            imported = re.findall(r'from "(\./[^"]+)"', text) + re.findall(
                r'new URL\("([^"]+\.js)", import', text
            )
            used |= {urljoin(name, other) for other in imported}
    assert used == set(FILES) - {"index.html"}


def test_the_samples_are_small():
    assert sum(path.stat().st_size for path in (FOLDER / "samples").iterdir()) < 200_000


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith((".js", ".css", ".html"))])
def test_every_file_begins_by_saying_what_it_is(name):
    text = (FOLDER / name).read_text().removeprefix("<!doctype html>\n")
    assert re.match(r"// [A-Z]|/\* [A-Z]|<!-- [A-Z]", text)


@pytest.mark.anyio
async def test_keys_do_not_lock_the_page(in_process):
    async with in_process(api_keys="secret") as (client, _):
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/playground/main.js")).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(("docs", "way"), [(True, "/docs"), (False, "/version")])
async def test_without_a_playground_the_root_leads_to_what_there_is(in_process, problem_of, docs, way):
    async with in_process(playground=False, docs=docs) as (client, _):
        response = await client.get("/")
        assert (response.status_code, response.headers["location"]) == (307, way)
        assert (await client.get(way)).status_code == 200
        problem_of(await client.get("/playground/main.js"), 404, "not-found")


@pytest.mark.anyio
async def test_without_documentation_the_page_does_not_link_to_it(in_process):
    async with in_process(docs=False) as (client, _):
        page = References()
        page.feed((await client.get("/")).text)
        assert page.found
        assert "docs" not in page.found


def test_the_page_is_no_part_of_the_api(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if path == "/" or "playground" in path]
