"""Who may ask: keys, of which a request carries one where any are configured."""

from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from typing import Annotated

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.errors import Unauthorized

Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Security(HTTPBearer(auto_error=False, description="One of the service's API keys.")),
]


class ApiKeys:
    """A dependency of routes: it lets pass whoever has one of the keys."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [sha256(key.encode()).digest() for key in keys]

    async def __call__(self, credentials: Bearer) -> None:
        """Raises Unauthorized for `Authorization: Bearer KEY` with no such key, or without that header."""
        given = sha256((credentials.credentials if credentials else "").encode()).digest()
        fits = [compare_digest(given, digest) for digest in self._digests]  # all of them, at any time
        if not any(fits):
            raise Unauthorized(
                "the request needs one of the service's keys, as Authorization: Bearer KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )
