"""The facade: load a model, then images to codes and back.

Images are PIL images, RGB8 arrays, paths or the bytes of image files, one or a list; codes are CodeGrids.
For trainers, tensors: images (B, 3, H, W) float32 in [-1, 1] and codes (B, h, w) int64.

Shapes: B batch, H W image height and width, f downsample factor, h w grid height and width, D code dim,
K codebook size.
"""

import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from vqvae.checkpoint import FAITHFUL, LoadedModel, Parts, load_card, load_model
from vqvae.code_grid import CodeGrid
from vqvae.device import usable_device
from vqvae.errors import CodesError, ConfigError, FingerprintError, ImageError, ModelError
from vqvae.model import Decoder, Encoder, Span, closed_plane
from vqvae.pixels import (
    RGB8,
    ImageLike,
    check_rgb8,
    decode_image,
    pad_to_multiple,
    read_file,
    to_rgb8,
)
from vqvae.tiling import tiles

AnyImage = TypeVar("AnyImage", bound=ImageLike)
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

TILE_SIZE = 1536  # pixels: halos add a fifth to the work, memory stays under half a gigabyte
PLAUSIBLE = 1.5  # resampling overshoots [-1, 1] a little; pixels in [0, 255] do so a lot


class Tokenizer:
    """One model, ready to use; make it with `Tokenizer.load`."""

    def __init__(self, model: LoadedModel, *, decoder: str, tile_size: int = TILE_SIZE) -> None:
        if tile_size < 1:
            raise ConfigError(f"tile_size must be at least 1 pixel, got {tile_size}")
        self.card = model.card
        self.space = model.card.space
        self.decoder_name = decoder
        self.quantizer = model.quantizer
        self._encoder, self._decoder = model.encoder, model.decoder
        self.tile_cells = max(1, tile_size // self.space.downsample_factor)

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = "photo-f8",
        *,
        device: str | torch.device = "cpu",
        parts: Parts = "all",
        decoder: str = FAITHFUL,
        tile_size: int = TILE_SIZE,
    ) -> "Tokenizer":
        """Load a model by name or folder; ModelError where it is missing, damaged or lacks the decoder.

        ConfigError where the device cannot be used.

        Args:
            device: "cpu", "cuda", "cuda:1" and so on, or "auto": CUDA where there is one.
            parts: "encoder" or "decoder" leaves the other one on disk.
            decoder: which of the model's decoders.
            tile_size: pixels along a side of the tiles that large images are worked in.
        """
        model = load_model(name_or_path, parts=parts, decoder=decoder)
        return cls(model, decoder=decoder, tile_size=tile_size).to(usable_device(device))

    @classmethod
    def load_decoders(
        cls,
        name_or_path: str | Path = "photo-f8",
        *,
        device: str | torch.device = "cpu",
        tile_size: int = TILE_SIZE,
    ) -> list["Tokenizer"]:
        """One tokenizer for each of a model's decoders, faithful first; encoder and codebook are shared.

        The arguments and errors are those of `load`.
        """
        first, *others = sorted(load_card(name_or_path).decoders, key=lambda name: name != FAITHFUL)
        model = load_model(name_or_path, decoder=first)
        models = {first: model}
        for name in others:
            decoder = load_model(name_or_path, parts="decoder", decoder=name).decoder
            models[name] = replace(model, decoder=decoder)
        return [
            cls(each, decoder=name, tile_size=tile_size).to(usable_device(device))
            for name, each in models.items()
        ]

    def to(self, device: str | torch.device) -> "Tokenizer":
        """Move the model, in place; returns the tokenizer."""
        for module in (self._encoder, self.quantizer, self._decoder):
            if module is not None:
                module.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.quantizer.codebook.device

    def __repr__(self) -> str:
        space = self.space
        return (
            f"Tokenizer({space.short}, f={space.downsample_factor}, K={space.codebook_size}, {self.device})"
        )

    @overload
    def encode(self, images: Tensor) -> Tensor: ...
    @overload
    def encode(self, images: ImageLike) -> CodeGrid: ...
    @overload
    def encode(self, images: list[AnyImage] | tuple[AnyImage, ...]) -> list[CodeGrid]: ...
    def encode(
        self, images: Tensor | ImageLike | list[AnyImage] | tuple[AnyImage, ...]
    ) -> Tensor | CodeGrid | list[CodeGrid]:
        """An image to its CodeGrid, a list to a list, a tensor (B, 3, H, W) to codes (B, h, w).

        Images may be of any size; sides of a tensor are multiples of f.
        """
        if isinstance(images, Tensor):
            return self._encode_tensor(images)
        if isinstance(images, list | tuple):
            return [self.encode_rgb8(read_image(image)) for image in images]
        return self.encode_rgb8(read_image(images))

    @overload
    def decode(self, codes: Tensor) -> Tensor: ...
    @overload
    def decode(self, codes: CodeGrid) -> Image.Image: ...
    @overload
    def decode(self, codes: Sequence[CodeGrid]) -> list[Image.Image]: ...
    def decode(
        self, codes: Tensor | CodeGrid | Sequence[CodeGrid]
    ) -> Tensor | Image.Image | list[Image.Image]:
        """A CodeGrid to its image, a list to a list, codes (B, h, w) to images (B, 3, H, W) in [-1, 1].

        FingerprintError for a CodeGrid of another code space.
        """
        if isinstance(codes, Tensor):
            return self.decode_latents(self.lookup(codes)).clamp(-1, 1)
        if isinstance(codes, CodeGrid):
            return Image.fromarray(self.decode_rgb8(codes))
        return [Image.fromarray(self.decode_rgb8(grid)) for grid in codes]

    @overload
    def reconstruct(self, images: Tensor) -> Tensor: ...
    @overload
    def reconstruct(self, images: ImageLike) -> Image.Image: ...
    @overload
    def reconstruct(self, images: list[AnyImage] | tuple[AnyImage, ...]) -> list[Image.Image]: ...
    def reconstruct(
        self, images: Tensor | ImageLike | list[AnyImage] | tuple[AnyImage, ...]
    ) -> Tensor | Image.Image | list[Image.Image]:
        """Images to codes and back: decode(encode(images)), exactly."""
        return self.decode(self.encode(images))

    def encode_rgb8(self, rgb: RGB8) -> CodeGrid:
        """Pixels (H, W, 3) to their CodeGrid."""
        return _finished(self.encoding(rgb))

    def decode_rgb8(self, grid: CodeGrid) -> RGB8:
        """A CodeGrid to pixels (H, W, 3) of its true size."""
        return _finished(self.decoding(grid))

    def encoding(self, rgb: RGB8) -> "TiledJob[CodeGrid]":
        """The work of encoding pixels (H, W, 3), tile by tile."""
        return _Encoding(self, rgb)

    def decoding(self, grid: CodeGrid) -> "TiledJob[RGB8]":
        """The work of decoding a CodeGrid, tile by tile."""
        return _Decoding(self, grid)

    def code_vectors(self) -> npt.NDArray[np.float32]:
        """The codebook (K, D) float32, a copy."""
        return self.quantizer.codebook.detach().cpu().numpy().astype(np.float32)

    def code_patches(self) -> npt.NDArray[np.uint8]:
        """Each code decoded alone, as in the middle of a large grid of nothing else: (K, f, f, 3) RGB8."""
        return _finished(self.patching())

    def patching(self) -> "TiledJob[npt.NDArray[np.uint8]]":
        """The work of decoding each code alone, so many codes at a time as a tile has."""
        return _Patching(self)

    @property
    def decoder_halo(self) -> int:
        """Cells around a cell, on every side, on whose codes its pixels depend."""
        f = self.space.downsample_factor
        reads = self.decoder.reads(Span(0, f))
        return max(-reads.start, reads.stop - 1)

    def lookup(self, codes: Tensor) -> Tensor:
        """The code vectors of codes: (B, h, w) int64 -> z_q (B, D, h, w) float32."""
        if codes.dtype != torch.int64 or codes.ndim != 3:
            raise CodesError(
                f"codes must be int64 (B, h, w), got {codes.dtype} of shape {tuple(codes.shape)}"
            )
        if codes.numel():
            low, high = int(codes.min()), int(codes.max())
            if low < 0 or high >= self.space.codebook_size:
                rule = f"codes must lie in [0, {self.space.codebook_size})"
                raise CodesError(f"{rule}, got values from {low} to {high}")
        return self.quantizer.lookup(codes)

    def decode_latents(self, z_q: Tensor) -> Tensor:
        """z_q (B, D, h, w) -> images (B, 3, H, W), not clipped to [-1, 1]; gradients reach z_q."""
        images: Tensor = self.decoder(z_q)
        return images

    @property
    def encoder(self) -> Encoder:
        """images (B, 3, H, W) -> latents (B, D, h, w); ModelError where it was not loaded."""
        if self._encoder is None:
            raise ModelError(f"{self.space.short} was loaded without its encoder; load it with parts='all'")
        return self._encoder

    @property
    def decoder(self) -> Decoder:
        """z_q (B, D, h, w) -> images (B, 3, H, W); ModelError where it was not loaded."""
        if self._decoder is None:
            raise ModelError(f"{self.space.short} was loaded without its decoder; load it with parts='all'")
        return self._decoder

    @torch.no_grad()
    def _encode_tensor(self, images: Tensor) -> Tensor:
        f = self.space.downsample_factor
        if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] % f or images.shape[3] % f:
            raise ImageError(
                f"images must be (B, 3, H, W) with H and W multiples of {f}, got {tuple(images.shape)}; pad "
                "them, or give PIL images or RGB8 arrays, which may have any size"
            )
        if images.dtype != torch.float32:
            raise ImageError(f"images must be float32 in [-1, 1], got {images.dtype}")
        if not images.numel():
            return images.new_zeros(
                (len(images), images.shape[2] // f, images.shape[3] // f), dtype=torch.int64
            )
        low, high = float(images.min()), float(images.max())
        if not (low >= -PLAUSIBLE and high <= PLAUSIBLE):
            raise ImageError(f"images must lie in [-1, 1], got values from {low:g} to {high:g}")
        images = images.contiguous(memory_format=torch.channels_last)
        return self.quantizer.nearest_codes(self.encoder(images))


class TiledJob(Protocol[Result_co]):
    """Work in tiles: run each once, in any order and one at a time, then take the result."""

    @property
    def num_tiles(self) -> int:
        """At least one."""

    def run(self, i: int) -> None:
        """Compute tile i."""

    def result(self) -> Result_co:
        """What the tiles have made."""


class _Job(Generic[Result]):
    """The plan that encoding and decoding share."""

    def __init__(self, tokenizer: Tokenizer, grid: tuple[int, int], halo: int) -> None:
        self.tokenizer = tokenizer
        self.tiles = tiles(grid, tokenizer.tile_cells, halo)

    @property
    def num_tiles(self) -> int:
        return len(self.tiles)


class _Encoding(_Job[CodeGrid]):
    def __init__(self, tokenizer: Tokenizer, rgb: RGB8) -> None:
        space, f = tokenizer.space, tokenizer.space.downsample_factor
        self.height, self.width = check_rgb8(rgb).shape[:2]
        grid = space.grid_of(self.width, self.height)
        reads = tokenizer.encoder.reads(Span(0, 1))
        super().__init__(tokenizer, grid, -(-max(-reads.start, reads.stop - f) // f))
        self.rgb = rgb
        self.codes = np.empty(grid, space.dtype)

    @torch.no_grad()
    def run(self, i: int) -> None:
        tile, f = self.tiles[i], self.tokenizer.space.downsample_factor
        window = pad_to_multiple(self.rgb[_slices(tile.window, f)], f)  # a copy of the tile's own pixels
        images = torch.from_numpy(window).to(self.tokenizer.device)[None].permute(0, 3, 1, 2)
        z_e = self.tokenizer.encoder(images.float().div_(127.5).sub_(1))
        rows, columns = tile.core_in_window()
        codes = self.tokenizer.quantizer.nearest_codes(z_e[:, :, rows, columns])
        self.codes[_slices(tile.core)] = codes[0].cpu().numpy()

    def result(self) -> CodeGrid:
        return CodeGrid(self.codes, self.width, self.height, self.tokenizer.space)


class _Decoding(_Job[RGB8]):
    def __init__(self, tokenizer: Tokenizer, grid: CodeGrid) -> None:
        space, f = tokenizer.space, tokenizer.space.downsample_factor
        if grid.space.fingerprint != space.fingerprint:
            raise FingerprintError(expected=space.short, actual=grid.space.short)
        claimed = (grid.space.codebook_size, grid.space.downsample_factor)
        if claimed != (space.codebook_size, f):
            raise CodesError(
                f"codes of {space.short} have K = {space.codebook_size} and f = {f}, "
                f"got K = {claimed[0]} and f = {claimed[1]}"
            )
        if grid.depth != 1:
            raise CodesError(f"codes of {space.short} have depth 1, got depth {grid.depth}")
        super().__init__(tokenizer, grid.grid, tokenizer.decoder_halo)
        self.codes = grid.codes
        self.pixels = np.empty((grid.height, grid.width, 3), np.uint8)

    @torch.no_grad()
    def run(self, i: int) -> None:
        tile, f = self.tiles[i], self.tokenizer.space.downsample_factor
        window = self.codes[_slices(tile.window)].astype(np.int64)
        codes = torch.from_numpy(window).to(self.tokenizer.device)[None]
        x_hat = self.tokenizer.decoder(self.tokenizer.quantizer.lookup(codes))
        rows, columns = tile.core_in_window(f)
        core = _to_rgb8(x_hat[:, :, rows, columns])[0]
        target = self.pixels[_slices(tile.core, f)]  # the border's last cells jut out of the true size
        target[:] = core[: target.shape[0], : target.shape[1]]

    def result(self) -> RGB8:
        return self.pixels


class _Patching:
    """Each code as an endless grid of nothing else, which on a plane that closes on itself is one cell."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.decoder = deepcopy(tokenizer.decoder)  # whose plane can be closed while others decode
        f, codebook_size = tokenizer.space.downsample_factor, tokenizer.space.codebook_size
        self.codes_per_tile = tokenizer.tile_cells**2
        self.patches = np.empty((codebook_size, f, f, 3), np.uint8)

    @property
    def num_tiles(self) -> int:
        return -(-len(self.patches) // self.codes_per_tile)

    @torch.no_grad()
    def run(self, i: int) -> None:
        codes = torch.arange(len(self.patches), device=self.tokenizer.device)
        codes = codes[i * self.codes_per_tile :][: self.codes_per_tile]
        with closed_plane(self.decoder):
            x_hat = self.decoder(self.tokenizer.quantizer.lookup(codes[:, None, None]))
        self.patches[codes[0] : codes[-1] + 1] = _to_rgb8(x_hat)

    def result(self) -> npt.NDArray[np.uint8]:
        return self.patches


def read_image(image: ImageLike) -> RGB8:
    """A PIL image, RGB8 array, path or file's bytes as RGB8; ImageError where it is none."""
    if isinstance(image, Image.Image):
        return to_rgb8(image)
    if isinstance(image, np.ndarray):
        return check_rgb8(image)
    if isinstance(image, bytes):
        return decode_image(image)
    if isinstance(image, str | os.PathLike):
        return decode_image(read_file(image))
    raise ImageError(f"an image is a PIL image, an RGB8 array, a path or bytes, got {type(image).__name__}")


def _finished(job: TiledJob[Result]) -> Result:
    for i in range(job.num_tiles):
        job.run(i)
    return job.result()


def _to_rgb8(images: Tensor) -> npt.NDArray[np.uint8]:
    """images (B, 3, H, W), about [-1, 1] -> (B, H, W, 3) RGB8."""
    rgb = images.permute(0, 2, 3, 1).add(1).mul_(127.5).round_().clamp_(0, 255)
    return rgb.to("cpu", torch.uint8).numpy()


def _slices(spans: tuple[Span, Span], scale: int = 1) -> tuple[slice, slice]:
    rows, columns = (slice(span.start * scale, span.stop * scale) for span in spans)
    return rows, columns
