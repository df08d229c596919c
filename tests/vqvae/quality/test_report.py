import json
from itertools import pairwise

import numpy as np
import pytest

from vqvae.errors import DataError
from vqvae.evaluation import evaluate
from vqvae.metrics import mean, ms_ssim, psnr, ssim
from vqvae.perceptual import perceptual_distance
from vqvae.pixels import decode_image
from vqvae.quality import make_report
from vqvae.quality.codecs import CODECS, JPEG, JPEG_2000, WEBP, CodedImage, pixels_of
from vqvae.quality.facts import model_facts
from vqvae.sources import open_source
from vqvae.tokenizer import Tokenizer

pytestmark = pytest.mark.usefixtures("one_page")


@pytest.fixture
def large(report):
    return report.sets[0]


def test_every_decoder_has_the_figures_of_its_evaluation(report, bench, two_decoders):
    for of_set in report.sets:
        model = of_set.models[0]
        assert set(model.decoders) == {"faithful", "vivid"}
        for decoder, figures in model.decoders.items():
            tokenizer = Tokenizer.load(two_decoders, decoder=decoder)
            found = evaluate(tokenizer, open_source(bench / of_set.name))
            assert (figures.psnr, figures.ssim, figures.ms_ssim) == (found.psnr, found.ssim, found.ms_ssim)
            assert figures.bits_per_pixel == model.bits_per_pixel == found.bits_per_pixel
            assert model.entropy_bits_per_pixel == found.entropy_bits_per_pixel
            assert (model.usage, model.perplexity, model.num_codes) == (
                found.usage,
                found.perplexity,
                found.num_codes,
            )


def test_every_decoder_has_its_perceptual_distances(report, bench, two_decoders):
    small = open_source(bench / "small")
    (rgb,) = (decode_image(small.read(key)) for key in small.keys)
    for decoder, figures in report.sets[1].models[0].decoders.items():
        x_hat = np.asarray(Tokenizer.load(two_decoders, decoder=decoder).reconstruct(rgb))
        assert figures.st_lpips == perceptual_distance(rgb, x_hat, "st-lpips")
        assert figures.efficientnet_lite0 == perceptual_distance(rgb, x_hat, "efficientnet-lite0")


def test_an_image_is_encoded_once_for_all_decoders(monkeypatch, bench, two_decoders, photographs):
    encoded = []
    encode_rgb8 = Tokenizer.encode_rgb8

    def watched(tokenizer, rgb):
        encoded.append(rgb.shape)
        return encode_rgb8(tokenizer, rgb)

    monkeypatch.setattr(Tokenizer, "encode_rgb8", watched)
    small = {"small": open_source(bench / "small")}
    make_report([two_decoders], small, photographs, num_patches=100, num_codes=1)
    assert encoded.count((60, 91, 3)) == 1


def test_models_have_their_facts(report, two_decoders, weights):
    assert report.models == (model_facts(two_decoders), model_facts(weights / "other"))
    assert set(report.page_read) == set(report.models[0].decoders["vivid"].appearance.text_read)


def test_sets_and_models_keep_their_order(report, two_decoders, weights):
    assert [(of_set.name, of_set.num_images) for of_set in report.sets] == [("large", 2), ("small", 1)]
    for of_set in report.sets:
        assert [model.model for model in of_set.models] == ["two", "other"]
        assert [model.fingerprint for model in of_set.models] == [
            Tokenizer.load(folder).space.fingerprint for folder in (two_decoders, weights / "other")
        ]


def test_codecs_get_the_models_bytes_image_by_image(large, bench):
    source = open_source(bench / "large")
    images = [decode_image(source.read(key)) for key in source.keys]
    for codec in (JPEG, WEBP, JPEG_2000):
        found = large.models[0].codecs[codec.name]
        # 64 codes, f = 8: 6 bits for 64 pixels, of sides that are multiples of 8
        files = [CodedImage(codec, rgb).file_within(rgb.size / 3 * 6 / 64 / 8) for rgb in images]
        shown = [pixels_of(file) for file in files]
        assert found.bits_per_pixel == pytest.approx(
            8 * sum(map(len, files)) / sum(rgb.size / 3 for rgb in images)
        )
        assert found.psnr == mean(map(psnr, images, shown))
        assert found.ssim == mean(map(ssim, images, shown))
        assert found.ms_ssim == mean(map(ms_ssim, images, shown))


def test_images_of_which_no_file_is_small_enough_are_counted(report):
    large, small = ({codec: c.num_over for codec, c in s.models[0].codecs.items()} for s in report.sets)
    # 412 bytes for 176x200 pixels, 68 for 91x60: headers alone may take more
    assert large["JPEG"] == 2
    assert large["JPEG 2000"] == 0
    assert small["AVIF"] == 1
    for of_set in report.sets:
        for codec in of_set.models[0].codecs.values():
            if codec.num_over == 0:
                assert codec.bits_per_pixel <= of_set.models[0].bits_per_pixel


def test_floor_is_at_the_models_rate_and_common_to_models_of_one_f_and_k(report):
    for of_set in report.sets:
        for model in of_set.models:
            assert model.floor.bits_per_pixel == pytest.approx(model.bits_per_pixel)
        assert of_set.models[0].floor == of_set.models[1].floor
    assert report.sets[0].models[0].floor.psnr > 20


def test_curves_are_of_the_first_set_and_rise(report):
    large, small = report.sets
    assert small.curves == {}
    assert list(large.curves) == [codec.name for codec in CODECS]
    for curve in large.curves.values():
        assert all(
            a.bits_per_pixel < b.bits_per_pixel and a.psnr < b.psnr and a.ms_ssim < b.ms_ssim
            for a, b in pairwise(curve)
        )


def test_figures_that_are_not_defined_are_none(report):
    small = report.sets[1].models[0]
    every = [*small.decoders.values(), *small.codecs.values(), small.floor]
    assert {figures.ms_ssim for figures in every} == {None}
    assert all(figures.ssim is not None for figures in every)


def test_json_holds_it_all(report):
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert set(data) == {"machine", "num_patches", "sets", "code_use", "models", "page_read"}
    model = data["sets"][0]["models"][0]
    assert set(model) == {
        *("model", "fingerprint", "codebook_size", "downsample_factor", "bits_per_pixel"),
        *("entropy_bits_per_pixel", "num_codes", "usage", "perplexity", "decoders", "floor", "codecs"),
    }
    assert set(model["codecs"]["AVIF"]) == {"bits_per_pixel", "psnr", "ssim", "ms_ssim", "num_over"}
    facts = data["models"][0]
    assert set(facts["decoders"]["vivid"]) == {"cost", "appearance"}
    assert set(facts["decoders"]["vivid"]["cost"]) == {"parameters", "gflop", "receptive_field"}
    assert set(data["sets"][0]["curves"]["AVIF"][0]) == {
        "bits_per_pixel",
        "psnr",
        "ssim",
        "ms_ssim",
        "setting",
    }


def test_machine_names_what_figures_depend_on(report):
    assert {"Python", "torch", "Pillow", "tesseract", "processor", "threads"} < set(report.machine)
    assert set(report.machine) > {codec.name for codec in CODECS}
    assert all(report.machine.values())


def test_equal_inputs_give_equal_figures(bench, two_decoders, photographs, report):
    small = {"small": open_source(bench / "small")}
    again = make_report([two_decoders], small, photographs, num_patches=2000, num_codes=9000)
    assert again.sets[0].models[0] == report.sets[1].models[0]
    assert (again.models[0], again.page_read) == (report.models[0], report.page_read)


def test_every_stage_is_told_from_nothing_done_to_all(report, steps):
    stages = {}
    for doing, done, total in steps:
        stages.setdefault(doing, []).append((done, total))
    assert "two, vivid: large" in stages
    assert stages["two: flat grounds and text"][-1] == (2, 2)  # decoders
    assert "JPEG, WebP, JPEG 2000, AVIF: small" in stages
    for told in stages.values():
        total = told[0][1]
        assert told == [(done, total) for done in range(total + 1)]


def test_a_bad_image_ends_the_report_and_is_named(tmp_path, weights, photographs):
    (tmp_path / "bad.png").write_text("hello")
    (tmp_path / "good.png").write_bytes(photographs.read(photographs.keys[0]))
    with pytest.raises(DataError, match=r"bad\.png of odd cannot be read, .* image must be a JPEG"):
        make_report([weights / "tiny"], {"odd": open_source(tmp_path)}, photographs, num_patches=100)
