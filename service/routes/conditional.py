"""Answers that a client may keep and ask about: ETag and If-None-Match (RFC 9110, 13.1.2)."""

import hashlib
from collections.abc import Mapping

from fastapi import Request, Response


def etag_of(*parts: str | bytes) -> str:
    """A tag that differs where any of the parts does."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return f'"{digest.hexdigest()[:32]}"'


def is_known(request: Request, etag: str) -> bool:
    """Whether the client has the answer of this tag already."""
    given = ", ".join(request.headers.getlist("if-none-match"))
    tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    return "*" in tags or etag in tags


def kept_headers(etag: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Headers of an answer that may be kept but is asked about each time."""
    return {"ETag": etag, "Cache-Control": "no-cache", **(more or {})}


def not_modified(headers: Mapping[str, str], media_type: str) -> Response:
    """304, with the headers of the whole answer: a browser takes them for those of what it kept."""
    return Response(status_code=304, headers=headers, media_type=media_type)
