"""Quantizers: one method a file, its configuration beside it, and the table that names them.

Adding a method is one file and one line here.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from vqvae.config import from_dict, to_dict
from vqvae.errors import ConfigError
from vqvae.quantizers.base import CodebookConfig, Quantized, Quantizer, flatten
from vqvae.quantizers.ema import EmaQuantizer, EmaQuantizerConfig
from vqvae.quantizers.search import kmeans, nearest_codes
from vqvae.quantizers.simvq import SimVectorQuantizer, SimVectorQuantizerConfig
from vqvae.quantizers.vq import VectorQuantizer, VectorQuantizerConfig

__all__ = [
    "METHODS",
    "CodebookConfig",
    "EmaQuantizer",
    "EmaQuantizerConfig",
    "Quantized",
    "Quantizer",
    "SimVectorQuantizer",
    "SimVectorQuantizerConfig",
    "VectorQuantizer",
    "VectorQuantizerConfig",
    "build_quantizer",
    "flatten",
    "kmeans",
    "nearest_codes",
    "quantizer_config_from_dict",
    "quantizer_config_to_dict",
]


class Method(NamedTuple):
    """A configuration and the quantizer that it configures."""

    config: type[CodebookConfig]
    quantizer: type[Any]


METHODS = {
    "ema": Method(EmaQuantizerConfig, EmaQuantizer),
    "vq": Method(VectorQuantizerConfig, VectorQuantizer),
    "simvq": Method(SimVectorQuantizerConfig, SimVectorQuantizer),
}


def build_quantizer(config: CodebookConfig) -> Quantizer:
    """The quantizer that a configuration describes."""
    quantizer: Quantizer = METHODS[_name_of(config)].quantizer(config)
    return quantizer


def quantizer_config_to_dict(config: CodebookConfig) -> dict[str, Any]:
    """A configuration with its method's name, ready for JSON."""
    return {"method": _name_of(config), **to_dict(config)}


def quantizer_config_from_dict(variables: Mapping[str, Any]) -> CodebookConfig:
    """The inverse of `quantizer_config_to_dict`; ConfigError for an unknown method or variable."""
    rest = dict(variables)
    name = rest.pop("method", None)
    if name not in METHODS:
        raise ConfigError(f"quantizer method must be one of {', '.join(METHODS)}, got {name!r}")
    return from_dict(METHODS[name].config, rest)


def _name_of(config: CodebookConfig) -> str:
    for name, method in METHODS.items():
        if type(config) is method.config:
            return name
    raise ConfigError(f"no quantizer method has the configuration {type(config).__name__}")
