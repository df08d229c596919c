import json

import numpy as np
import pytest

from vqvae.metrics import psnr, ssim
from vqvae.pixels import decode_image, encode_image
from vqvae.tokenizer import Tokenizer


def test_reconstruction_is_what_the_codes_decode_to(vqvae, photo, tmp_path):
    assert vqvae("reconstruct", photo, "-m", "tiny", "-o", "rec").code == 0
    vqvae("encode", photo, "-m", "tiny", "-o", "codes")
    vqvae("decode", "codes/photo.vqc", "-o", "dec")
    assert (tmp_path / "rec/photo.png").read_bytes() == (tmp_path / "dec/photo.png").read_bytes()


def test_line_tells_how_near_it_is(vqvae, photo, weights):
    ended = vqvae("reconstruct", "photo.png", "-m", "tiny", "-o", "rec")
    rgb, tokenizer = decode_image(photo.read_bytes()), Tokenizer.load(weights / "tiny")
    x_hat = tokenizer.decode_rgb8(tokenizer.encode_rgb8(rgb))
    figures = f"{psnr(rgb, x_hat):.2f} dB, SSIM {ssim(rgb, x_hat):.4f}, 0.122 bits/pixel"
    assert ended.out == f"photo.png -> rec/photo.png  {figures}\n"


def test_undefined_figures_are_said(vqvae, tmp_path, monkeypatch):
    (tmp_path / "dot.png").write_bytes(encode_image(np.zeros((1, 2, 3), np.uint8)))
    monkeypatch.setattr("vqvae.metrics.psnr", lambda *_: None)
    ended = vqvae("reconstruct", "dot.png", "-m", "tiny", "-o", "rec")
    # one code of 6 bits for two pixels
    assert ended.out == "dot.png -> rec/dot.png  equal, no SSIM (a side is under 11), 3.000 bits/pixel\n"


def test_json_tells_the_figures(vqvae, photo, weights):
    told = json.loads(vqvae("reconstruct", "photo.png", "-m", "tiny", "-o", "rec", "--json").out)
    rgb, tokenizer = decode_image(photo.read_bytes()), Tokenizer.load(weights / "tiny")
    x_hat = tokenizer.decode_rgb8(tokenizer.encode_rgb8(rgb))
    assert (told["input"], told["output"]) == ("photo.png", "rec/photo.png")
    assert told["psnr"] == pytest.approx(psnr(rgb, x_hat))
    assert told["ssim"] == pytest.approx(ssim(rgb, x_hat))
    assert (told["grid"], told["decoder"]) == ({"height": 3, "width": 5}, "faithful")


def test_standard_input_comes_back_on_standard_output(fed, photo, tmp_path):
    ended = fed(photo.read_bytes(), "reconstruct", "-", "-m", "tiny")
    fed(b"", "reconstruct", photo, "-m", "tiny", "-o", "rec.png")
    assert (ended.code, ended.out) == (0, (tmp_path / "rec.png").read_bytes())


def test_compare_puts_the_original_beside_it(vqvae, photo, tmp_path):
    vqvae("reconstruct", photo, "-m", "tiny", "-o", "rec")
    vqvae("reconstruct", photo, "-m", "tiny", "-o", "both", "--compare")
    both = decode_image((tmp_path / "both/photo.png").read_bytes())
    assert np.array_equal(both[:, :35], decode_image(photo.read_bytes()))
    assert (both[:, 35:-35] == 255).all()
    assert np.array_equal(both[:, -35:], decode_image((tmp_path / "rec/photo.png").read_bytes()))


def test_photo_is_not_written_over(vqvae, photo):
    before = photo.read_bytes()
    ended = vqvae("reconstruct", photo, "-m", "tiny", "--force")
    assert (ended.code, ended.err) == (
        2,
        "error: photo.png is one of the inputs; say with -o where the result goes\n",
    )
    assert photo.read_bytes() == before
