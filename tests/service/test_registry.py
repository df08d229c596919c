"""The loaded models."""

import pytest

from service.errors import BadRequest
from service.registry import Registry
from vqvae import Tokenizer
from vqvae.errors import ConfigError


def test_the_first_model_is_the_default(tokenizer, other_tokenizer):
    registry = Registry([other_tokenizer, tokenizer])
    assert registry.default is registry.named(None) is other_tokenizer
    assert registry.named("tiny") is tokenizer


def test_codes_find_their_model_by_fingerprint(tokenizer, other_tokenizer):
    registry = Registry([tokenizer, other_tokenizer])
    assert registry.of(other_tokenizer.space, None) is other_tokenizer


def test_two_models_of_one_name_are_refused(tokenizer):
    with pytest.raises(ConfigError, match="different names, two have tiny"):
        Registry([tokenizer, tokenizer])


def test_a_model_has_a_tokenizer_for_each_of_its_decoders(tokenizer, two_decoders):
    faithful, vivid = Tokenizer.load_decoders(two_decoders)
    registry = Registry([tokenizer, faithful, vivid])
    assert registry.tokenizers == [tokenizer, faithful]
    assert registry.named("two") is registry.named("two", "faithful") is faithful
    assert registry.named("two", "vivid") is vivid
    assert registry.decoders("two") == [faithful, vivid]
    assert registry.of(vivid.space, "two", "vivid") is vivid
    with pytest.raises(BadRequest, match="decoder must be one of two's, faithful or vivid"):
        registry.named("two", "nope")
    with pytest.raises(BadRequest, match="decoder must be one of tiny's, faithful"):
        registry.named("tiny", "vivid")
