import numpy as np
import pytest
from PIL import Image

from vqvae.bulk.framing import centre_square


def test_the_middle_of_the_right_size_is_taken_as_it_is(picture):
    rgb = picture(40, 24, seed=0)
    assert np.array_equal(centre_square(rgb, 24), rgb[:, 8:32])
    assert np.array_equal(centre_square(rgb.transpose(1, 0, 2), 24), rgb.transpose(1, 0, 2)[8:32])
    odd = picture(41, 24, seed=0)
    assert np.array_equal(centre_square(odd, 24), odd[:, 8:32])


@pytest.mark.parametrize(("width", "height"), [(96, 64), (64, 160), (300, 256)])
def test_it_is_the_shortest_side_resized_and_the_centre_cropped(picture, width, height):
    rgb, size = picture(width, height, seed=1), 32
    scale = size / min(width, height)
    whole = Image.fromarray(rgb).resize(
        (round(width * scale), round(height * scale)), Image.Resampling.BICUBIC
    )
    left, top = (whole.width - size) // 2, (whole.height - size) // 2
    expected = np.asarray(whole)[top : top + size, left : left + size]
    found = centre_square(rgb, size).astype(int)
    assert found.shape == (32, 32, 3)
    assert np.abs(found - expected).mean() < 6  # half a pixel of the whole may lie between the two


def test_what_shrinks_is_averaged_and_not_sampled():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    middle = centre_square(stripes, 8)[2:-2, 2:-2].astype(int)
    assert np.abs(middle - 128).max() <= 2


def test_a_small_image_is_enlarged():
    assert centre_square(np.full((1, 3, 3), 7, np.uint8), 16).tolist() == np.full((16, 16, 3), 7).tolist()


def test_a_strip_needs_no_memory_for_the_whole_of_it():
    strip = np.zeros((1, 60_000, 3), np.uint8)  # whose shortest side at 256 would be 11 GB
    assert centre_square(strip, 256).shape == (256, 256, 3)
