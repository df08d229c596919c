import json
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqvae.config import from_dict, later, require, to_dict
from vqvae.errors import ConfigError


@dataclass(frozen=True)
class Wheel:
    radius: float = 0.3

    def __post_init__(self):
        require(self.radius > 0, "radius must be positive", self.radius)


@dataclass(frozen=True)
class Cart:
    name: str
    wheel: Wheel = field(default_factory=Wheel)
    gears: tuple[int, ...] = (1, 2)
    tyre: Literal["thin", "wide"] = "thin"
    bell: bool = False


@given(
    st.builds(
        Cart,
        name=st.text(),
        wheel=st.builds(Wheel, st.floats(min_value=1e-3, allow_infinity=False)),
        gears=st.lists(st.integers()).map(tuple),
        tyre=st.sampled_from(["thin", "wide"]),
        bell=st.booleans(),
    )
)
def test_a_configuration_survives_json(cart):
    assert from_dict(Cart, json.loads(json.dumps(to_dict(cart)))) == cart


def test_absent_variables_have_their_defaults():
    assert from_dict(Cart, {"name": "red", "wheel": {}}) == Cart("red", Wheel(0.3), (1, 2), "thin", False)


def test_a_later_variable_is_left_out_where_it_has_its_default():
    @dataclass(frozen=True)
    class Bicycle:
        gears: int = 1
        brake: Literal["none", "disc"] = later("none")

    assert to_dict(Bicycle()) == {"gears": 1}  # as before there were brakes
    assert from_dict(Bicycle, {"gears": 1}) == Bicycle()
    assert to_dict(Bicycle(brake="disc")) == {"gears": 1, "brake": "disc"}


def test_unknown_variable_is_rejected_by_name():
    with pytest.raises(ConfigError, match=r"Cart has no variable 'colour'; it has name, wheel, gears"):
        from_dict(Cart, {"name": "red", "colour": "red"})
    with pytest.raises(ConfigError, match=r"Wheel has no variable 'spokes'"):
        from_dict(Cart, {"name": "red", "wheel": {"spokes": 8}})


def test_missing_variable_is_named():
    with pytest.raises(ConfigError, match=r"Cart needs the variable 'name'"):
        from_dict(Cart, {"bell": True})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"name": 3}, "Cart.name must be of type str, got 3"),
        ({"gears": 3}, "Cart.gears must be a list of int, got 3"),
        ({"gears": [1, 2.5]}, r"Cart.gears must be a list of int, got \(1, 2.5\)"),
        ({"gears": [1, True]}, r"Cart.gears must be a list of int, got \(1, True\)"),
        ({"wheel": 3}, "Cart.wheel must be of type Wheel, got 3"),
        ({"wheel": {"radius": "wide"}}, "Wheel.radius must be of type float, got 'wide'"),
        ({"wheel": {"radius": True}}, "Wheel.radius must be of type float, got True"),
        ({"bell": 1}, "Cart.bell must be of type bool, got 1"),
        ({"tyre": "flat"}, "Cart.tyre must be one of thin, wide, got 'flat'"),
    ],
)
def test_value_of_another_type_is_rejected_by_name(variables, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(Cart, {"name": "red"} | variables)


def test_an_integer_is_a_float():
    assert from_dict(Wheel, {"radius": 1}) == Wheel(1.0)


def test_a_broken_rule_says_what_came():
    with pytest.raises(ConfigError, match=r"^radius must be positive, got -1$"):
        Wheel(-1)
