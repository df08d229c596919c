"""Problems, and what errors of the library become."""

import orjson
import pytest

from service import errors
from service.errors import Overloaded, Problem, TooLarge, as_problem, describe_validation, request_id
from vqvae import errors as library


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


def test_a_fingerprint_error_is_409_that_names_both():
    problem = as_problem(library.FingerprintError(expected="here", actual="there"))
    assert problem.status == 409
    assert "here" in problem.detail
    assert "there" in problem.detail


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
