import json
from dataclasses import asdict

import pytest

from vqvae.checkpoint import load_card
from vqvae.errors import DataError
from vqvae.quality.documents import check_blocks, fill, measured, notes_of, page, tables_of
from vqvae.quality.model_tables import appearance_table, facts_table
from vqvae.quality.tables import as_markdown

TEXT = """\
# A page

<!-- quality: kodak -->
what stood here
<!-- end -->

between

<!-- quality: kodak, photo-f8 -->
<!-- end -->
<!-- end -->
"""


def block(what):
    return f"<!-- quality: {what} -->\nold\n<!-- end -->"


def test_all_tables_are_those_of_the_sets_and_two_of_each_model(by_hand):
    tables = tables_of(by_hand)
    assert [table.title for table in tables] == ["kodak, 24 images", "", "", "", ""]
    assert tables[1:] == [
        *map(facts_table, by_hand.models),
        *(appearance_table(model, by_hand.page_read) for model in by_hand.models),
    ]


def test_a_page_is_all_tables_and_notes(by_hand):
    parts = [*map(as_markdown, tables_of(by_hand)), *notes_of(by_hand)]
    assert page(by_hand) == "\n\n".join(parts) + "\n"


def test_notes_name_what_it_was_made_with(by_hand):
    assert notes_of(by_hand)[-1] == "Made by `make quality` with Python 3.11, threads 2."
    assert "1000 patches" in notes_of(by_hand)[-2]


def test_a_note_a_model_tells_the_use_of_the_codes_over_many(by_hand):
    first, second = (note for note in notes_of(by_hand) if "held out" in note)
    assert first.startswith("Over 1048576 codes of crops")
    assert "photo-f8 uses 99.51% of its codebook" in first
    assert "photo-f16 uses 99.51% of its codebook" in second


def test_notes_of_a_model_speak_of_that_model_alone(by_hand):
    notes, all_notes = notes_of(by_hand, "photo-f16"), notes_of(by_hand)
    assert not any("photo-f8" in note for note in notes)
    assert notes == [note for note in all_notes if "photo-f8" not in note]


def test_blocks_hold_the_table_and_nothing_else_changes(by_hand):
    filled = fill(TEXT, by_hand)
    assert "what stood here" not in filled
    assert filled.count("| **photo-f8, faithful** | 0.1875 |") == 2
    assert filled.startswith("# A page\n\n<!-- quality: kodak -->\n**kodak, 24 images**\n\n| ")
    assert "\n<!-- end -->\n\nbetween\n\n<!-- quality: kodak, photo-f8 -->\n**kodak" in filled
    assert filled.endswith("|\n<!-- end -->\n<!-- end -->\n")
    assert fill(filled, by_hand) == filled


def test_blocks_hold_what_they_name(by_hand):
    first, second = by_hand.models
    for what, parts in {
        "notes": notes_of(by_hand),
        "notes, photo-f16": notes_of(by_hand, "photo-f16"),
        "model": [as_markdown(facts_table(first)), as_markdown(facts_table(second))],
        "model, photo-f16": [as_markdown(facts_table(second))],
        "appearance, photo-f8": [as_markdown(appearance_table(first, by_hand.page_read))],
    }.items():
        inside = "\n\n".join(parts)
        assert fill(block(what), by_hand) == f"<!-- quality: {what} -->\n{inside}\n<!-- end -->"


@pytest.mark.parametrize("what", ["naturals", "kodak, photo-f4", "notes, photo-f4"])
def test_a_block_for_what_was_not_measured_is_an_error(by_hand, what):
    with pytest.raises(DataError, match=f"<!-- quality: {what} --> asks for what is not measured"):
        fill(block(what), by_hand)


def test_blocks_can_be_checked_before_anything_is_measured():
    check_blocks(TEXT + block("model, photo-f8") + block("notes"), ["kodak"], ["photo-f8"])
    with pytest.raises(DataError, match="there are a, b and model, appearance, notes, of photo-f8"):
        check_blocks(TEXT, ["a", "b"], ["photo-f8"])


def test_a_card_takes_the_figures_of_all_its_decoders_and_keeps_the_rest(report, two_decoders):
    card = load_card(two_decoders)
    card.figures["held_out"] = {"psnr": 20.0}
    figures = measured(card, report).figures
    assert figures["held_out"] == {"psnr": 20.0}
    assert set(figures) == {"held_out", "held_out_codes", "large", "small", "appearance", "decoders"}
    of_set = report.sets[0].models[0]
    assert figures["large"]["psnr"] == of_set.decoders["faithful"].psnr
    assert figures["large"]["num_codes"] == of_set.num_codes
    assert figures["decoders"]["vivid"]["large"]["psnr"] == of_set.decoders["vivid"].psnr
    facts = report.models[0].decoders
    assert figures["appearance"] == asdict(facts["faithful"].appearance)
    assert figures["decoders"]["vivid"]["appearance"] == asdict(facts["vivid"].appearance)
    json.dumps(figures)
    assert "large" not in card.figures  # which is another card
