"""What encoding and decoding cost, counted in operations rather than seconds: who adds a copy sees it here.

Shapes: N latents, K codebook size.
"""

import tracemalloc
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vqvae.model.blocks import Conv, ReLU, ResidualBlock, Shuffle, Unshuffle
from vqvae.quantizers import flatten, search
from vqvae.tokenizer import Tokenizer

OF_PIECE = {
    Conv: "convolution",
    ReLU: "relu",
    ResidualBlock: "add_",
    Shuffle: "pixel_shuffle",
    Unshuffle: "pixel_unshuffle",
}
COPIES = {"clone", "_to_copy", "copy_", "cat", "stack", "index", "gather"}
PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "convolution"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One of torch's operations, and the tensor that it gave."""

    name: str
    shape: torch.Size
    channels_last: bool


class Operations(TorchDispatchMode):
    """All that torch runs within, in order."""

    def __init__(self):
        super().__init__()
        self.ran = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.removeprefix("mkldnn_")
        for tensor in out if isinstance(out, tuple | list) else [out]:
            lies_so = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
            self.ran.append(Operation(name, tensor.shape, lies_so))
        return out

    def copies(self, num_numbers):
        """Names and shapes of those that move so many numbers or more."""
        return [
            (each.name, each.shape)
            for each in self.ran
            if each.name in COPIES and each.shape.numel() >= num_numbers
        ]


@pytest.fixture(scope="module")
def tokenizer(weights):
    return Tokenizer.load(weights / "tiny")


@pytest.fixture(scope="module")
def rgb():
    return np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_network_runs_its_pieces_and_nothing_else_and_all_lies_channels_last(tokenizer, name):
    network = getattr(tokenizer, name)
    given = torch.zeros(1, 3, 64, 96) if name == "encoder" else torch.zeros(1, 4, 8, 12)
    given = given.contiguous(memory_format=torch.channels_last)
    with Operations() as operations:
        network(given)
    pieces = Counter(
        OF_PIECE[type(piece)] + "_" * getattr(piece, "inplace", False)
        for piece in network.modules()
        if type(piece) in OF_PIECE
    )
    assert pieces["relu_"] >= pieces["add_"] > 0  # one in every block
    assert Counter(each.name for each in operations.ran) == pieces
    assert all(each.channels_last for each in operations.ran)


def test_pixels_are_copied_once_on_their_way_in_and_once_on_their_way_out(tokenizer, rgb):
    with Operations() as operations:
        grid = tokenizer.encode_rgb8(rgb)
    num_latents = grid.codes.size * tokenizer.quantizer.config.codebook_dim
    assert operations.copies(num_latents) == [("_to_copy", (1, 3, 64, 96))]  # to float32
    with Operations() as operations:
        tokenizer.decode_rgb8(grid)
    assert operations.copies(num_latents) == [("_to_copy", (1, 64, 96, 3))]  # to uint8


def test_the_planes_of_a_tall_image_are_never_whole_at_full_size(tokenizer):
    z_q = tokenizer.lookup(torch.zeros(1, 40, 8, dtype=torch.int64))
    with Operations() as operations:
        x_hat = tokenizer.decode_latents(z_q)
    assert x_hat.shape == (1, 3, 320, 64)
    full_size = [each.shape for each in operations.ran if each.shape[-2:] == (320, 64)]
    assert full_size == [x_hat.shape]  # it alone, empty at first
    written = [each.shape for each in operations.ran if each.name == "copy_"]
    assert sum(shape.numel() for shape in written) == x_hat.numel()


def test_an_image_is_not_copied_to_be_worked_in_tiles(weights):
    tokenizer = Tokenizer.load(weights / "tiny", tile_size=64)
    rgb = np.zeros((1501, 1003, 3), np.uint8)
    tracemalloc.start()
    job = tokenizer.encoding(rgb)
    job.run(0)
    job.run(job.num_tiles - 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rgb.nbytes / 4


def test_latents_in_the_networks_layout_are_rows_without_a_copy(tokenizer, rgb):
    images = torch.from_numpy(rgb)[None].permute(0, 3, 1, 2).float()
    z_e = tokenizer.encoder(images)
    assert flatten(z_e).data_ptr() == z_e.data_ptr()


@pytest.mark.parametrize("num_chunks", [1, 4])
def test_search_is_one_matrix_product_a_chunk_and_makes_nothing_else_of_its_size(monkeypatch, num_chunks):
    generator = torch.Generator().manual_seed(0)
    latents, codebook = (torch.randn(n, 8, generator=generator) for n in (400, 300))
    monkeypatch.setattr(search, "SCORES_AT_ONCE", 400 * 300 // num_chunks)
    with Operations() as operations:
        search.nearest_codes(latents, codebook)
    scores = (400 // num_chunks, 300)
    assert Counter(each.name for each in operations.ran if each.name in PRODUCTS) == {"addmm": num_chunks}
    large = [each for each in operations.ran if each.shape.numel() >= scores[0] * scores[1]]
    assert [(each.name, each.shape) for each in large] == [
        ("addmm", scores),
        ("scatter_", scores),
    ] * num_chunks
