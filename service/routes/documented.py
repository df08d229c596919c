"""What the OpenAPI document says of bodies and answers that are read and written by hand."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from service import errors
from service.errors import Problem
from service.schemas.images import ImagesBody
from service.schemas.problems import ProblemDetails
from vqvae.pixels import MEDIA_TYPES as IMAGE_TYPES

Responses = dict[int | str, dict[str, Any]]

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}

GRID_HEADERS = {
    "X-Model": "For one image: the model's name.",
    "X-Fingerprint": "For one image: the fingerprint of the code space.",
    "X-Original-Size": "For one image: its true size, WIDTHxHEIGHT.",
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


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}
