"""The page of the documentation: whole, and nothing of it from elsewhere."""

import re
from html.parser import HTMLParser

import pytest

ICON, STYLE, SCRIPT = "image/png", "text/css; charset=utf-8", "text/javascript; charset=utf-8"


class Page(HTMLParser):
    """What a page refers to, in its order, and what in it is code or style by itself."""

    def __init__(self, text):
        super().__init__()
        self.references, self.inline = [], []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._inside = tag
        self.references += [value for name, value in attrs if name in ("src", "href")]
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside in ("script", "style") and data.strip():
            self.inline.append(data)


@pytest.fixture(scope="module")
def page(client):
    response = client.get("/docs")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return response


@pytest.fixture(scope="module")
def paths(page):
    return [f"/{reference}" for reference in Page(page.text).references]


def test_every_piece_of_the_page_is_here_and_for_good(client, paths):
    answers = [client.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [answer.headers["content-type"] for answer in answers] == [ICON, STYLE, SCRIPT, SCRIPT]
    assert {answer.headers["cache-control"] for answer in answers} == {"public, max-age=31536000, immutable"}
    assert "SwaggerUIBundle" in answers[2].text
    assert "SwaggerUIBundle" in answers[3].text


def test_no_piece_comes_from_elsewhere(client, page, paths):
    assert "//" not in page.text
    style, _, start = (client.get(path).text for path in paths[1:])
    assert set(re.findall(r"url\(\s*[\"']?(\w+:|)", style)) == {"data:"}
    assert "@import" not in style
    assert "//" not in start
    assert re.search(r'url: "(.*?)"', start)[1] == "openapi.json"  # beside the page


def test_the_policy_allows_no_other_origin_and_nothing_inline(page):
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert set(" ".join(policy.values()).split()) == {"'none'", "'self'", "data:", "blob:"}
    assert not Page(page.text).inline


def test_another_file_is_404(client, problem_of, paths):
    digest = paths[0].split("/")[2]
    for path in f"/docs/{digest}/swagger-ui.css", "/docs/0/start.js", f"/docs/{digest}", "/docs/":
        problem_of(client.get(path), 404, "not-found")


@pytest.mark.anyio
async def test_without_documentation_there_is_none_of_it(in_process, paths, problem_of):
    async with in_process(docs=False) as (client, _):
        for path in "/docs", "/openapi.json", "/docs/oauth2-redirect", *paths:
            problem_of(await client.get(path), 404, "not-found")
