"""What an answer means that is not the wanted one: a typed error, by its RFC 9457 problem if it has one.

Of several images one may fail for itself: then its item carries a problem. Whatever else goes wrong is told
apart here by whether it is about that image (`concerns_one`) or about all that would be asked after it.
"""

from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from vqvae.client.exchange import PROBLEM, Answer, Ended, retry_after_s
from vqvae.errors import (
    CodesError,
    FormatError,
    ImageError,
    LimitError,
    RefusedFingerprintError,
    RefusedImageError,
    ServiceError,
    ServiceOverloadedError,
    ServiceProblem,
    ServiceTimeoutError,
    VqvaeError,
)

KIND = "urn:vqvae:problem:"

_OF_AN_IMAGE = {KIND + "undecodable-image", KIND + "unsupported-type"}
_OF_ONE = _OF_AN_IMAGE | {
    KIND + kind
    for kind in (
        "bad-codes",
        "deadline-passed",
        "internal",
        "malformed",
        "other-fingerprint",
        "too-large",
        "too-slow",
    )
}
_WHO = "is there another program, or a proxy, at this address?"


def answer_of(ended: Ended, url: str, timeout_s: float) -> Answer:
    """The answer, if it is the wanted one; otherwise raises the ServiceError that it means."""
    outcome = ended.outcome
    if isinstance(outcome, Answer) and outcome.status == 200:
        return outcome
    if isinstance(outcome, Answer):
        error = _refusal(outcome, url)
    else:
        error = _silence(outcome, ended.request_id, url, timeout_s)
        error.__cause__ = outcome
    if ended.num_attempts > 1:
        error.add_note(f"after {ended.num_attempts} attempts")
    raise error


def problem_of(members: Mapping[str, Any], answer: Answer) -> ServiceProblem:
    """The problem that an answer is or that one of its items carries; its class tells what to catch."""
    limit, actual, status = (_number(members.get(name)) for name in ("limit", "actual", "status"))
    common: dict[str, Any] = {
        "status": answer.status if status is None else int(status),
        "type_": str(members.get("type", "about:blank")),
        "title": str(members.get("title", "")),
        "request_id": answer.request_id,
    }
    detail = str(members.get("detail") or common["title"] or "the service gives no reason")
    if common["type_"] == KIND + "other-fingerprint":
        return RefusedFingerprintError(
            detail,
            expected=" or ".join(_fingerprints(members.get("known"))),
            actual=str(members.get("fingerprint") or ""),
            **common,
        )
    common |= {"limit": limit, "actual": actual, "retry_after_s": retry_after_s(answer)}
    if common["type_"] in _OF_AN_IMAGE:
        return RefusedImageError(detail, **common)
    if common["status"] in (429, 503):
        return ServiceOverloadedError(detail, **common)
    return ServiceProblem(detail, **common)


def unreadable(answer: Answer, url: str, error: Exception) -> ServiceError:
    """The error that an answer is which says yes but is not what was asked for."""
    reason = str(error) if isinstance(error, VqvaeError) else f"{type(error).__name__}: {error}"
    return ServiceError(
        f"{url} answered, but not as a vqvae service of this version does: {reason}; {_WHO}",
        status=answer.status,
        request_id=answer.request_id,
    )


def _stranger(answer: Answer, url: str) -> ServiceError:
    """The error that an answer is which no vqvae service gives."""
    came = answer.media_type or "no media type"
    hint = _WHO
    if target := answer.headers.get("location"):
        came, hint = f"a redirect to {target}", "give the address that it leads to as base_url"
    return ServiceError(
        f"{url} answered {answer.status} with {came}, which is no answer of a vqvae service; {hint}",
        status=answer.status,
        request_id=answer.request_id,
    )


def concerns_one(error: VqvaeError) -> bool:
    """Whether the error is about an image or a grid alone, so that others may still fare better."""
    if isinstance(error, ServiceProblem):
        return error.type in _OF_ONE
    return isinstance(error, ImageError | CodesError | FormatError | LimitError)


def _fingerprints(known: object) -> list[str]:
    """Those of a problem's known models; none where an older service names no models."""
    models = [model for model in known if isinstance(model, dict)] if isinstance(known, list) else []
    return [str(model["fingerprint"]) for model in models if "fingerprint" in model]


def _number(value: object) -> int | float | None:
    return value if isinstance(value, int | float) else None


def _refusal(answer: Answer, url: str) -> ServiceError:
    if answer.media_type == PROBLEM:
        try:
            members = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            members = None
        if isinstance(members, dict):
            return problem_of(members, answer)
    return _stranger(answer, url)


def _silence(error: httpx.RequestError, request_id: str, url: str, timeout_s: float) -> ServiceError:
    """Of what kept an answer from coming."""
    match error:
        case httpx.ConnectTimeout() | httpx.ConnectError():
            reason = str(error) or "it does not answer"
            message = f"cannot connect to {url}: {reason}; is the service running? `make serve` starts one"
        case httpx.TimeoutException():
            message = f"{url} did not answer within {timeout_s:g} s; give it more by timeout_s"
            return ServiceTimeoutError(message, request_id=request_id)
        case _:
            message = f"{url} gave no whole answer: {str(error) or type(error).__name__}"
    return ServiceError(message, request_id=request_id)
