import pytest

from vqvae.quality.set_tables import HEADS, set_table


@pytest.fixture
def table(by_hand):
    return set_table(by_hand.sets[0], by_hand.sets[0].models)


def test_a_set_is_a_table_of_models_codecs_and_floor(table):
    assert table.title == "kodak, 24 images"
    assert [(row.cells[0], row.is_bold) for row in table.rows] == [
        ("photo-f8, faithful", True),
        ("photo-f8, vivid", True),
        ("JPEG", False),
        ("AVIF", False),
        ("k-means on 8x8 patches", False),
    ]
    assert {len(row.cells) for row in table.rows} == {len(table.heads)} == {len(HEADS)}


def test_cells_are_the_figures_rounded(table):
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


def test_a_codec_that_cannot_go_so_low_says_on_how_many_images(table):
    assert table.rows[2].cells[1] == "0.2000 (3 over)"
