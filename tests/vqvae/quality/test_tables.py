from vqvae.quality.tables import HEADS, as_markdown, notes_of, tables_of


def test_a_set_is_a_table_of_models_codecs_and_floor(by_hand):
    (table,) = tables_of(by_hand)
    assert table.title == "kodak, 24 images"
    assert [(row.cells[0], row.is_model) for row in table.rows] == [
        ("photo-f8, faithful", True),
        ("photo-f8, vivid", True),
        ("JPEG", False),
        ("AVIF", False),
        ("k-means on 8x8 patches", False),
    ]
    assert {len(row.cells) for row in table.rows} == {len(HEADS)}


def test_cells_are_the_figures_rounded(by_hand):
    (table,) = tables_of(by_hand)
    cells = {row.cells[0]: dict(zip(HEADS[1:], row.cells[1:], strict=True)) for row in table.rows}
    assert cells["photo-f8, faithful"] == {
        "bits per pixel": "0.1875",
        "of entropy": "0.1578",
        "PSNR, dB": "26.03",
        "SSIM": "0.7186",
        "MS-SSIM": "0.9200",
        "ST-LPIPS": "0.295",
        "Lite0": "1.400",
        "usage": "91.5%",
        "perplexity": "1097 of 4096",
        "codes": "147456",
    }
    assert cells["photo-f8, vivid"]["MS-SSIM"] == "-"
    assert cells["AVIF"]["bits per pixel"] == "0.1860"
    assert cells["AVIF"]["usage"] == ""


def test_a_codec_that_cannot_go_so_low_says_on_how_many_images(by_hand):
    (table,) = tables_of(by_hand)
    assert table.rows[2].cells[1] == "0.2000 (3 over)"


def test_markdown_is_a_table_a_set_with_the_models_in_bold(by_hand):
    lines = as_markdown(by_hand).splitlines()
    assert lines[:3] == ["**kodak, 24 images**", "", "| " + " | ".join(HEADS) + " |"]
    assert lines[3] == "|---" * 11 + "|"
    assert lines[4].startswith("| **photo-f8, faithful** | 0.1875 | 0.1578 | 26.03 |")
    assert lines[6].startswith("| JPEG | 0.2000 (3 over) |  | 24.96 |")
    assert {line.count("|") for line in lines[2:9]} == {len(HEADS) + 1}


def test_notes_end_the_markdown_and_name_what_it_was_made_with(by_hand):
    assert as_markdown(by_hand).endswith("\n\n".join(notes_of(by_hand)) + "\n")
    assert notes_of(by_hand)[-1] == "Made by `make quality` with Python 3.11, threads 2."
    assert "1000 patches" in notes_of(by_hand)[-2]


def test_a_note_tells_the_use_of_the_codes_over_many(by_hand):
    (note,) = (note for note in notes_of(by_hand) if "held out" in note)
    assert note.startswith("Over 1048576 codes of crops")
    assert "uses 99.51% of its codebook" in note
