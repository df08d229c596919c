"""The loaded models."""

import pytest

from service.registry import Registry
from vqvae.errors import ConfigError


def test_the_first_model_is_the_default(tokenizer, other_tokenizer):
    registry = Registry([other_tokenizer, tokenizer])
    assert registry.default is registry.named(None) is other_tokenizer
    assert registry.named("tiny") is tokenizer


def test_codes_find_their_model_by_fingerprint(tokenizer, other_tokenizer):
    registry = Registry([tokenizer, other_tokenizer])
    assert registry.of(other_tokenizer.space, None) is other_tokenizer


def test_two_models_of_one_name_are_refused(tokenizer):
    with pytest.raises(ConfigError, match="different names, got tiny, tiny"):
        Registry([tokenizer, tokenizer])
