"""Errors of the application as a whole, and its OpenAPI document."""

import json
import re

import numpy as np
import pytest
from pydantic import ValidationError

from service.app import create_app
from service.schemas.codes import CodesItem
from service.settings import Settings
from vqvae.code_grid import CodeGrid
from vqvae.formats import to_item


@pytest.fixture(scope="module")
def document(client):
    return client.get("/openapi.json").json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_an_unknown_path_is_404(client, problem_of):
    problem_of(client.get("/v1/nothing"), 404, "not-found")
    problem_of(client.post("/v1/encode/"), 404, "not-found")  # no redirect of an upload


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/encode"), ("POST", "/v1/models"), ("OPTIONS", "/livez")]
)
def test_another_method_is_405_with_allow(client, problem_of, method, path):
    response = client.request(method, path)
    problem_of(response, 405, "method-not-allowed")
    assert response.headers["allow"] in ("GET", "POST")


def test_every_endpoint_is_documented(document):
    assert set(document["paths"]) == {
        "/v1/encode",
        "/v1/decode",
        "/v1/reconstruct",
        "/v1/models",
        "/v1/models/{name}",
        "/v1/models/{name}/codebook",
        "/livez",
        "/readyz",
        "/version",
        "/metrics",
    }
    assert all(operation["summary"] and operation["description"] for _, operation in operations(document))


def test_every_reference_leads_somewhere(document):
    references = set(re.findall(r'"#/components/(\w+)/([^"]+)"', json.dumps(document)))
    assert {"schemas", "headers"} == {kind for kind, _ in references}
    assert all(name in document["components"][kind] for kind, name in references)


def test_every_answer_names_the_header_of_its_request_id(document):
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"], (name, status)


def test_every_error_is_documented_as_a_problem(document):
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], name
                assert response["description"], name


@pytest.mark.parametrize("verb", ["encode", "decode", "reconstruct"])
def test_the_verbs_document_bodies_answers_and_statuses(document, verb):
    operation = document["paths"][f"/v1/{verb}"]["post"]
    assert {"200", "400", "404", "406", "408", "413", "415", "422", "429", "500", "503", "504"} <= set(
        operation["responses"]
    )
    assert ("409" in operation["responses"]) == (verb == "decode")
    bodies = set(operation["requestBody"]["content"])
    if verb == "decode":
        assert bodies == {"application/json", "application/x-npy", "application/vnd.vqvae.codes"}
    else:
        assert {"application/json", "multipart/form-data", "image/jpeg", "image/tiff"} <= bodies
    assert "application/json" in operation["responses"]["200"]["content"]
    assert "Retry-After" in operation["responses"]["429"]["headers"]


def test_options_are_documented_with_their_descriptions(document):
    parameters = {p["name"]: p for p in document["paths"]["/v1/decode"]["post"]["parameters"]}
    assert set(parameters) == {"model", "decoder", "quality", "fingerprint", "size"}
    assert all(parameter["in"] == "query" and parameter["description"] for parameter in parameters.values())


def test_the_known_decoders_are_said(document, client):
    loaded = [model["decoder"] for model in client.get("/v1/models").json()["data"]]
    for verb in "decode", "reconstruct":
        parameters = {p["name"]: p for p in document["paths"][f"/v1/{verb}"]["post"]["parameters"]}
        assert parameters["decoder"]["schema"]["anyOf"][0]["enum"] == sorted(set(loaded)) == ["faithful"]


def test_base64_is_said_to_be_base64(document):
    schemas = document["components"]["schemas"]
    for name in "ImageInput", "ImageItem", "ReconstructedItem":
        assert schemas[name]["properties"]["image_b64"]["contentEncoding"] == "base64"
    assert schemas["CodesItem"]["properties"]["codes_b64"]["anyOf"][0]["contentEncoding"] == "base64"


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 2), (4, 5, 8)])
def test_codes_of_every_depth_fit_the_schema_of_an_item(tokenizer, shape):
    item = to_item(CodeGrid(np.zeros(shape, int), 40, 32, tokenizer.space))
    assert CodesItem.model_validate(item, strict=True).codes == item["codes"]


@pytest.mark.parametrize("codes", [[[[1]]], [[[[1, 2]]]], [1], [[1, [2, 3]]], [[1.5]]])
def test_codes_of_no_depth_do_not(tokenizer, codes):
    item = to_item(CodeGrid(np.zeros((1, 1), int), 8, 8, tokenizer.space)) | {"codes": codes}
    with pytest.raises(ValidationError, match="codes"):
        CodesItem.model_validate(item, strict=True)


def test_answers_fit_their_documented_schemas(client, document, png, problem_of):
    def required(name):
        return set(document["components"]["schemas"][name].get("required", []))

    encoded = client.post("/v1/encode", content=png).json()
    assert required("CodesDocument") <= set(encoded)
    assert set(encoded["data"][0]) <= set(document["components"]["schemas"]["CodesItem"]["properties"])
    reconstructed = client.post("/v1/reconstruct", content=png, headers={"accept": "application/json"}).json()
    assert required("ReconstructedItem") == set(reconstructed["data"][0])
    decoded = client.post("/v1/decode", json=encoded, headers={"accept": "application/json"}).json()
    assert required("ImageItem") == set(decoded["data"][0])
    problem = client.get("/v1/models/nope").json()
    assert required("ProblemDetails") == set(problem)


def test_an_app_is_made_without_starting_anything(tokenizer):
    app = create_app(Settings(), [tokenizer])
    assert app.state.service.scheduler.health.fault == "a worker is not running"
