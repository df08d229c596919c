"""GET /v1/models/{name}/codebook over a real socket, and the atlas that it makes."""

import asyncio
import io

import numpy as np
import pytest
from PIL import Image

from service.routes.codebook import atlas, columns_of

URL = "/v1/models/tiny/codebook"
PNG = {"accept": "image/png"}


def pixels_of(response):
    return np.asarray(Image.open(io.BytesIO(response.content)))


def test_code_vectors_come_as_npy(client, tokenizer):
    response = client.get(URL)
    assert response.headers["content-type"] == "application/x-npy"
    vectors = np.load(io.BytesIO(response.content))
    assert vectors.dtype == "<f4"
    assert np.array_equal(vectors, tokenizer.code_vectors())
    assert "x-atlas-columns" not in response.headers


def test_an_atlas_has_each_code_in_its_place(client, tokenizer):
    response = client.get(URL, headers=PNG)
    assert response.headers["content-type"] == "image/png"
    assert (response.headers["x-atlas-columns"], response.headers["x-atlas-cell"]) == ("8", "8")
    assert response.headers["x-fingerprint"] == tokenizer.space.fingerprint
    assert np.array_equal(pixels_of(response), atlas(tokenizer.code_patches()))


@pytest.mark.parametrize(("codebook_size", "columns"), [(2, 2), (4, 2), (5, 3), (4096, 64), (16384, 128)])
def test_an_atlas_is_the_smallest_square(codebook_size, columns):
    assert columns_of(codebook_size) == columns


def test_what_is_left_over_of_an_atlas_is_white():
    patches = np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(2, 1).repeat(2, 2).repeat(3, 3)
    cells = atlas(patches)[::2, ::2, 0]
    assert np.array_equal(cells, [[0, 1, 2], [3, 4, 255], [255, 255, 255]])
    assert atlas(patches).shape == (6, 6, 3)


@pytest.mark.parametrize("accept", ["image/*", "image/avif,image/webp,image/apng,image/*,*/*;q=0.8"])
def test_an_image_element_gets_the_atlas(client, accept):
    assert client.get(URL, headers={"accept": accept}).headers["content-type"] == "image/png"


def test_what_the_client_has_is_not_sent_again(client):
    for accept in ({}, PNG):
        whole = client.get(URL, headers=accept)
        assert whole.headers["cache-control"] == "no-cache"
        assert whole.headers["vary"] == "Accept"
        etag = whole.headers["etag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            response = client.get(URL, headers=accept | {"if-none-match": known})
            assert (response.status_code, response.content) == (304, b""), known
            assert response.headers["etag"] == etag
        assert client.get(URL, headers=accept | {"if-none-match": '"other"'}).status_code == 200


def test_tags_differ_between_forms_and_models(client):
    urls = [(URL, {}), (URL, PNG), (URL.replace("tiny", "other"), PNG)]
    assert len({client.get(url, headers=headers).headers["etag"] for url, headers in urls}) == 3


def test_a_decoder_may_be_named(client, problem_of):
    assert client.get(URL, params={"decoder": "faithful"}, headers=PNG).status_code == 200
    problem = problem_of(client.get(URL, params={"decoder": "nope"}), 422, "bad-request")
    assert problem["detail"] == "decoder must be one of tiny's, faithful"


def test_other_wishes_are_refused(client, problem_of):
    problem_of(client.get("/v1/models/nope/codebook"), 404, "not-found")
    problem_of(client.get(URL, params={"size": "9x9"}), 422, "bad-request")
    problem_of(client.get(URL, headers={"accept": "text/html"}), 406, "not-acceptable")


@pytest.mark.anyio
async def test_it_needs_a_key_where_there_are_keys(in_process):
    async with in_process(api_keys="secret") as (client, _):
        assert (await client.get(URL)).status_code == 401
        assert (await client.get(URL, headers={"authorization": "Bearer secret"})).status_code == 200


@pytest.mark.anyio
async def test_an_atlas_is_made_once_however_many_ask(in_process):
    async with in_process() as (client, app):
        tokenizer = app.state.service.registry.default
        patching, num_made = tokenizer.patching, 0

        def counted():
            nonlocal num_made
            num_made += 1
            return patching()

        tokenizer.patching = counted
        responses = await asyncio.gather(*[client.get(URL, headers=PNG) for _ in range(4)])
        assert {response.status_code for response in responses} == {200}
        assert num_made == 1
        assert "model" in responses[0].headers["server-timing"]
        assert "server-timing" not in (await client.get(URL, headers=PNG)).headers


@pytest.mark.anyio
async def test_an_atlas_that_fails_is_made_for_the_next_one(in_process, problem_of):
    async with in_process() as (client, app):
        tokenizer = app.state.service.registry.default
        patching = tokenizer.patching

        def broken():
            raise ZeroDivisionError

        tokenizer.patching = broken
        problem_of(await client.get(URL, headers=PNG), 500, "internal")
        tokenizer.patching = patching
        assert (await client.get(URL, headers=PNG)).status_code == 200


@pytest.mark.anyio
async def test_an_atlas_is_work_like_any_other(in_process, problem_of):
    async with in_process(queue_megapixels=0.01) as (client, _):
        problem_of(await client.get(URL, headers=PNG), 413, "too-large")
        assert (await client.get(URL)).status_code == 200
