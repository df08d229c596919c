"""Configurations as JSON: frozen dataclasses to plain dicts and back, strictly.

A configuration rides inside every model and checkpoint. Reading one back refuses what it does not know, so
that a misspelt or newer variable never turns into a silent default.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from vqvae.errors import ConfigError

Config = TypeVar("Config")


def later(default: Any) -> Any:
    """A variable that came after models were published: left out of JSON where it has its default.

    So the fingerprints of those models, which are of their JSON, stay.
    """
    return dataclasses.field(default=default, metadata={"later": True})


def to_dict(config: object) -> dict[str, Any]:
    """The variables of a frozen dataclass, nested ones included, ready for JSON."""
    variables = {}
    for field in dataclasses.fields(cast(Any, config)):
        value = getattr(config, field.name)
        if not field.metadata.get("later") or value != field.default:
            variables[field.name] = to_dict(value) if dataclasses.is_dataclass(value) else value
    return variables


def from_dict(cls: type[Config], variables: Mapping[str, Any]) -> Config:
    """The inverse of `to_dict`; ConfigError for an unknown, missing or mistyped variable, by name."""
    fields = {field.name: field for field in dataclasses.fields(cast(Any, cls))}
    unknown = sorted(set(variables) - set(fields))
    if unknown:
        raise ConfigError(f"{cls.__name__} has no variable {unknown[0]!r}; it has {', '.join(fields)}")
    missing = [name for name, field in fields.items() if name not in variables and _is_required(field)]
    if missing:
        raise ConfigError(f"{cls.__name__} needs the variable {missing[0]!r}")
    types = get_type_hints(cls)
    values = {name: _from_json(types[name], value) for name, value in variables.items()}
    for name, value in values.items():
        if not _fits(types[name], value):
            raise ConfigError(f"{cls.__name__}.{name} must be {_describe(types[name])}, got {value!r}")
    return cls(**values)


def _from_json(kind: Any, value: object) -> object:
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return from_dict(cast(type[Any], kind), value)
    return tuple(value) if get_origin(kind) is tuple and isinstance(value, list) else value


def _fits(kind: Any, value: object) -> bool:
    """Whether a value is of a type: a class, a tuple of one, or a Literal; an int passes for a float."""
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(get_args(kind)[0], item) for item in value)
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def _describe(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"a list of {get_args(kind)[0].__name__}"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    return f"of type {kind.__name__}"


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def require(condition: bool, rule: str, actual: object) -> None:
    """Raises ConfigError("<rule>, got <actual>") unless the condition holds; for `__post_init__`."""
    if not condition:
        raise ConfigError(f"{rule}, got {actual}")
