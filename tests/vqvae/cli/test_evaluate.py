import json

import numpy as np
import pytest

from vqvae.evaluation import evaluate
from vqvae.pixels import encode_image
from vqvae.sources import open_source
from vqvae.tokenizer import Tokenizer


@pytest.fixture
def photos(tmp_path, photo, not_a_photo):
    """A folder with a photo whose name looks like markup, one under 11 pixels wide, and a bad one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    photo.rename(folder / "a[bold].png")
    not_a_photo.rename(folder / "bad.png")
    (folder / "small.png").write_bytes(encode_image(np.zeros((16, 8, 3), np.uint8)))
    return folder


def test_json_holds_what_the_library_finds(vqvae, photos, weights, tmp_path):
    assert vqvae("evaluate", "tiny", "photos", "--json", "new/figures.json").code == 0
    expected = evaluate(Tokenizer.load(weights / "tiny"), open_source(photos))
    written = (tmp_path / "new/figures.json").read_text()
    assert json.loads(written) == json.loads(json.dumps(expected.to_dict()))


def test_json_may_take_the_place_of_the_table(vqvae, photos, tmp_path):
    printed = vqvae("evaluate", "tiny", "photos", "--json", "-").out
    vqvae("evaluate", "tiny", "photos", "--json", "figures.json")
    assert printed == (tmp_path / "figures.json").read_text()


def test_table_has_a_row_an_image_and_their_means(vqvae, photos, weights):
    found = evaluate(Tokenizer.load(weights / "tiny"), open_source(photos))
    rows = [line.split() for line in vqvae("evaluate", "tiny", "photos").out.splitlines()]
    large, small = found.images
    assert [
        "a[bold].png",
        "35x21",
        f"{large.psnr:.2f}",
        f"{large.ssim:.4f}",
        "-",
        f"{large.bits_per_pixel:.3f}",
    ] in rows
    assert ["small.png", "8x16", f"{small.psnr:.2f}", "-", "-", "0.094"] in rows
    assert ["mean", f"{found.psnr:.2f}", f"{large.ssim:.4f}", "-", f"{found.bits_per_pixel:.3f}"] in rows


def test_codebook_and_omissions_are_told_below(vqvae, photos, weights):
    found = evaluate(Tokenizer.load(weights / "tiny"), open_source(photos))
    assert vqvae("evaluate", "tiny", "photos").out.splitlines()[-5:] == [
        f"tiny@{found.fingerprint[:12]}, decoder faithful, 2 images, 17 codes",
        f"entropy {found.entropy_bits_per_pixel:.3f} bits/pixel, usage {found.usage:.1%}, "
        f"perplexity {found.perplexity:.0f} of 64",
        "mean SSIM is of 1 of them; the others have a side under 11 pixels",
        "no MS-SSIM, for all of them have a side under 176 pixels",
        "skipped, for they could not be read: 1 of 3",
    ]


def test_bad_images_are_named_on_stderr(vqvae, photos):
    ended = vqvae("evaluate", "tiny", "photos")
    assert ended.code == 0
    assert ended.err.startswith("skipped bad.png: image must be a JPEG, PNG, WebP, GIF, BMP or TIFF; ")
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["unknown", "photos"], "error: no model at unknown, nor of that name in "),
        (["tiny", "nowhere"], "error: nowhere does not exist"),
        (["tiny", "photos", "--decoder", "vivid"], "error: tiny has the decoders faithful, not 'vivid'"),
        (
            ["tiny", "photos", "--json", "photos/small.png/x.json"],
            "error: photos/small.png cannot be a folder",
        ),
        (
            ["tiny", "photos", "--json", "photos"],
            "error: invalid value for '--json': file 'photos' is a directory",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_said_before_any_work(vqvae, photos, arguments, said):
    ended = vqvae("evaluate", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(said)


def test_folder_of_bad_images_is_an_error(vqvae, photos):
    for name in ("a[bold].png", "small.png"):
        (photos / name).unlink()
    ended = vqvae("evaluate", "tiny", "photos", "--json", "figures.json")
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith("error: none of the 1 images can be decoded; bad.png: ")
    assert not (photos.parent / "figures.json").exists()
