import json
from dataclasses import dataclass

import pytest

from vqvae.errors import ConfigError
from vqvae.quantizers import (
    METHODS,
    CodebookConfig,
    EmaQuantizerConfig,
    VectorQuantizerConfig,
    build_quantizer,
    quantizer_config_from_dict,
    quantizer_config_to_dict,
)


@pytest.mark.parametrize("method", METHODS)
def test_a_configuration_survives_json_with_its_method(method):
    config = METHODS[method].config(codebook_size=32, codebook_dim=3, commitment_weight=0.1)
    variables = json.loads(json.dumps(quantizer_config_to_dict(config)))
    assert variables["method"] == method
    assert quantizer_config_from_dict(variables) == config


@pytest.mark.parametrize("method", METHODS)
def test_a_configuration_builds_its_own_quantizer(method):
    config = METHODS[method].config(codebook_size=32, codebook_dim=3)
    quantizer = build_quantizer(config)
    assert type(quantizer) is METHODS[method].quantizer
    assert quantizer.config == config
    assert quantizer.codebook.shape == (32, 3)


@pytest.mark.parametrize("variables", [{}, {"method": "fsq"}, {"method": None}])
def test_unknown_method_is_rejected_by_name(variables):
    message = r"quantizer method must be one of ema, vq, simvq, got (None|'fsq')"
    with pytest.raises(ConfigError, match=message):
        quantizer_config_from_dict(variables)


def test_a_variable_of_another_method_is_rejected_by_name():
    with pytest.raises(ConfigError, match="VectorQuantizerConfig has no variable 'decay'"):
        quantizer_config_from_dict({"method": "vq", "decay": 0.9})
    assert quantizer_config_from_dict({"method": "ema", "decay": 0.9}) == EmaQuantizerConfig(decay=0.9)
    assert quantizer_config_from_dict({"method": "vq"}) == VectorQuantizerConfig()


def test_a_configuration_of_no_method_is_rejected():
    @dataclass(frozen=True)
    class OtherConfig(CodebookConfig):
        pass

    with pytest.raises(ConfigError, match="no quantizer method has the configuration OtherConfig"):
        build_quantizer(OtherConfig())
