"""The OpenAPI document and the service say the same: schemathesis asks what one allows, and what not.

The service that is asked has a key, for then its document says all that it says without one, and of the key
besides; its model has the name of the document's examples. An operation gets a quarter of the examples that
hypothesis's profile has: `--hypothesis-profile=NAME` of one with more asks more.
"""

import base64
import io
import json
import shutil

import numpy as np
import pytest
import schemathesis
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image

from service.app import create_app
from service.errors import Problem
from service.middleware import SECURITY_HEADERS
from service.settings import Settings
from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.formats import MEDIA_TYPES as CODE_TYPES
from vqvae.formats import to_code_file, to_document, to_item, to_npy
from vqvae.pixels import MEDIA_TYPES as IMAGE_TYPES

KEY = "a-key"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
VERBS = ["/v1/encode", "/v1/decode", "/v1/reconstruct"]
CODE_FILE, JSON, NPY = (CODE_TYPES[suffix] for suffix in (".vqc", ".json", ".npy"))


def image_file(kind):
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((20, 12)).save(file, kind)
    return file.getvalue()


def grid_of(space):
    return CodeGrid(np.arange(32 * 32).reshape(32, 32) % 64, 250, 256, space)  # the size in the document


# Bodies are drawn before the model is there; the codes of this one give way to codes of that one.
STAND_IN = CodeSpace("photo-f8", "ab" * 32, codebook_size=64, downsample_factor=8)
IMAGES = {media_type: image_file(kind) for kind, media_type in IMAGE_TYPES.items()}
IMAGES_B64 = [base64.b64encode(data).decode() for data in IMAGES.values()]
CODES = {CODE_FILE: to_code_file(grid_of(STAND_IN)), NPY: to_npy(grid_of(STAND_IN))}


@st.composite
def perhaps_damaged(draw, files):
    """One of the files; one time in four, some of its bytes are gone or others."""
    data = draw(st.sampled_from(files))
    if draw(st.integers(0, 3)) < 3:
        return data
    start, stop = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
    return data[:start] + draw(st.binary(max_size=8)) + data[stop:]


for media_type, data in {**IMAGES, **CODES}.items():
    schemathesis.openapi.media_type(media_type, perhaps_damaged([data]))
schemathesis.openapi.format("binary", perhaps_damaged(list(IMAGES.values())))  # in multipart

CONFIG = {
    # values that the model knows, beside those that the document allows
    "dictionaries": {
        "models": {"values": [STAND_IN.model]},
        "decoders": {"values": ["faithful"]},
        "fingerprints": {"values": [STAND_IN.fingerprint]},
        "sizes": {"values": ["250x256"]},
        "images": {"values": IMAGES_B64},
    },
    "parameters": {
        "path.name": {"dictionary": "models", "probability": 0.5},
        "query.model": {"dictionary": "models", "probability": 0.8},
        "query.decoder": {"dictionary": "decoders", "probability": 0.8},
        "query.fingerprint": {"dictionary": "fingerprints", "probability": 0.8},
        "query.size": {"dictionary": "sizes", "probability": 0.8},
        "body.images[*].image_b64": {"dictionary": "images", "probability": 0.8},
    },
    # What a request may come to that fits the document, beside success, an unknown model (404) and codes of
    # another one (409): no schema can say that bytes are an image, or how codes, sizes and options belong
    # together. 400: a damaged file of codes, an empty body. 413: damage that makes a header state a size over
    # the limits. 415: bytes that begin like no image. 422: images and codes that are none.
    "operations": [
        {
            "include-path": VERBS,
            "checks": {
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", "400", "404", "409", "413", "415", "422"]
                }
            },
        },
        {  # 422: no decoder of that name
            "include-path": "/v1/models/{name}/codebook",
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "422"]}},
        },
    ],
}

# of HTTP itself, and of the middleware for browsers' sake
OF_EVERY_ANSWER = {"content-length", "content-type", "date", "content-security-policy"} | {
    name.lower() for name in SECURITY_HEADERS
}

DOCUMENT = create_app(Settings(api_keys=KEY), []).openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=schemathesis.Config.from_dict(CONFIG))


def forms(of_operation):
    return [(path, form) for path in VERBS for form in of_operation(DOCUMENT["paths"][path]["post"])]


@pytest.fixture(scope="module")
def model(weights, tmp_path_factory):
    """The tiny model by the name of the document's examples."""
    folder = tmp_path_factory.mktemp("contract") / STAND_IN.model
    shutil.copytree(weights / "tiny", folder)
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(card | {"name": STAND_IN.model}))
    return folder


@pytest.fixture(scope="module")
def contract_service(start_service, model):
    return start_service(api_keys=KEY, models=model)


@pytest.fixture(scope="module")
def space(model):
    fingerprint = json.loads((model / "model.json").read_text())["fingerprint"]
    return CodeSpace(STAND_IN.model, fingerprint, STAND_IN.codebook_size, STAND_IN.downsample_factor)


@pytest.fixture(scope="module")
def answers():
    """What came in this module: (method, path, status, media type, names of headers)."""
    return set()


@pytest.fixture(scope="module")
def ask(contract_service, answers):
    """Sends a case, holds the answer to every check of schemathesis, and returns it."""

    def ask(case, accept="*/*", **body):
        transport = {"base_url": contract_service.url, "headers": {**AUTHORIZED, "Accept": accept}, **body}
        response = case.call(**transport)
        media_type = response.headers.get("content-type", [""])[0].partition(";")[0]
        method, path = case.method.lower(), case.operation.path
        answers.add((method, path, str(response.status_code), media_type, frozenset(response.headers)))
        excepted = [schemathesis.checks.negative_data_rejection] if has_failed_items(response) else []
        case.validate_response(
            response, excluded_checks=excepted, headers=AUTHORIZED, transport_kwargs=transport
        )
        return response

    return ask


def has_failed_items(response):
    """Of several items the bad ones are refused, each in its place, by an answer of 200."""
    document = response.json() if response.headers["content-type"] == [JSON] else {}
    return isinstance(document, dict) and document.get("counts", {}).get("failed", 0) > 0


@SCHEMA.parametrize()
@settings(max_examples=settings.default.max_examples // 4, derandomize=True)
def test_the_service_keeps_to_its_document(case, ask, space):
    if case.media_type != NPY and not case.meta.is_negative_at("query"):  # these options are for npy alone
        case.query = {
            name: value for name, value in case.query.items() if name not in ("fingerprint", "size")
        }
    if case.query.get("fingerprint") == STAND_IN.fingerprint:
        case.query["fingerprint"] = space.fingerprint
    if case.body == CODES[CODE_FILE]:
        ask(case, data=to_code_file(grid_of(space)))
    else:
        ask(case)


def good_case(path, space, media_type=None):
    """A request to a verb with a body that is as it should be, of that media type or any."""
    match path, media_type or (CODE_FILE if path == "/v1/decode" else "image/png"):
        case _, form if form in IMAGES:
            body, query = IMAGES[form], {}
        case _, "multipart/form-data" as form:
            body, query = {"image": list(IMAGES.values())}, {}
        case "/v1/decode", "application/json" as form:
            body, query = to_document([to_item(grid_of(space))]), {}
        case _, "application/json" as form:
            body, query = {"images": [{"image_b64": text} for text in IMAGES_B64]}, {}
        case _, "application/x-npy" as form:
            body, query = to_npy(grid_of(space)), {"fingerprint": space.fingerprint, "size": "250x256"}
        case _, "application/vnd.vqvae.codes" as form:
            body, query = to_code_file(grid_of(space)), {}
    return SCHEMA[path]["POST"].Case(body=body, media_type=form, query=query)


@pytest.mark.parametrize(("path", "media_type"), forms(lambda operation: operation["requestBody"]["content"]))
def test_every_listed_form_of_body_is_accepted(ask, space, path, media_type):
    assert ask(good_case(path, space, media_type)).status_code == 200


@pytest.mark.parametrize(
    ("path", "media_type"), forms(lambda operation: operation["responses"]["200"]["content"])
)
def test_every_listed_form_of_answer_can_be_had(ask, space, path, media_type):
    response = ask(good_case(path, space), accept=media_type)
    assert response.status_code == 200
    assert response.headers["content-type"] == [media_type]


@pytest.mark.parametrize("path", VERBS)
def test_what_is_not_acceptable_is_refused_as_documented(ask, space, path):
    assert ask(good_case(path, space), accept="image/avif").status_code == 406


def test_what_is_passed_on_as_failed_is_a_problem(ask, space):
    items = [to_item(grid_of(space)), {"index": 1, "error": "of another form"}]
    ask(SCHEMA["/v1/decode"]["POST"].Case(body=to_document(items), media_type=JSON))


def test_every_kind_of_problem_is_documented():
    # 405 is the answer to what is not in the document; nobody is there to read 499
    possible = {str(problem.status) for problem in Problem.__subclasses__()} - {"405", "499"}
    documented = {
        status
        for operations in DOCUMENT["paths"].values()
        for operation in operations.values()
        for status in operation["responses"]
    }
    assert possible <= documented


def test_everything_that_came_is_documented(answers):
    for method, path, status, media_type, headers in answers:
        operation = DOCUMENT["paths"][path].get(method)
        if operation is None:
            assert status == "405", (method, path)
            continue
        response = operation["responses"][status]
        assert media_type in response["content"], (method, path, status)
        named = {name.lower() for name in response.get("headers", {})}
        assert headers <= named | OF_EVERY_ANSWER, (method, path, status)
