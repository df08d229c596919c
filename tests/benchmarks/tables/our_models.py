"""The shipped models as contenders: float tensors to codes and back, by the library and by ONNX Runtime."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from contenders import Work
from siege import photograph
from torch import Tensor

from tables.onnx_runtime import in_onnx_runtime
from vqvae.onnx import decoder_to_onnx, encoder_to_onnx
from vqvae.tokenizer import Tokenizer


def ours(names: tuple[str, ...], side: int) -> Mapping[str, Work]:
    """Both directions of the shipped models, on a drawn photograph, as the library does them."""
    works: dict[str, Work] = {}
    images = drawn(side)
    for name in names:
        tokenizer = Tokenizer.load(name)
        codes = tokenizer.encode(images)
        works[f"{name} encode"] = _encoding(tokenizer, images)
        works[f"{name} decode"] = _decoding(tokenizer, codes)
    return works


def ours_in_onnx_runtime(
    files: Mapping[str, Mapping[str, bytes]], side: int, threads: int
) -> Mapping[str, Work]:
    """The same by what `vqvae export-onnx` makes of them, `exported(name)` by name."""
    works: dict[str, Work] = {}
    images = np.ascontiguousarray(drawn(side).numpy())
    for name, of_model in files.items():
        encode = in_onnx_runtime(of_model["encode"], images, threads)
        works[f"{name} encode"] = encode
        works[f"{name} decode"] = in_onnx_runtime(of_model["decode"], encode()[0], threads)
    return works


@cache
def exported(name: str) -> Mapping[str, bytes]:
    """A shipped model's ONNX files, of any size of image, by direction."""
    tokenizer = Tokenizer.load(name)
    return {"encode": encoder_to_onnx(tokenizer), "decode": decoder_to_onnx(tokenizer)}


def drawn(side: int) -> Tensor:
    """A drawn photograph (1, 3, side, side) float32 in [-1, 1], channels last."""
    rgb = photograph(np.random.default_rng(0), side, side)
    return torch.from_numpy(rgb.copy())[None].permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def _encoding(tokenizer: Tokenizer, images: Tensor) -> Work:
    return torch.inference_mode()(lambda: tokenizer.encode(images))


def _decoding(tokenizer: Tokenizer, codes: Tensor) -> Work:
    return torch.inference_mode()(lambda: tokenizer.decode(codes))
