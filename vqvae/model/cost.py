"""What a network costs and how far it sees, from its configuration alone: no tensor is computed.

GFLOP are 10^9 floating-point operations for one image of 256x256 pixels: two for every multiply-add of the
convolutions. What else there is (rectifiers, norms, the search for the nearest code vector) comes to about a
hundredth of them and is left out.
Shapes: f downsample factor, D code dim.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vqvae.model.blocks import Span
from vqvae.model.decoder import Decoder, DecoderConfig
from vqvae.model.encoder import Encoder, EncoderConfig

SIDE = 256


@dataclass(frozen=True, slots=True)
class Cost:
    """What an encoder or a decoder costs and how far it sees."""

    parameters: int
    gflop: float  # for 256x256 pixels, padded to a multiple of f
    receptive_field: int  # along a side: pixels that a code depends on, or codes that a pixel does at most


def cost_of_encoder(config: EncoderConfig, codebook_dim: int) -> Cost:
    """What an encoder to latents of D numbers costs."""
    with torch.device("meta"):
        encoder = Encoder(config, codebook_dim)
        side = _num_cells(config.downsample_factor) * config.downsample_factor
        images = torch.empty(1, 3, side, side)
    field = encoder.reads(Span(0, 1))
    return Cost(_parameters(encoder), _gflop(encoder, images), field.stop - field.start)


def cost_of_decoder(config: DecoderConfig, codebook_dim: int) -> Cost:
    """What a decoder of code vectors of D numbers costs."""
    with torch.device("meta"):
        decoder = Decoder(config, codebook_dim)
        side = _num_cells(config.downsample_factor)
        z_q = torch.empty(1, codebook_dim, side, side)
    fields = [decoder.reads(Span(i, i + 1)) for i in range(config.downsample_factor)]
    return Cost(_parameters(decoder), _gflop(decoder, z_q), max(field.stop - field.start for field in fields))


def _num_cells(f: int) -> int:
    """Cells along 256 pixels."""
    return -(-SIDE // f)


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def _gflop(network: nn.Module, inputs: Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        network(inputs)
    flops: int = counter.get_total_flops()
    return flops / 1e9
