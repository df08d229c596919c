"""How much of what the machine can do our models get: their arithmetic over that of the best convolution.

The limit is measured: every convolution that a network consists of is run alone, on its own shapes, in each
way that is known, and the fastest one of all sets it. So no datasheet is believed, and a network that had
nothing but that convolution would get all of it.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial

import torch
import torch.nn.functional as F
from contenders import Contender, Work
from figures import Goal, Row, Spread, Table
from machine import machine
from paired import paired
from torch import Tensor, nn

from tables.onnx_runtime import in_onnx_runtime
from tables.our_models import ours
from vqvae.checkpoint import ModelCard, load_card
from vqvae.model import Decoder, Encoder
from vqvae.model.blocks import Conv

logger = logging.getLogger("benchmarks")

GOAL = Goal("at least", 75)  # per cent
MODELS = ("photo-f8", "photo-f16")
WAYS = ("channels last", "channels first", "blocked", "ONNX Runtime")
CLOSE = 1.3  # a way that takes so many times as long as the best, at a first look, sets no limit


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured."""

    sides: tuple[int, ...]
    threads: tuple[int, ...]
    round_s: float
    convolution_s: float


FULL = Sizes(sides=(256, 1024), threads=(1, 2), round_s=0.5, convolution_s=0.1)
QUICK = Sizes(sides=(64,), threads=(1,), round_s=0.02, convolution_s=0.005)


@dataclass(frozen=True, slots=True)
class Shape:
    """A convolution that keeps the size, on one image."""

    in_channels: int
    out_channels: int
    kernel_size: int
    height: int
    width: int

    @property
    def gflop(self) -> float:
        """10^9 operations, two for a multiply-add."""
        weights = self.in_channels * self.out_channels * self.kernel_size**2
        return 2 * weights * self.height * self.width / 1e9

    def __str__(self) -> str:
        kernel = f"{self.kernel_size}x{self.kernel_size}"
        return f"{kernel}, {self.in_channels} to {self.out_channels} channels at {self.height}x{self.width}"


def limit(num_rounds: int, *, quick: bool) -> Table:
    """Achieved GFLOP/s over the best measured convolution of the same shapes."""
    sizes = QUICK if quick else FULL
    rows = []
    for side in sizes.sides:
        for threads in sizes.threads:
            logger.info("%d pixels a side, %d threads", side, threads)
            rows += _rows(side, threads, sizes, num_rounds)
    notes = (
        "GFLOP are 10^9 operations of the convolutions, two for every multiply-add; the time is that of the "
        "whole encoding or decoding of one image, search and rectifiers included. Each convolution of the "
        "network is measured alone on its shapes, by PyTorch with channels last, with channels first and in "
        f"oneDNN's own blocked layout, and by ONNX Runtime; a way that takes over {CLOSE:g} times as long as "
        "the best at a first look has no part in the rounds. The limit is the rate of the best of them all; "
        "in the column before the last every convolution counts with its own best.",
        machine("onnxruntime"),
    )
    heads = ("GFLOP/s", "limit, GFLOP/s", "of its convolutions' own best, %", "of the limit, %")
    return Table("limit", ("model", "what", "pixels", "threads", "limit set by"), heads, tuple(rows), notes)


def shapes_of(network: nn.Module, inputs: Tensor) -> list[Shape]:
    """The convolutions that a pass over the inputs runs, on any device."""
    shapes: list[Shape] = []

    def note(conv: Conv, _: object, outputs: Tensor) -> None:
        shapes.append(Shape(conv.in_channels, conv.out_channels, conv.kernel_size[0], *outputs.shape[2:]))

    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, Conv)]
    with torch.no_grad():
        network(inputs)
    for hook in hooks:
        hook.remove()
    return shapes


def convolutions(shapes: Sequence[Shape], threads: int) -> Mapping[str, Work]:
    """Every shape in every way, as works named by `_way`."""
    return {
        _way(shape, way): make(shape)
        for shape in shapes
        for way, make in zip(
            WAYS,
            (
                partial(_in_torch, memory_format=torch.channels_last),
                partial(_in_torch, memory_format=torch.contiguous_format),
                _blocked,
                partial(_in_onnx_runtime, threads=threads),
            ),
            strict=True,
        )
    }


def _rows(side: int, threads: int, sizes: Sizes, num_rounds: int) -> list[Row]:
    shapes = {
        (card.name, what): shapes_of(*network)
        for card in map(load_card, MODELS)
        for what, network in _networks(card, side).items()
    }
    distinct = list(dict.fromkeys(shape for of_network in shapes.values() for shape in of_network))
    with (
        Contender(ours, MODELS, side, threads=threads) as networks,
        Contender(convolutions, distinct, threads, threads=threads) as alone,
    ):
        ways = {shape: _fast_ways(alone, shape) for shape in distinct}
        names = [name for shape in distinct for name in ways[shape]]
        timers = {name: alone.timer(name, sizes.convolution_s) for name in names}
        timers |= {
            f"{model} {what}": networks.timer(f"{model} {what}", sizes.round_s) for model, what in shapes
        }
        seconds = {name: Spread.of(values) for name, values in paired(timers, num_rounds).items()}
    best = {shape: min(ways[shape], key=lambda way: seconds[way].median) for shape in distinct}

    def rate(shape: Shape) -> Spread:
        return seconds[best[shape]].map(lambda second: shape.gflop / second)

    def row(model: str, what: str) -> Row:
        of_network = shapes[model, what]
        gflop = sum(shape.gflop for shape in of_network)
        achieved = seconds[f"{model} {what}"].map(lambda second: gflop / second)
        fastest = max(of_network, key=lambda shape: rate(shape).median)
        own_best_s = [
            sum(of_round)
            for of_round in zip(*(seconds[best[shape]].rounds for shape in of_network), strict=True)
        ]
        own_share = Spread.of(own_best_s).over(seconds[f"{model} {what}"]).times(100)
        share = achieved.over(rate(fastest)).times(100)
        labels = (model, what, f"{side}²", str(threads), best[fastest])
        return Row(labels, (achieved, rate(fastest), own_share, share), GOAL)

    return [row(model, what) for model, what in shapes]


def _networks(card: ModelCard, side: int) -> dict[str, tuple[nn.Module, Tensor]]:
    """Encoder and decoder with an input each; nothing is computed."""
    dim, cells = card.quantizer.codebook_dim, side // card.space.downsample_factor
    with torch.device("meta"):
        return {
            "encode": (Encoder(card.encoder, dim), torch.empty(1, 3, side, side)),
            "decode": (Decoder(card.config().decoder, dim), torch.empty(1, dim, cells, cells)),
        }


def _way(shape: Shape, way: str) -> str:
    return f"{shape}, {way}"


def _fast_ways(alone: Contender, shape: Shape) -> list[str]:
    """Those that may be the best."""
    names = [_way(shape, way) for way in WAYS]
    for name in names:
        alone.warm(name)
    seconds = {name: alone.warm(name) for name in names}
    return [name for name in names if seconds[name] <= CLOSE * min(seconds.values())]


def _operands(shape: Shape) -> tuple[Tensor, Tensor, Tensor]:
    """Images, weights and bias."""
    in_channels, out_channels, k, height, width = astuple(shape)
    return (
        torch.randn(1, in_channels, height, width),
        torch.randn(out_channels, in_channels, k, k),
        torch.randn(out_channels),
    )


def _in_torch(shape: Shape, memory_format: torch.memory_format) -> Work:
    images, weight, bias = _operands(shape)
    images = images.contiguous(memory_format=memory_format)
    weight = weight.contiguous(memory_format=memory_format)
    return torch.inference_mode()(lambda: F.conv2d(images, weight, bias, padding=shape.kernel_size // 2))


def _blocked(shape: Shape) -> Work:
    from torch.utils import mkldnn  # noqa: PLC0415 - it warns of torch's own deprecations

    images, weight, bias = _operands(shape)
    dense = nn.Conv2d(
        shape.in_channels, shape.out_channels, shape.kernel_size, padding=shape.kernel_size // 2
    )
    with torch.no_grad():
        dense.weight.copy_(weight)
        dense.bias.copy_(bias)
        conv, given = mkldnn.to_mkldnn(dense.eval()), images.to_mkldnn()
    return torch.no_grad()(lambda: conv(given))


def _in_onnx_runtime(shape: Shape, threads: int) -> Work:
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - the parent needs none of it

    images, weight, bias = _operands(shape)
    reach = shape.kernel_size // 2
    node = helper.make_node("Conv", ["images", "weight", "bias"], ["out"], pads=[reach] * 4)
    graph = helper.make_graph(
        [node],
        "convolution",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, images.shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight.numpy(), "weight"), numpy_helper.from_array(bias.numpy(), "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return in_onnx_runtime(model.SerializeToString(), images.numpy(), threads)
