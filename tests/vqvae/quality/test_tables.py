import pytest

from vqvae.quality.tables import Row, Table, as_figure, as_markdown


def test_markdown_has_a_line_a_row_and_bold_labels():
    table = Table(("", "a", "b"), (Row(("x", "1", "2"), is_bold=True), Row(("y", "", "3"))))
    assert as_markdown(table).splitlines() == [
        "|  | a | b |",
        "|---|---|---|",
        "| **x** | 1 | 2 |",
        "| y |  | 3 |",
    ]


def test_title_and_note_stand_apart_from_the_table():
    lines = as_markdown(Table(("a",), (Row(("1",)),), title="above", note="below")).splitlines()
    assert (lines[:2], lines[-2:]) == (["**above**", ""], ["", "below"])


@pytest.mark.parametrize(("value", "digits", "cell"), [(26.031, 2, "26.03"), (1, 3, "1.000"), (None, 2, "-")])
def test_a_figure_is_rounded_and_a_dash_where_it_is_not_defined(value, digits, cell):
    assert as_figure(value, digits) == cell
