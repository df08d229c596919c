"""A model as ONNX files, for runtimes without torch: a graph from images to codes, and one back.

The search for the nearest code vector is inside the encoder's graph: one matrix product in float32 with the
bias folded in, of whose scores the largest wins, and of equal ones the first. Unlike `nearest_codes` it does
not settle near ties in float64: where the two nearest code vectors are equally near but for rounding, the
code may be the other one's.

Shapes: B batch, H W image height and width, f downsample factor, h = H/f, w = W/f, D code dim.
"""

import logging
import warnings
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from onnx import ModelProto, TensorProto, ValueInfoProto, helper
from torch import Tensor, nn
from torch.export import Dim

from vqvae.quantizers import flatten
from vqvae.tokenizer import Tokenizer

OPSET = 18  # of ONNX, from 2022: what torch writes without a conversion
TRACED = (2, 3, 5)  # B, h and w of the example: all different and none of them 1, so that none gets fixed


class _Encoding(nn.Module):
    """images (B, 3, H, W) float32 in [-1, 1] -> codes (B, h, w) int64."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        codebook = tokenizer.quantizer.codebook
        self.encoder = tokenizer.encoder
        self.bias = nn.Buffer(codebook.square().sum(1) / -2)
        self.transposed = nn.Buffer(codebook.t().contiguous())

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, h, w)."""
        z_e: Tensor = self.encoder(images)
        scores = torch.addmm(self.bias, flatten(z_e), self.transposed)
        return scores.argmax(1).view(z_e.shape[0], *z_e.shape[2:])


class _Decoding(nn.Module):
    """codes (B, h, w) int64 in [0, K) -> images (B, 3, H, W) float32 in [-1, 1]."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.codebook = nn.Buffer(tokenizer.quantizer.codebook)
        self.decoder = tokenizer.decoder

    def forward(self, codes: Tensor) -> Tensor:
        """(B, h, w) -> (B, 3, H, W)."""
        z_q = F.embedding(codes, self.codebook).permute(0, 3, 1, 2)
        x_hat: Tensor = self.decoder(z_q)
        return x_hat.clamp(-1, 1)


def encoder_to_onnx(tokenizer: Tokenizer) -> bytes:
    """A file with a graph from `images` (B, 3, H, W) float32 in [-1, 1] to `codes` (B, h, w) int64."""
    f, (batch, h, w) = tokenizer.space.downsample_factor, TRACED
    traced = _traced(
        _Encoding(tokenizer),
        torch.zeros(batch, 3, f * h, f * w),
        {0: Dim("B"), 2: f * Dim("h"), 3: f * Dim("w")},
    )
    return _file(traced, _images(f), _codes(), _facts(tokenizer))


def decoder_to_onnx(tokenizer: Tokenizer) -> bytes:
    """A file with a graph from `codes` (B, h, w) int64 in [0, K) to `images` (B, 3, H, W) in [-1, 1]."""
    traced = _traced(
        _Decoding(tokenizer),
        torch.zeros(TRACED, dtype=torch.int64),
        {0: Dim("B"), 1: Dim("h"), 2: Dim("w")},
    )
    name = tokenizer.decoder_name
    facts = {"decoder": name, "decoder_digest": tokenizer.card.decoders[name].digest}
    return _file(traced, _codes(), _images(tokenizer.space.downsample_factor), _facts(tokenizer) | facts)


def _traced(module: nn.Module, given: Tensor, dimensions: Mapping[int, Dim]) -> ModelProto:
    """What torch makes of a module; its only input may have any size in these dimensions."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells what it skips
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of torch's own use of torch
        program = torch.onnx.export(
            module.eval(),
            (given,),
            opset_version=OPSET,
            dynamic_shapes=(dict(dimensions),),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _file(
    traced: ModelProto, given: ValueInfoProto, result: ValueInfoProto, facts: Mapping[str, str]
) -> bytes:
    """The graph under our names and without what torch notes beside it, paths of this machine among that."""
    graph = traced.graph
    names = {graph.input[0].name: given.name, graph.output[0].name: result.name}
    for node in graph.node:
        node.ClearField("metadata_props")
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    model = helper.make_model(
        helper.make_graph(graph.node, result.name, [given], [result], graph.initializer),
        opset_imports=traced.opset_import,
        ir_version=traced.ir_version,
    )
    helper.set_model_props(model, dict(facts))
    file: bytes = model.SerializeToString()
    return file


def _images(f: int) -> ValueInfoProto:
    shape = ("B", 3, f"{f}*h", f"{f}*w")
    return helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)


def _codes() -> ValueInfoProto:
    return helper.make_tensor_value_info("codes", TensorProto.INT64, ("B", "h", "w"))


def _facts(tokenizer: Tokenizer) -> dict[str, str]:
    """What a CodeGrid of these codes says of them, and which pixels they are of."""
    space = tokenizer.space
    return {
        "model": space.model,
        "fingerprint": space.fingerprint,
        "codebook_size": str(space.codebook_size),
        "downsample_factor": str(space.downsample_factor),
        "pixels_version": str(tokenizer.card.pixels_version),
    }
