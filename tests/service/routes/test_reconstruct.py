"""POST /v1/reconstruct over a real socket."""

import base64
import math

import numpy as np
import pytest

from vqvae.metrics import psnr, ssim
from vqvae.pixels import decode_image, encode_image


@pytest.fixture(scope="module")
def expected(tokenizer, photo):
    return np.asarray(tokenizer.reconstruct(photo))


def test_reconstruct_is_decode_of_encode_exactly(client, png, expected):
    response = client.post("/v1/reconstruct", content=png)
    assert response.headers["content-type"] == "image/png"
    assert np.array_equal(decode_image(response.content), expected)
    codes = client.post("/v1/encode", content=png, headers={"accept": "application/vnd.vqvae.codes"}).content
    assert client.post("/v1/decode", content=codes).content == response.content


def test_json_says_how_near_it_is(client, tokenizer, photo, png, expected):
    response = client.post("/v1/reconstruct", content=png, headers={"accept": "application/json"})
    (item,) = response.json()["data"]
    assert np.array_equal(decode_image(base64.b64decode(item["image_b64"])), expected)
    assert item["psnr"] == pytest.approx(psnr(photo, expected))
    assert item["ssim"] == pytest.approx(ssim(photo, expected))
    assert item["bits_per_pixel"] == pytest.approx(6 * 9 * math.log2(64) / (45 * 70))
    assert item["fingerprint"] == tokenizer.space.fingerprint
    assert response.json()["counts"] == {"images": 1, "failed": 0}


def test_ssim_is_null_where_a_side_is_under_eleven(client):
    image = encode_image(np.random.default_rng(0).integers(0, 256, (10, 30, 3), dtype=np.uint8))
    response = client.post("/v1/reconstruct", content=image, headers={"accept": "application/json"})
    (item,) = response.json()["data"]
    assert item["ssim"] is None
    assert item["psnr"] > 0


def test_several_images_and_a_bad_one(client, png):
    response = client.post("/v1/reconstruct", files=[("image", png), ("image", b"bad"), ("image", png)])
    document = response.json()
    assert document["counts"] == {"images": 3, "failed": 1}
    assert document["data"][1]["error"]["status"] == 415
    assert document["data"][0] == document["data"][2] | {"index": 0}


def test_another_model_and_picture_by_option_and_accept(client, other_tokenizer, photo, png):
    response = client.post("/v1/reconstruct?model=other", content=png, headers={"accept": "image/webp"})
    assert response.headers["content-type"] == "image/webp"
    assert np.array_equal(decode_image(response.content), other_tokenizer.reconstruct(photo))


@pytest.mark.parametrize(
    "query", ["fingerprint=" + "0f" * 32, "encoding=list", "decoder=vivid", "quality=high"]
)
def test_an_unknown_option_or_value_is_422(client, png, problem_of, query):
    problem_of(client.post(f"/v1/reconstruct?{query}", content=png), 422, "bad-request")
