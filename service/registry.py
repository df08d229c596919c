"""The loaded models, by name and by fingerprint, and by decoder where a model has several."""

from collections.abc import Iterable

from service.errors import BadRequest, NotFound, OtherFingerprint
from vqvae.code_grid import CodeSpace
from vqvae.errors import ConfigError
from vqvae.tokenizer import Tokenizer


class Registry:
    """Tokenizers, one for each decoder of each model; the first model is the default, and its first decoder.

    ConfigError where two models have one name.
    """

    def __init__(self, tokenizers: Iterable[Tokenizer]) -> None:
        self._by_name: dict[str, dict[str, Tokenizer]] = {}
        for tokenizer in tokenizers:
            of_model = self._by_name.setdefault(tokenizer.space.model, {})
            if tokenizer.decoder_name in of_model or any(
                other.space != tokenizer.space for other in of_model.values()
            ):
                raise ConfigError(f"models must have different names, two have {tokenizer.space.model}")
            of_model[tokenizer.decoder_name] = tokenizer
        self.tokenizers = [next(iter(of_model.values())) for of_model in self._by_name.values()]

    @property
    def default(self) -> Tokenizer:
        """The model that encodes unless told."""
        return self.tokenizers[0]

    @property
    def spaces(self) -> list[CodeSpace]:
        """The code spaces that can be decoded here."""
        return [tokenizer.space for tokenizer in self.tokenizers]

    def named(self, name: str | None, decoder: str | None = None) -> Tokenizer:
        """The model of that name, or the default one; NotFound for the name, BadRequest for the decoder."""
        if name is not None and name not in self._by_name:
            raise NotFound(f"no model of this name is loaded; there are {', '.join(self._by_name)}")
        return self._with(decoder, self.default.space.model if name is None else name)

    def of(self, space: CodeSpace, name: str | None, decoder: str | None = None) -> Tokenizer:
        """The model, of that name if one is given, for codes of a space; OtherFingerprint for no such one."""
        among = self.tokenizers if name is None else [self.named(name)]
        for tokenizer in among:
            if tokenizer.space.fingerprint == space.fingerprint:
                return self._with(decoder, tokenizer.space.model)
        raise OtherFingerprint(space.fingerprint, [tokenizer.space for tokenizer in among])

    def decoders(self, name: str) -> list[Tokenizer]:
        """A loaded model once for each of its decoders, the default one first."""
        return list(self._by_name[name].values())

    def _with(self, decoder: str | None, name: str) -> Tokenizer:
        of_model = self._by_name[name]
        if decoder is None:
            return next(iter(of_model.values()))
        if decoder not in of_model:
            raise BadRequest(f"decoder must be one of {name}'s, {' or '.join(of_model)}")
        return of_model[decoder]
