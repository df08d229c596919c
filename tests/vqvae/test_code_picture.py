"""Pictures of codes, and what a notebook shows of a grid."""

import base64
import io
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.code_picture import colours_of, squares_of
from vqvae.pixels import decode_image

ROOT = Path(__file__).parents[2]


def grid_of(shape, codebook_size=4096):
    codes = np.arange(np.prod(shape)).reshape(shape) % codebook_size
    space = CodeSpace("photo-f8", "ab" * 32, codebook_size, 8)
    return CodeGrid(codes, 8 * shape[1], 8 * shape[0], space)


def lab_of(rgb):
    """OKLab of sRGB in [0, 255], by the inverse formulas of the same source."""
    value = np.asarray(rgb) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(
        linear
        @ np.array(
            [
                [0.4122214708, 0.2119034982, 0.0883024619],
                [0.5363325363, 0.6806995451, 0.2817188376],
                [0.0514459929, 0.1073969566, 0.6299787005],
            ]
        )
    )
    return cones @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


@given(st.integers(0, 2**16 - 1))
def test_the_colour_is_the_documented_oklch(code):
    rgb = colours_of(np.array(code, np.uint16))
    assume(0 < rgb.min() <= rgb.max() < 255)  # else a channel was cut
    lightness = 0.48 + 0.40 * (code * 0.7548776662466927 % 1)
    chroma = 0.025 + 0.085 * (code * 0.5698402909980532 % 1)
    hue = code * 2.399963229728653
    expected = [lightness, chroma * math.cos(hue), chroma * math.sin(hue)]
    assert np.abs(lab_of(rgb) - expected).max() < 0.005


def test_colours_of_the_first_codes_are_these():
    assert colours_of(np.arange(3)).tolist() == [[106, 88, 93], [162, 196, 150], [146, 152, 177]]


def test_the_web_page_draws_the_same_colours(tmp_path):
    script = ROOT / "service" / "playground" / "colours.js"
    node = shutil.which("node")
    if node is None or not script.exists():
        pytest.skip("needs node and the web page")
    module = tmp_path / "colours.mjs"
    shutil.copy(script, module)
    code = f"import {{ colourOf }} from '{module.as_uri()}';"
    code += "console.log(JSON.stringify([...Array(20000).keys()].map(colourOf)));"
    command = [node, "--input-type=module", "-e", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert np.array_equal(json.loads(done.stdout), colours_of(np.arange(20000)))


@pytest.mark.parametrize(("codebook_size", "least"), [(256, 256), (4096, 4096), (16384, 16350)])
def test_codes_have_colours_of_their_own(codebook_size, least):
    assert len(np.unique(colours_of(np.arange(codebook_size)), axis=0)) >= least


def test_a_picture_is_a_pixel_a_code_to_be_drawn_large():
    grid = grid_of((3, 5))
    squares, side = squares_of(grid.codes)
    assert np.array_equal(squares, colours_of(grid.codes))
    assert side == 512 // 5


def test_layers_stand_side_by_side_with_a_white_line_between():
    grid = grid_of((3, 5, 2))
    squares, _ = squares_of(grid.codes)
    assert squares.shape == (3, 11, 3)
    assert np.array_equal(squares[:, :5], colours_of(grid.codes[:, :, 0]))
    assert np.all(squares[:, 5] == 255)
    assert np.array_equal(squares[:, 6:], colours_of(grid.codes[:, :, 1]))


@pytest.mark.parametrize("shape", [(1, 1), (512, 512), (513, 2), (2, 4000), (700, 700, 3), (1, 5000, 4)])
def test_a_picture_of_any_grid_has_a_bounded_size(shape):
    squares, side = squares_of(grid_of(shape).codes)
    assert max(squares.shape[:2]) * side <= 512 + 8  # the lines between layers are not thinned out
    assert side >= 1


def test_a_notebook_gets_a_crisp_png():
    grid = grid_of((4, 6))
    pixels = decode_image(grid._repr_png_())
    assert pixels.shape == (4 * 85, 6 * 85, 3)
    assert np.array_equal(pixels[::85, ::85], colours_of(grid.codes))
    assert np.array_equal(pixels[84::85, 84::85], colours_of(grid.codes))


def test_a_notebook_gets_html_that_says_what_the_grid_is():
    grid = grid_of((4, 6))
    page = grid._repr_html_()
    data = re.search(r'src="data:image/png;base64,([A-Za-z0-9+/=]+)"', page)[1]
    assert np.array_equal(Image.open(io.BytesIO(base64.b64decode(data))), colours_of(grid.codes))
    assert 'width="510" height="340"' in page
    assert "CodeGrid(photo-f8@abababababab, 6x4 codes of 4096, 48x32 pixels)" in page
    assert "24 different codes, 0.1875 bits per pixel" in page


def test_what_the_html_says_is_escaped(monkeypatch):
    monkeypatch.setattr(CodeGrid, "__repr__", lambda _: '<script>"&')
    page = grid_of((1, 1))._repr_html_()
    assert "<script>" not in page
    assert page.count("&lt;script&gt;&quot;&amp;") == 2


def test_codes_are_read_without_pillow():
    code = "import sys, vqvae.code_grid; print('PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
