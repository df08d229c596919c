from dataclasses import replace

from vqvae.quality.model_tables import appearance_table, facts_table


def test_facts_tell_codes_costs_fields_and_size(by_hand):
    table = facts_table(by_hand.models[0])
    assert table.heads == ("", "photo-f8")
    facts = dict(row.cells for row in table.rows)
    assert facts["fingerprint"] == "`photo-f8@abababababab`"
    assert facts["codes"] == (
        "K = 4096, code dimension 8, f = 8: 1024 codes for 256x256 pixels, 0.1875 bits per pixel"
    )
    assert facts["encoder"] == (
        "2.8 million parameters, 8.0 GFLOP for 256x256; a code depends on 96x96 pixels"
    )
    assert facts["decoder `vivid`"] == (
        "4.6 million parameters, 15.3 GFLOP for 256x256; a pixel depends on at most 20x20 codes"
    )
    assert facts["stored"].startswith("float16, 15.0 MB; ")
    assert facts["pixels"].startswith("version 1 ")


def test_codes_of_a_square_are_those_of_its_padding_where_f_does_not_divide_it(by_hand):
    (codes,) = (
        row.cells[1]
        for row in facts_table(replace(by_hand.models[0], downsample_factor=12)).rows
        if row.cells[0] == "codes"
    )
    assert "f = 12: 484 codes for 256x256 pixels, 0.08333 bits per pixel" in codes  # 22 x 22


def test_appearance_is_a_column_a_decoder(by_hand):
    table = appearance_table(by_hand.models[0], by_hand.page_read)
    assert table.heads == ("", "photo-f8, faithful", "photo-f8, vivid")
    cells = {label: of_decoders for label, *of_decoders in (row.cells for row in table.rows)}
    assert cells["32 flat greys: mean error"] == ["1.2", "5.0"]
    assert cells["32 flat greys: worst error"] == ["4.0", "4.0"]
    assert cells["32 flat greys: worst standard deviation"] == ["0.39", "0.39"]
    assert cells["32 flat greys: worst patterns of 4, 8 pixels"] == ["0.10, 0.40", "0.10, 0.40"]
    assert cells["text with capitals of 24 pixels: read"] == ["97%", "not measured"]
    assert "of the page itself it reads 99% with capitals of 11, 100% with capitals of 24." in table.note
