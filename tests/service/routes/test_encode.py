"""POST /v1/encode over a real socket."""

import base64
import io
import time

import httpx
import numpy as np
import orjson
import pytest
from PIL import Image

from vqvae.formats import from_code_file, from_item, from_npy
from vqvae.pixels import decode_image


def b64(data):
    return base64.b64encode(data).decode()


def file_of(photo, kind, **options):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, kind, **options)
    return file.getvalue()


def the_item(response):
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    (item,) = document["data"]
    return item


def test_codes_over_http_are_the_librarys(client, tokenizer, photo, png):
    item = the_item(client.post("/v1/encode", content=png))
    grid = tokenizer.encode(photo)
    assert from_item(item) == grid
    assert len(np.unique(grid.codes)) > 5  # or the test would prove little


def test_the_answer_for_one_image_is_the_designs_form(client, tokenizer, png):
    response = client.post("/v1/encode", content=png, headers={"content-type": "image/png"})
    item = the_item(response)
    assert item["index"] == 0
    assert item["model"] == "tiny"
    assert item["fingerprint"] == tokenizer.space.fingerprint
    assert item["dtype"] == "uint16"
    assert item["grid"] == {"height": 6, "width": 9}
    assert item["original_size"] == {"width": 70, "height": 45}
    assert response.json()["counts"] == {"images": 1, "codes": 54, "failed": 0}
    assert response.headers["x-model"] == "tiny"
    assert response.headers["x-fingerprint"] == tokenizer.space.fingerprint
    assert response.headers["x-original-size"] == "70x45"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_listed_type_is_encoded(client, tokenizer, photo, kind):
    data = file_of(photo, kind)
    assert from_item(the_item(client.post("/v1/encode", content=data))) == tokenizer.encode(
        decode_image(data)
    )


@pytest.mark.parametrize(
    "declared",
    ["image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain", None],
)
def test_the_sniffed_type_wins_over_the_declared_one(client, png, declared):
    headers = {"content-type": declared} if declared else {}
    assert client.post("/v1/encode", content=png, headers=headers).status_code == 200


def test_base64_codes_are_the_same_codes(client, tokenizer, photo, png):
    item = the_item(client.post("/v1/encode?encoding=base64", content=png))
    assert "codes" not in item
    assert from_item(item) == tokenizer.encode(photo)


def test_npy_and_code_file_by_accept(client, tokenizer, photo, png):
    grid = tokenizer.encode(photo)
    npy = client.post("/v1/encode", content=png, headers={"accept": "application/x-npy"})
    assert npy.headers["content-type"] == "application/x-npy"
    assert npy.headers["x-original-size"] == "70x45"
    assert from_npy(npy.content, tokenizer.space, (70, 45)) == grid
    code_file = client.post("/v1/encode", content=png, headers={"accept": "application/vnd.vqvae.codes"})
    assert code_file.headers["content-type"] == "application/vnd.vqvae.codes"
    assert code_file.headers["x-fingerprint"] == tokenizer.space.fingerprint
    assert from_code_file(code_file.content) == grid


def test_another_model_by_name(client, other_tokenizer, photo, png):
    item = the_item(client.post("/v1/encode?model=other", content=png))
    assert from_item(item) == other_tokenizer.encode(photo)


def test_multipart_takes_several_images_with_and_without_file_names(client, tokenizer, photo, png):
    flipped = photo[::-1].copy()
    files = [("image", ("a.png", png, "image/png")), ("image", (None, file_of(flipped, "PNG")))]
    response = client.post("/v1/encode", files=files)
    document = response.json()
    assert document["counts"] == {"images": 2, "codes": 108, "failed": 0}
    assert [item["index"] for item in document["data"]] == [0, 1]
    assert [from_item(item) for item in document["data"]] == tokenizer.encode([photo, flipped])
    assert "x-fingerprint" not in response.headers


def test_json_takes_several_images(client, tokenizer, photo, png):
    response = client.post("/v1/encode", json={"images": [{"image_b64": b64(png)}] * 3})
    assert [from_item(item) for item in response.json()["data"]] == [tokenizer.encode(photo)] * 3


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (250, 333), (1, 600)])
def test_any_size_is_encoded(client, tokenizer, size):
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert from_item(the_item(client.post("/v1/encode", content=file_of(rgb, "PNG")))) == tokenizer.encode(
        rgb
    )


def test_a_bad_image_among_several_fails_alone(client, png):
    images = [png, b"no image", png[:80], png]
    response = client.post("/v1/encode", json={"images": [{"image_b64": b64(image)} for image in images]})
    assert response.status_code == 200
    document = response.json()
    assert document["counts"] == {"images": 4, "codes": 108, "failed": 2}
    statuses = [item.get("error", {}).get("status") for item in document["data"]]
    assert statuses == [None, 415, 422, None]
    assert document["data"][1] == {
        "index": 1,
        "error": {
            "type": "urn:vqvae:problem:unsupported-type",
            "title": "The type of the content is not supported",
            "status": 415,
            "detail": "image must be a JPEG, PNG, WebP, GIF, BMP or TIFF; its first bytes are of none",
        },
    }


def test_base64_that_is_none_fails_its_item_alone(client, png):
    document = client.post(
        "/v1/encode", json={"images": [{"image_b64": "%%%"}, {"image_b64": b64(png)}]}
    ).json()
    assert document["data"][0]["error"]["status"] == 422
    assert document["counts"]["failed"] == 1


def test_an_image_that_cannot_be_decoded_is_422(client, png, problem_of):
    problem_of(client.post("/v1/encode", content=png[:80]), 422, "undecodable-image")


@pytest.mark.parametrize("content_type", ["image/png", "text/html", "image/svg+xml", ""])
def test_bytes_of_no_listed_type_are_415(client, problem_of, content_type):
    response = client.post("/v1/encode", content=b"<svg/>", headers={"content-type": content_type})
    problem = problem_of(response, 415, "unsupported-type")
    assert "JPEG, PNG, WebP, GIF, BMP or TIFF" in problem["detail"]


def test_a_compressed_body_is_415(client, png, problem_of):
    problem_of(
        client.post("/v1/encode", content=png, headers={"content-encoding": "gzip"}), 415, "unsupported-type"
    )


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"", 400),
        ("application/json", b"{", 400),
        ("application/json", b'{"images": [NaN]}', 400),
        ("application/json", b"[]", 422),
        ("application/json", b'{"images": []}', 422),
        ("application/json", b'{"images": [{}]}', 422),
        ("application/json", b'{"images": [{"image_b64": 7}]}', 422),
        ("application/json", b'{"images": [{"url": "http://localhost/"}]}', 422),
        ("application/json", b'{"images": [{"image_b64": ""}], "encoding": "base64"}', 422),
        ("multipart/form-data", b"--x\r\n", 400),
        ("multipart/form-data; boundary=x", b"no multipart", 400),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=image\r\n\r\nabc",
            400,
        ),
        ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\nabc\r\n--x--", 400),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: image/png\r\n\r\nabc\r\n--x--", 422),
    ],
)
def test_a_malformed_body_is_400_and_a_wrong_one_422(client, problem_of, content_type, body, status):
    response = client.post("/v1/encode", content=body, headers={"content-type": content_type})
    problem_of(response, status, {400: "malformed", 422: "bad-request"}[status])


def test_a_field_that_is_not_called_image_is_refused(client, png, problem_of):
    response = client.post("/v1/encode", files={"image": png}, data={"encoding": "base64"})
    assert "options ride in the query" in problem_of(response, 422, "bad-request")["detail"]


@pytest.mark.parametrize(
    "query", ["depth=2", "Encoding=list", "encoding=hex", "decoder=faithful", "quality=50"]
)
def test_an_unknown_option_or_value_is_422_and_named(client, png, problem_of, query):
    problem = problem_of(client.post(f"/v1/encode?{query}", content=png), 422, "bad-request")
    assert problem["detail"].startswith(f"query.{query.split('=')[0]}: ")


def test_an_unknown_model_is_404_and_the_models_are_named(client, png, problem_of):
    assert (
        "tiny, other"
        in problem_of(client.post("/v1/encode?model=nope", content=png), 404, "not-found")["detail"]
    )


def test_several_images_are_json_or_406(client, png, problem_of):
    files = [("image", png)] * 2
    for accept in "application/x-npy", "application/vnd.vqvae.codes", "text/html":
        problem = problem_of(
            client.post("/v1/encode", files=files, headers={"accept": accept}), 406, "not-acceptable"
        )
        assert "application/json" in problem["detail"]


def test_an_error_never_repeats_what_was_sent(client):
    secret = "c2VjcmV0"
    for body in [
        {"images": [{"image_b64": secret}]},
        {"images": [{"image_b64": {"x": secret}}]},
        {secret: 1},
    ]:
        response = client.post("/v1/encode", json=body)
        assert response.status_code >= 400
        assert b"secret" not in response.content
        if body != {secret: 1}:
            assert secret not in response.text


def test_server_timing_tells_of_every_stage(client, png):
    response = client.post("/v1/encode", content=png)
    stages = dict(stage.split(";dur=") for stage in response.headers["server-timing"].split(", "))
    assert set(stages) == {"intake", "queue", "model", "output"}
    assert all(float(milliseconds) >= 0 for milliseconds in stages.values())
    assert float(stages["model"]) > 0


class TestLimits:
    def test_a_body_over_the_limit_is_413_before_it_has_come(self, strict_client, problem_of):
        problem = problem_of(strict_client.post("/v1/encode", content=bytes(100_001)), 413, "too-large")
        assert (problem["limit"], problem["actual"]) == (100_000, 100_001)

    def test_a_body_without_end_is_413_as_soon_as_it_is_too_long(self, strict_client, problem_of):
        def endless():
            for _ in range(100):
                yield bytes(10_000)

        problem = problem_of(strict_client.post("/v1/encode", content=endless()), 413, "too-large")
        assert problem["limit"] == 100_000
        assert 100_000 < problem["actual"] <= 500_000  # of a million: what stood in buffers counts

    def test_a_body_that_does_not_come_is_408(self, strict_client, problem_of):
        def stalling():
            yield b"\x89PNG"
            time.sleep(1)
            yield b"late"

        problem_of(strict_client.post("/v1/encode", content=stalling()), 408, "too-slow")

    def test_an_image_over_the_limit_is_413_by_its_header_alone(self, strict_client, problem_of):
        bomb = file_of(np.zeros((257, 256, 3), np.uint8), "PNG")
        problem = problem_of(strict_client.post("/v1/encode", content=bomb[:100]), 413, "too-large")
        assert (problem["limit"], problem["actual"]) == (65536, 65792)

    def test_an_image_of_exactly_the_limit_passes(self, strict_client):
        image = file_of(np.zeros((256, 256, 3), np.uint8), "PNG")
        assert strict_client.post("/v1/encode", content=image).status_code == 200

    def test_too_large_an_image_among_several_fails_alone(self, strict_client, png):
        files = [("image", png), ("image", file_of(np.zeros((257, 256, 3), np.uint8), "PNG"))]
        document = strict_client.post("/v1/encode", files=files).json()
        assert document["counts"]["failed"] == 1
        assert document["data"][1]["error"]["limit"] == 65536

    def test_too_many_pixels_together_are_413(self, strict_client, problem_of):
        image = file_of(np.zeros((256, 200, 3), np.uint8), "PNG")
        problem = problem_of(strict_client.post("/v1/encode", files=[("image", image)] * 3), 413, "too-large")
        assert (problem["limit"], problem["actual"]) == (131072, 3 * 256 * 200)

    def test_more_work_than_the_whole_queue_is_413(self, strict_client, problem_of):
        image = file_of(np.zeros((256, 240, 3), np.uint8), "PNG")
        assert strict_client.post("/v1/encode", files=[("image", image)] * 2).status_code == 200
        problem = problem_of(
            strict_client.post("/v1/reconstruct", files=[("image", image)] * 2), 413, "too-large"
        )
        assert problem["limit"] == 0.2

    @pytest.mark.parametrize("form", ["json", "multipart"])
    def test_too_many_images_are_413(self, strict_client, png, problem_of, form):
        if form == "json":
            response = strict_client.post("/v1/encode", json={"images": [{"image_b64": b64(png)}] * 4})
        else:
            response = strict_client.post("/v1/encode", files=[("image", png)] * 4)
        problem = problem_of(response, 413, "too-large")
        assert (problem["limit"], problem["actual"]) == (3, 4)


def test_a_connection_is_used_again_after_a_refused_body(start_service, client, png):
    with httpx.Client(base_url=client.base_url) as one:
        for _ in range(3):
            assert one.post("/v1/encode?nope=1", content=png * 500).status_code == 422
            assert one.post("/v1/encode", content=png).status_code == 200


def test_json_is_written_by_orjson_compactly(client, png):
    content = client.post("/v1/encode", content=png).content
    assert orjson.dumps(orjson.loads(content)) == content
