"""POST /v1/decode over a real socket."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.formats import to_code_file, to_document, to_item, to_npy
from vqvae.pixels import decode_image

CODE_FILE = {"content-type": "application/vnd.vqvae.codes"}
NPY = {"content-type": "application/x-npy"}


@pytest.fixture(scope="module")
def grid(tokenizer, photo):
    return tokenizer.encode(photo)


@pytest.fixture(scope="module")
def expected(tokenizer, grid):
    """The reconstruction, as pixels."""
    return tokenizer.decode_rgb8(grid)


@pytest.fixture(scope="module")
def foreign(grid):
    """The same codes, of a code space that no model here has."""
    space = CodeSpace("photo-f8", "0f" * 32, 64, 8)
    return CodeGrid(grid.codes, grid.width, grid.height, space)


def pixels_of(response, media_type="image/png"):
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == media_type
    return decode_image(response.content)


@pytest.mark.parametrize("encoding", ["list", "base64"])
def test_what_encode_gave_is_decoded_unchanged(client, png, expected, encoding):
    encoded = client.post(f"/v1/encode?encoding={encoding}", content=png)
    response = client.post(
        "/v1/decode", content=encoded.content, headers={"content-type": "application/json"}
    )
    assert np.array_equal(pixels_of(response), expected)
    assert response.headers["x-original-size"] == "70x45"


@pytest.mark.parametrize("headers", [CODE_FILE, {"content-type": "application/octet-stream"}, {}])
def test_a_code_file_is_decoded_whatever_it_is_called(client, grid, expected, headers):
    response = client.post("/v1/decode", content=to_code_file(grid), headers=headers)
    assert np.array_equal(pixels_of(response), expected)


def test_npy_needs_a_fingerprint_and_takes_a_size(client, grid, expected, problem_of):
    query = f"fingerprint={grid.space.fingerprint}"
    response = client.post(f"/v1/decode?{query}&size=70x45", content=to_npy(grid), headers=NPY)
    assert np.array_equal(pixels_of(response), expected)
    whole = pixels_of(client.post(f"/v1/decode?{query}", content=to_npy(grid), headers=NPY))
    assert whole.shape == (48, 72, 3)  # the grid times f
    assert np.array_equal(whole[:45, :70], expected)
    problem = problem_of(client.post("/v1/decode", content=to_npy(grid), headers=NPY), 422, "bad-request")
    assert "fingerprint" in problem["detail"]


def test_a_size_that_does_not_fit_the_grid_is_422(client, grid, problem_of):
    query = f"fingerprint={grid.space.fingerprint}&size=80x45"
    problem_of(client.post(f"/v1/decode?{query}", content=to_npy(grid), headers=NPY), 422, "bad-codes")


def test_fingerprint_and_size_are_refused_where_the_body_says_them(client, grid, problem_of):
    response = client.post("/v1/decode?size=70x45", content=to_code_file(grid))
    problem_of(response, 422, "bad-request")


def test_pictures_by_accept(client, grid, expected):
    def decode(accept, query=""):
        return client.post(f"/v1/decode{query}", content=to_code_file(grid), headers={"accept": accept})

    assert np.array_equal(pixels_of(decode("image/webp"), "image/webp"), expected)  # lossless unless told
    jpeg = pixels_of(decode("image/jpeg"), "image/jpeg")
    assert jpeg.shape == expected.shape
    assert len(decode("image/jpeg", "?quality=10").content) < len(decode("image/jpeg").content)
    npy = decode("application/x-npy")
    assert np.array_equal(np.load(io.BytesIO(npy.content), allow_pickle=False), expected)
    assert np.array_equal(pixels_of(decode("text/html, */*;q=0.1")), expected)


def test_one_image_as_json_if_asked_for(client, grid, expected):
    headers = {"accept": "application/json, image/webp;q=0.5"}
    document = client.post("/v1/decode", content=to_code_file(grid), headers=headers).json()
    (item,) = document["data"]
    assert item["media_type"] == "image/webp"
    assert np.array_equal(decode_image(base64.b64decode(item["image_b64"])), expected)


def test_items_are_joined_decoded_and_failures_passed_on(client, other_tokenizer, photo, grid, expected):
    failure = {"index": 1, "error": {"type": "urn:x", "title": "t", "status": 422, "detail": "d"}}
    items = [to_item(grid), failure, to_item(other_tokenizer.encode(photo)), {"model": "tiny"}]
    response = client.post("/v1/decode", json=to_document(items[:3]) | {"data": items})
    assert response.status_code == 200
    document = response.json()
    assert document["counts"] == {"images": 4, "failed": 2}
    good = document["data"][0]
    assert {key: good[key] for key in good if key != "image_b64"} == {
        "index": 0,
        "media_type": "image/png",
        "width": 70,
        "height": 45,
    }
    assert np.array_equal(decode_image(base64.b64decode(good["image_b64"])), expected)
    assert document["data"][1] == failure
    of_other = decode_image(base64.b64decode(document["data"][2]["image_b64"]))
    assert np.array_equal(of_other, other_tokenizer.reconstruct(photo))
    assert document["data"][3]["error"]["status"] == 422


def test_of_a_failure_that_is_passed_on_its_own_members_are_kept(client):
    deep = b"[" * 400 + b"]" * 400  # can be read, and not be written
    known = b'"fingerprint":"f","known":[{"model":"m","fingerprint":"g","more":%b}]' % deep
    error = b'{"type":"t","title":"t","status":422,"detail":"d","limit":7,"actual":8,%b,"more":%b}' % (
        known,
        deep,
    )
    body = b'{"data":[{"error":%b},{"error":%b}]}' % (error, error)
    answer = client.post("/v1/decode", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert answer.json()["data"][1]["error"] == {
        "type": "t",
        "title": "t",
        "status": 422,
        "detail": "d",
        "limit": 7,
        "actual": 8,
        "fingerprint": "f",
        "known": [{"model": "m", "fingerprint": "g"}],
    }


def test_the_only_item_being_a_failure_is_422(client, problem_of):
    problem_of(
        client.post("/v1/decode", json={"data": [{"index": 0, "error": {"status": 415}}]}), 422, "bad-codes"
    )


def test_what_is_no_problem_is_not_passed_on_as_one(client):
    document = {"data": [{"index": 0, "error": 5}, {"index": 1, "error": {"title": "<script>"}}]}
    answer = client.post("/v1/decode", json=document)
    assert [item["error"]["type"] for item in answer.json()["data"]] == ["urn:vqvae:problem:bad-codes"] * 2
    assert "script" not in answer.text


def test_several_images_are_json_or_406(client, grid, problem_of):
    body = to_document([to_item(grid), to_item(grid)])
    response = client.post("/v1/decode", json=body, headers={"accept": "image/png"})
    assert "application/json" in problem_of(response, 406, "not-acceptable")["detail"]


@pytest.mark.parametrize("form", ["json", "code file", "npy"])
def test_another_fingerprint_is_409_that_names_both(client, grid, other_tokenizer, foreign, problem_of, form):
    match form:
        case "json":
            response = client.post("/v1/decode", json=to_document([to_item(foreign)]))
        case "code file":
            response = client.post("/v1/decode", content=to_code_file(foreign))
        case _:
            response = client.post(f"/v1/decode?fingerprint={'0f' * 32}", content=to_npy(foreign))
    problem = problem_of(response, 409, "other-fingerprint")
    assert problem["fingerprint"] == "0f" * 32
    assert problem["known"] == [
        {"model": space.model, "fingerprint": space.fingerprint}
        for space in (grid.space, other_tokenizer.space)
    ]
    assert "0f" * 32 in problem["detail"]
    assert grid.space.fingerprint in problem["detail"]


def test_another_fingerprint_among_several_fails_its_item_alone(client, grid, foreign):
    bare = {name: value for name, value in to_item(foreign).items() if name not in ("codebook_size", "grid")}
    document = client.post("/v1/decode", json={"data": [to_item(foreign), to_item(grid), bare]}).json()
    for index in 0, 2:
        error = document["data"][index]["error"]
        assert (error["status"], error["fingerprint"]) == (409, "0f" * 32)
        assert [model["model"] for model in error["known"]] == ["tiny", "other"]
    assert document["counts"] == {"images": 3, "failed": 2}


def test_the_model_option_must_name_the_codes_model(client, grid, problem_of):
    assert client.post("/v1/decode?model=tiny", content=to_code_file(grid)).status_code == 200
    refused = client.post("/v1/decode?model=other", content=to_code_file(grid))
    problem = problem_of(refused, 409, "other-fingerprint")
    assert problem["fingerprint"] == grid.space.fingerprint
    assert [model["model"] for model in problem["known"]] == ["other"]
    problem_of(client.post("/v1/decode?model=nope", content=to_code_file(grid)), 404, "not-found")


def test_the_decoder_option_must_name_a_loaded_decoder(client, grid, problem_of):
    assert client.post("/v1/decode?decoder=faithful", content=to_code_file(grid)).status_code == 200
    problem_of(client.post("/v1/decode?decoder=vivid", content=to_code_file(grid)), 422, "bad-request")


@pytest.mark.parametrize(
    "codes",
    [
        [[64] * 9] * 6,
        [[-1] * 9] * 6,
        [[True] * 9] * 6,
        [[1.0] * 9] * 6,
        [["7"] * 9] * 6,
        [[1e23] * 9] * 6,
        [[None] * 9] * 6,
        [[1] * 9] * 5,
        [[1] * 9] * 5 + [[1] * 8],
        [],
        "codes",
        {"a": 1},
    ],
)
def test_codes_that_break_the_contract_are_422(client, grid, problem_of, codes):
    item = to_item(grid) | {"codes": codes}
    problem_of(client.post("/v1/decode", json={"data": [item]}), 422, "bad-codes")


@pytest.mark.parametrize(
    ("content_type", "body", "status", "kind"),
    [
        ("application/json", b'{"data": [{"codes": [[NaN]]}]}', 400, "malformed"),
        ("application/json", b"[1]", 400, "malformed"),
        ("application/json", b'{"data": []}', 400, "malformed"),
        ("application/vnd.vqvae.codes", b"\x89VQC\r\n\x1a\n", 400, "malformed"),
        ("application/vnd.vqvae.codes", b"something else", 400, "malformed"),
        ("image/png", b"something else", 415, "unsupported-type"),
        ("", b"something else", 415, "unsupported-type"),
        ("application/json", b"", 400, "malformed"),
    ],
)
def test_a_body_that_is_no_codes(client, problem_of, content_type, body, status, kind):
    response = client.post("/v1/decode", content=body, headers={"content-type": content_type})
    problem_of(response, status, kind)


def test_a_damaged_npy_is_400(client, grid, problem_of):
    query = f"fingerprint={grid.space.fingerprint}"
    problem_of(client.post(f"/v1/decode?{query}", content=to_npy(grid)[:-1]), 400, "malformed")


def test_a_damaged_code_file_is_never_a_picture(client, grid, problem_of):
    data = bytearray(to_code_file(grid))
    data[-10] ^= 1
    problem_of(client.post("/v1/decode", content=bytes(data)), 400, "malformed")


@pytest.mark.parametrize(
    "query", ["depth=2", "encoding=list", "quality=0", "quality=101", "size=0x7", "fingerprint=ab"]
)
def test_an_unknown_option_or_value_is_422(client, grid, problem_of, query):
    problem_of(client.post(f"/v1/decode?{query}", content=to_code_file(grid)), 422, "bad-request")


class TestLimits:
    def test_too_large_an_image_out_is_413(self, strict_client, tokenizer, problem_of):
        grid = tokenizer.encode_rgb8(np.zeros((257, 256, 3), np.uint8))
        problem = problem_of(strict_client.post("/v1/decode", content=to_code_file(grid)), 413, "too-large")
        assert (problem["limit"], problem["actual"]) == (65536, 65792)

    def test_too_large_an_image_among_several_fails_alone(self, strict_client, tokenizer, grid):
        large = tokenizer.encode_rgb8(np.zeros((257, 256, 3), np.uint8))
        document = strict_client.post("/v1/decode", json=to_document([to_item(grid), to_item(large)])).json()
        assert document["data"][1]["error"]["status"] == 413
        assert document["counts"]["failed"] == 1

    def test_too_many_pixels_together_are_413(self, strict_client, tokenizer, problem_of):
        grid = tokenizer.encode_rgb8(np.zeros((208, 248, 3), np.uint8))
        problem = problem_of(
            strict_client.post("/v1/decode", json=to_document([to_item(grid)] * 3)), 413, "too-large"
        )
        assert (problem["limit"], problem["actual"]) == (131072, 3 * 208 * 248)

    def test_too_many_codes_are_413_before_they_are_unpacked(self, strict_client, problem_of):
        space = CodeSpace("tiny", "0f" * 32, 2, 1)
        grid = CodeGrid(np.zeros((50, 51), np.uint16), 51, 50, space)
        problem = problem_of(strict_client.post("/v1/decode", content=to_code_file(grid)), 413, "too-large")
        assert (problem["limit"], problem["actual"]) == (2500, 2550)

    def test_too_many_items_are_413(self, strict_client, grid, problem_of):
        response = strict_client.post("/v1/decode", json=to_document([to_item(grid)] * 4))
        assert problem_of(response, 413, "too-large")["actual"] == 4


def test_a_picture_too_long_for_its_format_is_413(client, tokenizer, problem_of):
    grid = tokenizer.encode_rgb8(np.zeros((1, 16384, 3), np.uint8))
    assert client.post("/v1/decode", content=to_code_file(grid)).status_code == 200
    response = client.post("/v1/decode", content=to_code_file(grid), headers={"accept": "image/webp"})
    assert problem_of(response, 413, "too-large")["limit"] == 16383


def test_a_png_of_pillow_opens_it(client, grid, expected):
    picture = Image.open(io.BytesIO(client.post("/v1/decode", content=to_code_file(grid)).content))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (70, 45))
