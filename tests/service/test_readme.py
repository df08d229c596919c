"""service/README.md says what is so."""

from pathlib import Path

from pydantic import SecretStr

from service.settings import PREFIX, Settings

README = Path(__file__).parents[2] / "service" / "README.md"


def default_of(field):
    if field.default_factory is not None:
        return "the processors"
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value if value is not None else "")


def test_the_settings_are_those_of_the_code():
    rows = [
        f"| `{name.upper()}` | {default_of(field)} | {' '.join(field.description.split())} |"
        for name, field in Settings.model_fields.items()
    ]
    table = "\n".join(["| | unless told | |", "|---|---|---|", *rows])
    assert f"<!-- settings -->\n{table}\n<!-- end -->" in README.read_text(), table


def test_its_prefix_is_that_of_the_code():
    assert f"`{PREFIX}`" in README.read_text()
