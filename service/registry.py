"""The loaded models, by name and by fingerprint."""

from collections.abc import Iterable

from service.errors import BadRequest, NotFound, OtherFingerprint
from vqvae.code_grid import CodeSpace
from vqvae.errors import ConfigError
from vqvae.tokenizer import Tokenizer


class Registry:
    """Tokenizers, the first being the default; ConfigError where two have one name."""

    def __init__(self, tokenizers: Iterable[Tokenizer]) -> None:
        self.tokenizers = list(tokenizers)
        self._by_name = {tokenizer.space.model: tokenizer for tokenizer in self.tokenizers}
        if len(self._by_name) < len(self.tokenizers):
            names = ", ".join(tokenizer.space.model for tokenizer in self.tokenizers)
            raise ConfigError(f"models must have different names, got {names}")

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
        tokenizer = self.default if name is None else self._by_name[name]
        _check_decoder(tokenizer, decoder)
        return tokenizer

    def of(self, space: CodeSpace, name: str | None, decoder: str | None = None) -> Tokenizer:
        """The model, of that name if one is given, for codes of a space; OtherFingerprint for no such one."""
        among = self.tokenizers if name is None else [self.named(name)]
        for tokenizer in among:
            if tokenizer.space.fingerprint == space.fingerprint:
                _check_decoder(tokenizer, decoder)
                return tokenizer
        raise OtherFingerprint(
            f"the codes have fingerprint {space.fingerprint}; "
            f"the models here have {' and '.join(tokenizer.space.fingerprint for tokenizer in among)}"
        )


def _check_decoder(tokenizer: Tokenizer, decoder: str | None) -> None:
    if decoder not in (None, tokenizer.decoder_name):
        raise BadRequest(f"decoder: the one that is loaded is {tokenizer.decoder_name!r}")
