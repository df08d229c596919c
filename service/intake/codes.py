"""Codes in a body, in three forms: a code file, an npy file with its fingerprint in the options, or JSON."""

import math
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from python_multipart.multipart import parse_options_header

from service.errors import (
    BadCodes,
    BadRequest,
    OtherFingerprint,
    Problem,
    UnsupportedType,
    as_problem,
    describe_validation,
)
from service.intake import limits
from service.schemas.options import DecodeOptions
from service.schemas.problems import ItemProblem
from service.settings import Settings
from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.errors import FingerprintError, VqvaeError
from vqvae.formats import (
    MEDIA_TYPES,
    from_code_file,
    from_item,
    from_npy,
    is_failed,
    read_document,
    read_header,
)

_CODE_FILE, _JSON, _NPY = MEDIA_TYPES[".vqc"], MEDIA_TYPES[".json"], MEDIA_TYPES[".npy"]
_MAGIC = {b"\x89VQC": _CODE_FILE, b"\x93NUMPY": _NPY}


class PassedOn(Problem):
    """An item that failed when it was encoded; its `error` goes on, without what no problem here has."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__("the item carries an error in place of codes")
        self.error = error

    def to_dict(self) -> dict[str, Any]:
        """The error that came."""
        return self.error


def read_codes(
    body: bytes, content_type: str, options: DecodeOptions, spaces: Sequence[CodeSpace], settings: Settings
) -> list[CodeGrid | Problem]:
    """The codes of a body, checked; what the bytes are counts for more than what `content_type` says.

    Raises UnsupportedType, BadRequest, OtherFingerprint, TooLarge, or what `vqvae.formats` raises.
    """
    kind = _kind(body, content_type)
    if kind != _NPY and (options.fingerprint or options.size):
        raise BadRequest("the options fingerprint and size are for npy bodies; this one says both itself")
    if kind == _JSON:
        grids = _from_document(body, spaces, settings)
    elif kind == _NPY:
        grids = [_from_npy(body, options, spaces)]
    else:
        header = read_header(body)  # a few bytes may stand for many codes
        num_codes = math.prod(header.grid) * header.depth
        limits.check("the request", "codes", settings.codes_per_request, num_codes)
        grids = [from_code_file(body)]
    good = [grid for grid in grids if isinstance(grid, CodeGrid)]
    limits.check("the request", "codes", settings.codes_per_request, sum(grid.codes.size for grid in good))
    limits.check_request(sum(grid.width * grid.height for grid in good), settings.request_megapixels)
    return [_held_to_limit(grid, settings) for grid in grids]


def _kind(body: bytes, content_type: str) -> str:
    for magic, kind in _MAGIC.items():
        if body.startswith(magic):
            return kind
    declared = parse_options_header(content_type)[0].decode("latin-1")
    if declared not in MEDIA_TYPES.values():
        raise UnsupportedType(f"codes come as {', '.join(MEDIA_TYPES.values())}; this body is none of these")
    return declared


def _from_document(body: bytes, spaces: Sequence[CodeSpace], settings: Settings) -> list[CodeGrid | Problem]:
    limits.check_json(body, settings.images_per_request, settings.codes_per_request)
    items = read_document(body)
    limits.check("the request", "images", settings.images_per_request, len(items))
    if len(items) == 1 and is_failed(items[0]):
        raise BadCodes("the only item carries an error in place of codes")
    return [_from_item(item, spaces, f"data[{i}]") for i, item in enumerate(items)]


def _from_item(item: Any, spaces: Sequence[CodeSpace], path: str) -> CodeGrid | Problem:
    if is_failed(item):
        return _passed_on(item, path)
    try:
        return from_item(item, spaces, path)
    except FingerprintError as error:  # of an item that leaves out what a known space would tell
        return OtherFingerprint(error.actual, spaces)
    except VqvaeError as error:
        return as_problem(error)


def _passed_on(item: dict[str, Any], path: str) -> Problem:
    try:
        problem = ItemProblem.model_validate(item["error"], strict=True)
    except ValidationError as error:
        return BadCodes(f"{path}.error: {describe_validation(error.errors(include_input=False))}")
    return PassedOn(problem.model_dump(exclude_unset=True))  # the rest could be nested too deep to be written


def _from_npy(body: bytes, options: DecodeOptions, spaces: Sequence[CodeSpace]) -> CodeGrid:
    if options.fingerprint is None:
        raise BadRequest("an npy body does not say whose codes it holds; add the option fingerprint")
    for space in spaces:
        if space.fingerprint == options.fingerprint:
            width, height = map(int, options.size.split("x")) if options.size else (0, 0)
            return from_npy(body, space, (width, height) if options.size else None)
    raise OtherFingerprint(options.fingerprint, spaces)


def _held_to_limit(grid: CodeGrid | Problem, settings: Settings) -> CodeGrid | Problem:
    if isinstance(grid, Problem):
        return grid
    try:
        limits.check_image(grid.width * grid.height, settings.image_megapixels)
    except Problem as problem:
        return problem
    return grid
