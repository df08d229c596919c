"""The peers of the models: diffusers' VQModel as LlamaGen's VQ-16 and as LDM's VQ-f8, with random weights.

Both have two residual blocks a level, group normalisation, and attention at the lowest resolution and
between. LlamaGen (https://arxiv.org/abs/2406.06525), tokenizer/tokenizer_image/vq_model.py; LDM
(https://arxiv.org/abs/2112.10752), models/first_stage_models/vq-f8/config.yaml.

Encoding is images to codes, decoding codes to images. The search is a matrix product and an argmax, which
leaves out the square roots of diffusers' own.
Shapes: B batch, H W image height and width, f downsample factor, h = H/f, w = W/f, K codebook size.
"""

import gc
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from contenders import Work
from diffusers import VQModel
from torch import Tensor, nn

from tables.onnx_runtime import in_onnx_runtime


@dataclass(frozen=True, slots=True)
class Peer:
    """A published configuration."""

    name: str
    source: str
    multipliers: tuple[int, ...]  # of the width, finest level first
    latent_channels: int
    codebook_dim: int
    width: int = 128
    codebook_size: int = 16384

    @property
    def downsample_factor(self) -> int:
        """f."""
        return 1 << (len(self.multipliers) - 1)

    def build(self) -> VQModel:
        """The network, for evaluation."""
        num_finer = len(self.multipliers) - 1
        model: VQModel = VQModel(
            down_block_types=("DownEncoderBlock2D",) * num_finer + ("AttnDownEncoderBlock2D",),
            up_block_types=("AttnUpDecoderBlock2D",) + ("UpDecoderBlock2D",) * num_finer,
            block_out_channels=tuple(self.width * multiplier for multiplier in self.multipliers),
            layers_per_block=2,
            latent_channels=self.latent_channels,
            num_vq_embeddings=self.codebook_size,
            vq_embed_dim=self.codebook_dim,
        )
        return model.eval().requires_grad_(False)

    @property
    def num_parameters(self) -> int:
        """Of the whole, codebook and all."""
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in self.build().parameters())


VQ_16 = Peer("VQ-16", "LlamaGen's VQ-16", (1, 1, 2, 2, 4), latent_channels=256, codebook_dim=8)  # 72 M
VQ_F8 = Peer("VQ-f8", "LDM's VQ-f8", (1, 2, 2, 4), latent_channels=4, codebook_dim=4)


class Encoding(nn.Module):
    """images (B, 3, H, W) -> codes (B, h, w)."""

    def __init__(self, model: VQModel) -> None:
        super().__init__()
        self.encoder, self.last = model.encoder, model.quant_conv
        codebook = model.quantize.embedding.weight.detach()
        self.register_buffer("bias", codebook.square().sum(1) / -2)
        self.register_buffer("transposed", codebook.t().contiguous())

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, h, w)."""
        latents = self.last(self.encoder(images))
        rows = latents.permute(0, 2, 3, 1).flatten(0, 2)
        codes = torch.addmm(self.bias, rows, self.transposed).argmax(1)
        return codes.view(latents.shape[0], *latents.shape[2:])


class Decoding(nn.Module):
    """codes (B, h, w) -> images (B, 3, H, W)."""

    def __init__(self, model: VQModel) -> None:
        super().__init__()
        self.codebook, self.first, self.decoder = (
            model.quantize.embedding,
            model.post_quant_conv,
            model.decoder,
        )

    def forward(self, codes: Tensor) -> Tensor:
        """(B, h, w) -> (B, 3, H, W)."""
        images: Tensor = self.decoder(self.first(self.codebook(codes).permute(0, 3, 1, 2)))
        return images


def directions(peer: Peer, side: int) -> dict[str, tuple[nn.Module, Tensor]]:
    """Both directions, each with something to work on: images with equal sides, and codes."""
    torch.manual_seed(0)
    model = peer.build().to(memory_format=torch.channels_last)
    images = torch.rand(1, 3, side, side).mul_(2).sub_(1).contiguous(memory_format=torch.channels_last)
    cells = side // peer.downsample_factor
    codes = torch.randint(peer.codebook_size, (1, cells, cells))
    return {"encode": (Encoding(model).eval(), images), "decode": (Decoding(model).eval(), codes)}


def eager(peer: Peer, side: int) -> Mapping[str, Work]:
    """Works of PyTorch as it comes, channels last."""
    return {what: _in_torch(module, given) for what, (module, given) in directions(peer, side).items()}


def onnx(peer: Peer, side: int, what: str, threads: int, folder: Path) -> Mapping[str, Work]:
    """The work of one direction in ONNX Runtime, on a graph of this very shape that a folder keeps."""
    path = folder / f"{peer.name}-{side}-{what}.onnx"
    module, given = directions(peer, side)[what]
    if not path.exists():
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells what it skips
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of torch's own use of torch
            torch.onnx.export(module, (given,), path, dynamo=True, external_data=False, verbose=False)
    del module
    gc.collect()  # so that the peer does not have its network twice
    return {what: in_onnx_runtime(path, given.contiguous().numpy(), threads)}


def _in_torch(module: nn.Module, given: Tensor) -> Work:
    @torch.inference_mode()
    def work() -> Tensor:
        result: Tensor = module(given)
        return result

    return work
