import inspect
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from vqvae.checkpoint import load_card, load_model, save_model
from vqvae.cli.quality import quality
from vqvae.pixels import encode_image
from vqvae.quality import make_report
from vqvae.quality.patches import NUM_PATCHES
from vqvae.quality.set_tables import HEADS
from vqvae.sources import open_source

pytestmark = pytest.mark.usefixtures("one_page")
FILES = ["contact_sheet.png", "quality.json", "quality.md", "rate_distortion.png"]


@pytest.fixture
def bench(tmp_path, photo):
    """A set `a[b]` of one image, and a folder `photos` of training photographs."""
    (tmp_path / "bench/a[b]").mkdir(parents=True)
    photo.rename(tmp_path / "bench/a[b]/photo.png")
    (tmp_path / "photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    (tmp_path / "photos/noise.png").write_bytes(encode_image(noise))
    return tmp_path / "bench"


def test_report_is_written_in_four_files_and_printed(vqvae, bench, weights, tmp_path):
    ended = vqvae(
        "quality",
        "bench",
        "photos",
        "-m",
        "tiny",
        "--out",
        "new/figures",
        "--patches",
        "200",
        "--codes",
        "100",
    )
    assert ended.code == 0
    out = tmp_path / "new/figures"
    assert sorted(path.name for path in out.iterdir()) == FILES
    expected = make_report(
        [weights / "tiny"],
        {"a[b]": open_source(bench / "a[b]")},
        open_source("photos"),
        num_patches=200,
        num_codes=100,
    )
    assert json.loads((out / "quality.json").read_text()) == json.loads(json.dumps(expected.to_dict()))
    for name in ("contact_sheet.png", "rate_distortion.png"):
        assert Image.open(io.BytesIO((out / name).read_bytes())).format == "PNG"
    figures = expected.sets[0].models[0].decoders["faithful"]
    assert f"| **tiny, faithful** | {figures.bits_per_pixel:.4f} | " in (out / "quality.md").read_text()
    lines = [line.strip() for line in ended.out.splitlines()]
    assert lines[0] == "a[b], 1 image"
    assert any(all(head in line for head in HEADS[1:]) for line in lines)
    assert any(line.startswith("tiny, faithful") and f" {figures.psnr:.2f} " in line for line in lines)
    assert lines[-1] == "quality.json, quality.md and pictures are in new/figures"


def test_stages_are_told_on_stderr(vqvae, bench):
    told = vqvae(
        "quality", "bench", "photos", "-m", "tiny", "-o", "out", "--patches", "200", "--codes", "100"
    ).err.splitlines()
    assert told == [
        "tiny: flat grounds and text",
        "patches of 8x8 from the photographs",
        "k-means, 64 of 8x8",
        "tiny, faithful: a[b]",
        "JPEG, WebP, JPEG 2000, AVIF: a[b]",
        "k-means at the rate of tiny: a[b]",
        "tiny: 100 codes of held-out photographs",
        "pictures",
    ]


def test_figures_go_into_marked_blocks_and_into_the_cards(vqvae, bench, weights, tmp_path):
    shutil.copytree(weights / "tiny", tmp_path / "models/tiny")
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- quality: a[b], tiny -->\n<!-- end -->\n<!-- quality: model, tiny -->\n<!-- end -->\n"
    )
    options = ["-m", "models", "-o", "out", "--patches", "200", "--codes", "100"]
    assert vqvae("quality", "bench", "photos", *options, "--into", page, "--record").code == 0
    (table,) = json.loads((tmp_path / "out/quality.json").read_text())["sets"]
    psnr = table["models"][0]["decoders"]["faithful"]["psnr"]
    assert f" {psnr:.2f} " in page.read_text()
    assert "| codes | K = 64, " in page.read_text()
    figures = load_card(tmp_path / "models/tiny").figures
    assert figures["a[b]"]["psnr"] == psnr
    assert figures["held_out_codes"]["num_codes"] >= 100
    assert figures["appearance"]["greys"]["num_images"] == 32
    assert "a[b]" not in load_card(weights / "tiny").figures


def test_record_draws_the_faults_beside_the_card_and_keeps_what_shows_more(vqvae, bench, weights, tmp_path):
    shutil.copytree(weights / "tiny", tmp_path / "models/tiny")
    other = load_model(weights / "other")
    save_model(
        tmp_path / "first",
        name="tiny",
        encoder=other.encoder,
        quantizer=other.quantizer,
        decoders={"faithful": other.decoder},
    )
    options = ["-m", "models", "-o", "out", "--patches", "200", "--codes", "100", "--record"]
    faults = tmp_path / "models/tiny/figures/faults.png"
    assert vqvae("quality", "bench", "photos", *options, "--before", "first").code == 0
    with_before = faults.read_bytes()
    ended = vqvae("quality", "bench", "photos", *options)
    assert ended.code == 0
    assert "models/tiny/figures/faults.png is kept, for it shows earlier weights as well" in ended.out
    assert faults.read_bytes() == with_before
    assert not faults.with_name("decoders.png").exists()  # it has one


def test_earlier_weights_of_another_name_are_refused_before_any_work(vqvae, bench, weights):
    ended = vqvae("quality", "bench", "photos", "-m", "tiny", "--before", weights / "other")
    assert ended.code == 2
    assert "holds other, which is none of the models that are measured: tiny" in ended.err


def test_a_block_for_what_is_not_measured_is_told_before_the_work(vqvae, bench, tmp_path):
    (tmp_path / "page.md").write_text("<!-- quality: kodak -->\n<!-- end -->\n")
    ended = vqvae("quality", "bench", "photos", "-m", "tiny", "-o", "out", "--into", "page.md")
    assert (ended.code, ended.out) == (2, "")
    assert "<!-- quality: kodak --> asks for what is not measured; there are a[b] and model" in ended.err


def test_a_document_that_is_not_there_is_told_before_the_work(vqvae, bench):
    ended = vqvae("quality", "bench", "photos", "-m", "tiny", "-o", "out", "--into", "gone.md")
    assert ended.code == 2
    assert "gone.md cannot be read" in ended.err


def test_floor_learns_from_as_many_patches_as_in_the_library():
    assert inspect.signature(quality).parameters["patches"].default == NUM_PATCHES


def test_folder_of_models_is_every_model_in_it(vqvae, bench, weights, tmp_path):
    assert (
        vqvae(
            "quality", "bench", "photos", "-m", weights, "-o", "out", "--patches", "200", "--codes", "100"
        ).code
        == 0
    )
    (of_set,) = json.loads((tmp_path / "out/quality.json").read_text())["sets"]
    assert [model["model"] for model in of_set["models"]] == ["other", "tiny"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["nowhere", "photos", "-m", "tiny"],
            "error: nowhere is no folder; give one in which every folder is",
        ),
        (["photos", "photos", "-m", "tiny"], "error: photos holds no folders; "),
        (["bench", "nowhere", "-m", "tiny"], "error: nowhere does not exist"),
        (["bench", "photos"], "error: no model at weights, nor of that name in "),
        (
            ["bench", "photos", "-m", "tiny", "-o", "photos/noise.png/x"],
            "error: photos/noise.png/x cannot be a folder",
        ),
        (
            ["bench", "photos", "-m", "tiny", "--patches", "0"],
            "error: invalid value for '--patches': ",
        ),
    ],
)
def test_what_cannot_be_measured_is_said_before_any_work(vqvae, bench, arguments, said):
    ended = vqvae("quality", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(said)
