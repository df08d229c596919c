"""vqvae/README.md has every variable of a training run, with its default and its choices."""

import json
import re
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from vqvae.model import AutoencoderConfig, DecoderConfig, EncoderConfig
from vqvae.quantizers import METHODS, EmaQuantizerConfig
from vqvae.training import TrainingConfig
from vqvae.training.losses import RECONSTRUCTION
from vqvae.training.optimizers import METHODS as OPTIMIZERS

README = (Path(__file__).parents[2] / "vqvae" / "README.md").read_text("utf-8")
ROW = re.compile(r"^\| `([a-z_.]+)` \| (.*?) \| (.+) \|$", re.M)
SOME_METHODS = re.compile(r"^((?:`\w+`(?: and )?)+) alone: ")


def table(name):
    """Name -> (default, effect) of a table between its marks."""
    text = re.search(rf"<!-- variables: {name} -->\n(.*?)<!-- end -->", README, re.S)[1]
    rows = ROW.findall(text)
    assert len(rows) == len(text.splitlines()) - 2, text  # but for the head
    return {name: (default, effect) for name, default, effect in rows}


def variables(name, config):
    """Name -> (default as --set takes it, type), nested ones by their dotted names."""
    types = get_type_hints(config)
    found = {}
    for field in fields(config):
        default = field.default if field.default is not MISSING else field.default_factory()
        if is_dataclass(default):
            found |= variables(f"{name}.{field.name}", type(default))
        else:
            text = default if isinstance(default, str) else json.dumps(default, separators=(",", ":"))
            found[f"{name}.{field.name}"] = text, types[field.name]
    return found


def defaults(name, config):
    return {variable: default for variable, (default, _) in variables(name, config).items()}


def told(name):
    return {variable: default for variable, (default, _) in table(name).items()}


def choices():
    """Name -> what may be chosen, of every variable that is a choice."""
    known = {
        **variables("training", TrainingConfig),
        **variables("model.encoder", EncoderConfig),
    }
    return {
        **{name: get_args(kind) for name, (_, kind) in known.items() if get_origin(kind) is Literal},
        "training.loss": tuple(RECONSTRUCTION),
        "training.optimizer": tuple(OPTIMIZERS),
        "model.quantizer.method": tuple(METHODS),
    }


def test_variables_of_training_are_those_of_the_code():
    assert told("training") == defaults("training", TrainingConfig)


def test_variables_of_the_model_are_those_of_the_code():
    quantizers = {}
    for method in METHODS.values():
        quantizers |= defaults("model.quantizer", method.config)
    assert told("model") == {
        **defaults("model.encoder", EncoderConfig),
        "model.quantizer.method": "ema",
        **quantizers,
        **defaults("model.decoder", DecoderConfig),
    }
    assert type(AutoencoderConfig().quantizer) is METHODS["ema"].config is EmaQuantizerConfig


def test_a_variable_of_some_methods_names_them():
    for name, (_, effect) in table("model").items():
        variable = name.removeprefix("model.quantizer.")
        if variable in (name, "method"):
            continue
        those = [method for method, of in METHODS.items() if variable in {f.name for f in fields(of.config)}]
        said = SOME_METHODS.match(effect)
        assert (re.findall(r"\w+(?=`)", said[1]) if said else list(METHODS)) == those, name


@pytest.mark.parametrize(("variable", "those"), choices().items())
def test_every_choice_is_named(variable, those):
    effect = {**table("training"), **table("model")}[variable][1]
    assert [choice for choice in those if f"`{choice}`" not in effect] == []
