import json

import pytest

from vqvae.checkpoint import load_card
from vqvae.errors import DataError
from vqvae.quality.documents import fill, measured
from vqvae.quality.tables import notes_of

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


def test_blocks_hold_the_table_and_nothing_else_changes(by_hand):
    filled = fill(TEXT, by_hand)
    assert "what stood here" not in filled
    assert filled.count("| **photo-f8, faithful** | 0.1875 |") == 2
    assert filled.startswith("# A page\n\n<!-- quality: kodak -->\n**kodak, 24 images**\n\n| ")
    assert "\n<!-- end -->\n\nbetween\n\n<!-- quality: kodak, photo-f8 -->\n**kodak" in filled
    assert filled.endswith("|\n<!-- end -->\n<!-- end -->\n")
    assert fill(filled, by_hand) == filled


def test_a_block_of_notes_holds_the_notes(by_hand):
    filled = fill("<!-- quality: notes -->\nold\n<!-- end -->", by_hand)
    assert filled.split("\n\n")[0] == "<!-- quality: notes -->\n" + notes_of(by_hand)[0]
    assert filled.endswith(notes_of(by_hand)[-1] + "\n<!-- end -->")


@pytest.mark.parametrize("what", ["naturals", "kodak, photo-f16"])
def test_a_block_for_what_was_not_measured_is_an_error(by_hand, what):
    with pytest.raises(DataError, match=f"<!-- quality: {what} --> asks for what was not measured"):
        fill(f"<!-- quality: {what} -->\n<!-- end -->", by_hand)


def test_a_card_takes_the_figures_of_all_its_decoders_and_keeps_the_rest(report, two_decoders):
    card = load_card(two_decoders)
    card.figures["held_out"] = {"psnr": 20.0}
    figures = measured(card, report).figures
    assert figures["held_out"] == {"psnr": 20.0}
    assert set(figures) == {"held_out", "held_out_codes", "large", "small", "decoders"}
    of_set = report.sets[0].models[0]
    assert figures["large"]["psnr"] == of_set.decoders["faithful"].psnr
    assert figures["large"]["num_codes"] == of_set.num_codes
    assert figures["decoders"]["vivid"]["large"]["psnr"] == of_set.decoders["vivid"].psnr
    json.dumps(figures)
    assert "large" not in card.figures  # which is another card
