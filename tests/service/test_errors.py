"""Problems, and what errors of the library become."""

import orjson
import pytest

from service import errors
from service.errors import (
    OtherFingerprint,
    Overloaded,
    Problem,
    TooLarge,
    as_problem,
    describe_validation,
    request_id,
)
from service.schemas.problems import ItemProblem
from vqvae import errors as library
from vqvae.code_grid import CodeSpace


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (library.UnsupportedImageError("m"), 415, "unsupported-type"),
        (library.ImageError("m"), 422, "undecodable-image"),
        (library.CodesError("m"), 422, "bad-codes"),
        (library.FormatError("m"), 400, "malformed"),
        (library.LimitError("m", limit=1, actual=2), 413, "too-large"),
        (errors.NotFound("m"), 404, "not-found"),
    ],
)
def test_an_error_of_the_library_becomes_its_problem(error, status, kind):
    problem = as_problem(error)
    assert (problem.status, problem.kind, problem.detail) == (status, kind, "m")


def test_another_fingerprint_is_told_with_those_of_the_models_by_name():
    spaces = [CodeSpace("one", "1a" * 32, 64, 8), CodeSpace("two", "2b" * 32, 64, 8)]
    members = OtherFingerprint("0f" * 32, spaces).to_dict()
    assert members["status"] == 409
    assert members["fingerprint"] == "0f" * 32
    assert members["known"] == [
        {"model": "one", "fingerprint": "1a" * 32},
        {"model": "two", "fingerprint": "2b" * 32},
    ]
    assert f"the codes have fingerprint {'0f' * 32}, while one has {'1a' * 32} and two" in members["detail"]
    assert ItemProblem.model_validate(members, strict=True).model_dump(exclude_unset=True) == members


@pytest.mark.parametrize("error", [ZeroDivisionError("secret"), library.ModelError("secret")])
def test_what_nobody_foresaw_is_500_and_stays_in_the_log(error, caplog):
    problem = as_problem(error)
    assert problem.status == 500
    assert "secret" not in problem.detail
    assert "secret" in caplog.text


def test_a_problem_is_rfc_9457_with_its_limit():
    request_id.set("an-id")
    response = TooLarge("over", limit=16, actual=17).response()
    assert (response.status_code, response.media_type) == (413, "application/problem+json")
    assert orjson.loads(response.body) == {
        "type": "urn:vqvae:problem:too-large",
        "title": "The request is over a limit",
        "status": 413,
        "detail": "over",
        "limit": 16,
        "actual": 17,
        "request_id": "an-id",
    }


def test_retry_after_rides_in_the_header():
    assert Overloaded("full", retry_after_s=3).response().headers["retry-after"] == "3"


def test_kinds_are_unique_and_titled():
    classes = [Problem, *(cls for cls in vars(errors).values() if cls in Problem.__subclasses__())]
    assert len(classes) > 10
    assert len({cls.kind for cls in classes}) == len({cls.title for cls in classes}) == len(classes)


def test_a_validation_error_is_told_in_a_line_without_the_value():
    found = [{"loc": ("query", "size"), "msg": "wrong", "input": "secret"}] * 2
    assert describe_validation(found) == "query.size: wrong (and 1 more)"
    assert describe_validation([{"loc": (), "msg": "wrong"}]) == "the body: wrong"


@pytest.mark.parametrize("name", ["<script>", "a" * 65, "a b", "\x1b[31m", "\u00e9", ""])
def test_a_name_that_came_is_told_where_it_is_a_plain_word(name):
    assert describe_validation([{"loc": ("query", name), "msg": "unknown"}]) == "query....: unknown"
    assert describe_validation([{"loc": ("images", 7, "b64"), "msg": "unknown"}]) == "images.7.b64: unknown"
