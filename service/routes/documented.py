"""What the OpenAPI document says beyond what FastAPI finds.

That is bodies and answers that are read and written by hand, what every answer has, and the loaded models.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service import errors
from service.errors import Problem
from service.schemas.images import ImagesBody
from service.schemas.problems import ProblemDetails
from vqvae.pixels import MEDIA_TYPES as IMAGE_TYPES

Responses = dict[int | str, dict[str, Any]]
Document = dict[str, Any]

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}

GRID_HEADERS = {
    "X-Model": "For one image: the model's name.",
    "X-Fingerprint": "For one image: the fingerprint of the code space.",
    "X-Original-Size": "For one image: its true size, WIDTHxHEIGHT.",
}

_REQUEST_ID = {
    "description": "Finds the request in the service's log; the client's own where that has such characters.",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
}
_RETRY_AFTER = ("Retry-After", "Seconds until asking again is worth it.")
_PROBLEM_HEADERS = {
    401: ("WWW-Authenticate", "Bearer: a key is needed."),
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}

ENCODE_AND_DECODE_PROBLEMS = (
    errors.Malformed,
    errors.NotFound,
    errors.NotAcceptable,
    errors.TooSlow,
    errors.TooLarge,
    errors.UnsupportedType,
    errors.BadRequest,
    errors.Overloaded,
    errors.Problem,
    errors.Unavailable,
    errors.DeadlinePassed,
)


def ref(model: type[BaseModel]) -> dict[str, Any]:
    """A reference to a schema; the app puts it among the document's components."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def body(files: Iterable[str], json: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route whose body is one file, of one of these media types, or JSON."""
    content = dict.fromkeys(files, _BINARY) | {"application/json": {"schema": ref(json)}}
    return {"requestBody": {"required": True, "content": content}}


def images_body() -> dict[str, Any]:
    """`openapi_extra` of a route that takes images."""
    extra = body(IMAGE_TYPES.values(), ImagesBody)
    images = {"type": "array", "items": _BINARY["schema"], "minItems": 1}
    form = {
        "type": "object",
        "properties": {"image": images},
        "required": ["image"],
        "additionalProperties": False,
    }
    extra["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    return extra


def answers(
    json: type[BaseModel],
    files: Iterable[str],
    problems: Iterable[type[Problem]],
    headers: Mapping[str, str] | None = None,
) -> Responses:
    """`responses` of a route that answers JSON or, for one image, a file; and the problems that it has."""
    timing = {"Server-Timing": _header("Milliseconds of intake, queue, model and output.")}
    success = {
        "description": "JSON, or for one image what the Accept header asks for.",
        "content": dict.fromkeys(files, _BINARY) | {"application/json": {"schema": ref(json)}},
        "headers": timing | {name: _header(text) for name, text in (headers or {}).items()},
    }
    responses = {200: success, **problem_answers(*problems)}
    for response in responses.values():
        response["headers"] = timing | response.get("headers", {})
    return responses


def codebook_answers(files: Iterable[str]) -> Responses:
    """`responses` of a route that answers a file about a codebook, which the client may keep."""
    headers = {
        "ETag": "Changes with the code space and the decoder; for If-None-Match.",
        "Cache-Control": "no-cache: keep it, and ask each time whether it is still so.",
        "Vary": "Accept",
        "X-Model": "The model's name.",
        "X-Fingerprint": "The fingerprint of the code space.",
    }
    of_atlas = {
        "X-Atlas-Columns": "Of an atlas: cells a side.",
        "X-Atlas-Cell": "Of an atlas: pixels along a cell's side.",
        "Server-Timing": "Milliseconds of queue, model and output, where there was work.",
    }
    named = {name: _header(text) for name, text in (headers | of_atlas).items()}
    problems = problem_answers(
        errors.NotFound,
        errors.NotAcceptable,
        errors.TooLarge,
        errors.BadRequest,
        errors.Overloaded,
        errors.Problem,
        errors.Unavailable,
        errors.DeadlinePassed,
    )
    for response in problems.values():
        response["headers"] = {"Server-Timing": named["Server-Timing"], **response.get("headers", {})}
    return {
        200: {
            "description": "What the Accept header asks for.",
            "content": dict.fromkeys(files, _BINARY),
            "headers": named,
        },
        304: {"description": "The client has it: If-None-Match names its ETag.", "headers": named},
        **problems,
    }


def problem_answers(*problems: type[Problem]) -> Responses:
    """`responses` for problems, those of one status together."""
    responses: Responses = {}
    for problem in problems:
        content = {errors.MEDIA_TYPE: {"schema": ref(ProblemDetails)}}
        response = responses.setdefault(problem.status, {"description": "", "content": content})
        response["description"] = f"{response['description']} {problem.title}.".strip()
        if problem.status in _PROBLEM_HEADERS:
            name, text = _PROBLEM_HEADERS[problem.status]
            response["headers"] = {name: _header(text)}
    return responses


def add_schemas(document: Document, models: Iterable[type[BaseModel]]) -> None:
    """Put these models among the document's components, and those that they are made of."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    document["components"]["schemas"] |= schemas["$defs"]


def add_request_ids(document: Document) -> None:
    """Name X-Request-ID in every answer."""
    document["components"]["headers"] = {"X-Request-ID": _REQUEST_ID}
    for operation in _operations(document):
        for response in operation["responses"].values():
            reference = {"$ref": "#/components/headers/X-Request-ID"}
            response["headers"] = {"X-Request-ID": reference, **response.get("headers", {})}


def add_decoders(document: Document, names: Iterable[str]) -> None:
    """Say which values the option `decoder` knows, if any."""
    if known := sorted(set(names)):
        for operation in _operations(document):
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "decoder":
                    parameter["schema"]["anyOf"][0]["enum"] = known


def _operations(document: Document) -> Iterator[dict[str, Any]]:
    return (operation for path in document["paths"].values() for operation in path.values())


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}
