"""A client without its sockets: everything that both clients do, as steps that either of them takes.

A method gives `Steps`, a generator that yields what to send and ends with the result (see `exchange`). What
changes over time is here too, and safe for threads: the fingerprints seen, and the limits once known.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from urllib.parse import quote

import httpx
import orjson

from vqvae.client.exchange import Answer, Patience, Request, Steps, exchange
from vqvae.client.models import Limits, ServedModel
from vqvae.client.problems import answer_of, unreadable
from vqvae.client.verbs import JSON, Decode, Encode, Item, Pins, Raw, Reconstruct, Result, Verb
from vqvae.errors import ConfigError, FormatError, ServiceError, VqvaeError

READY_S = 5.0  # readiness that is not told by then is none

_NOT_READY = (None, 429, 502, 503, 504)  # statuses, also of a proxy that finds nobody; None is no answer


class Session:
    """What a client was told, and what it has learned."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        model: str | None,
        fingerprint: str | None,
        timeout_s: float,
        max_attempts: int,
    ) -> None:
        try:
            url = httpx.URL(base_url)
        except (httpx.InvalidURL, TypeError) as error:
            raise ConfigError(f"base_url must be an address like http://127.0.0.1:8000; {error}") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise ConfigError("base_url must begin with http:// or https:// and name a host")
        if api_key is not None and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
            raise ConfigError("api_key must be printable ASCII without spaces")  # the key itself is not told
        self.base_url = base_url
        self.url = f"{url.scheme}://{url.netloc.decode('ascii')}{url.path.rstrip('/')}"  # for people
        self.headers = {"User-Agent": f"vqvae/{version('vqvae')}"}
        if api_key is not None:
            self.headers["Authorization"] = f"Bearer {api_key}"
        self.model = model
        self.patience = Patience(timeout_s, max_attempts)
        self.pins = Pins(model, fingerprint)
        self._limits: Limits | None = None

    def __str__(self) -> str:
        return f"{self.url!r}" + ("" if self.model is None else f", model={self.model!r}")

    def encode(self, model: str | None) -> Encode:
        """The verb, of this model or the client's."""
        return Encode(model or self.model, self.pins)

    def decode(self, decoder: str | None) -> Decode:
        """The verb, by this decoder or the model's default one."""
        return Decode(decoder)

    def reconstruct(self, model: str | None, decoder: str | None) -> Reconstruct:
        """The verb, of this model or the client's, and by this decoder."""
        return Reconstruct(model or self.model, decoder, self.pins)

    def one(self, verb: Verb[Raw, Item, Result], raw: Raw) -> Steps[Result]:
        """The result for one image or grid; raises what went wrong."""
        (result,) = yield from self.together(verb, [verb.prepare(raw)])
        if isinstance(result, VqvaeError):
            raise result
        return result

    def together(
        self, verb: Verb[Raw, Item, Result], items: Sequence[Item]
    ) -> Steps[list[Result | VqvaeError]]:
        """The results of one request for some items; raises what went wrong with it as a whole."""
        answer = yield from self._ask(verb.request(items), self.patience)
        with self._reading(answer, verb.path):
            results = verb.results(items, answer)
        for result in results:
            if not isinstance(result, VqvaeError):
                verb.check(result)
        return results

    def models(self) -> Steps[list[ServedModel]]:
        """All models of the service."""
        answer = yield from self._ask(Request("GET", "/v1/models", headers={"Accept": JSON}), self.patience)
        with self._reading(answer, "/v1/models"):
            answer.expect(JSON)
            models = [ServedModel.of(card) for card in orjson.loads(answer.body)["data"]]
            if not models:
                raise FormatError("there are no models")
        self._limits = models[0].limits  # one service has one set of them
        return models

    def served(self, name: str | None) -> Steps[ServedModel]:
        """The model of that name, or the client's, or the service's default one."""
        name = name or self.model
        if name is None:
            models = yield from self.models()
            return next((model for model in models if model.is_default), models[0])
        path = f"/v1/models/{quote(name, safe='')}"
        answer = yield from self._ask(Request("GET", path, headers={"Accept": JSON}), self.patience)
        with self._reading(answer, path):
            answer.expect(JSON)
            model = ServedModel.of(orjson.loads(answer.body))
        self._limits = model.limits
        return model

    def limits(self) -> Steps[Limits]:
        """What one request may hold; asked for once."""
        if self._limits is None:
            yield from self.models()
        assert self._limits is not None, "models() learns them"
        return self._limits

    def ready(self) -> Steps[bool]:
        """Whether work would be taken now; asked once, without patience."""
        patience = Patience(min(READY_S, self.patience.timeout_s), max_attempts=1)
        try:
            answer = yield from self._ask(Request("GET", "/readyz", headers={"Accept": JSON}), patience)
        except ServiceError as error:
            if error.status in _NOT_READY:
                return False
            raise
        with self._reading(answer, "/readyz"):
            answer.expect(JSON)
            return bool(orjson.loads(answer.body)["status"] == "ready")

    def _ask(self, request: Request, patience: Patience) -> Steps[Answer]:
        ended = yield from exchange(request, patience)
        return answer_of(ended, self.url, patience.timeout_s)

    @contextmanager
    def _reading(self, answer: Answer, path: str) -> Iterator[None]:
        """What cannot be read inside is no answer of the service."""
        try:
            yield
        except (VqvaeError, AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise unreadable(answer, self.url + path, error) from error
