import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from vqvae.client import Reconstruction

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def reconstruction(psnr=27.707, ssim=0.6844, model="photo-f8"):
    return Reconstruction(Image.fromarray(PIXELS), psnr, ssim, 0.1875, model, "ab" * 32)


def test_a_notebook_shows_a_reconstruction_and_what_was_lost():
    page = reconstruction()._repr_html_()
    data = base64.b64decode(re.search(r'src="data:image/png;base64,([A-Za-z0-9+/=]+)"', page)[1])
    assert np.array_equal(Image.open(io.BytesIO(data)), PIXELS)
    assert data == reconstruction()._repr_png_()
    caption = "photo-f8@abababababab: 27.71 dB, SSIM 0.684, 0.1875 bits per pixel"
    assert f"<figcaption>{caption}</figcaption>" in page


@pytest.mark.parametrize(
    ("psnr", "ssim", "said"),
    [
        (None, 1.0, ": equal to the original, SSIM 1.000, 0.1875 bits"),
        (30.0, None, ": 30.00 dB, 0.1875 bits"),  # a side is under 11 pixels
    ],
)
def test_a_figure_that_is_not_defined_is_not_shown(psnr, ssim, said):
    assert said in reconstruction(psnr, ssim)._repr_html_()


def test_what_a_service_calls_its_model_is_escaped():
    page = reconstruction(model='<b>"&')._repr_html_()
    assert "<b>" not in page
    assert page.count("&lt;b&gt;&quot;&amp;@") == 2
