"""A model tried on a drawn picture: how long it takes, what comes back, whether its codes hold still."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch

from vqvae.code_grid import CodeGrid
from vqvae.metrics import psnr
from vqvae.pixels import RGB8
from vqvae.tokenizer import Tokenizer

SIDE, LARGE_SIDE, TILE_SIZE = 256, 512, 256  # pixels; halos leave room for several tiles in the large picture
REPEATS = 5
NEAR_TIES = 0.001  # share of the codes that rounding may decide otherwise with another number of threads


@dataclass(frozen=True, slots=True)
class DecoderTest:
    """One decoder, on the codes of 256x256 pixels."""

    decode_ms: float
    psnr: float | None  # dB, of what came back; None where it equals the picture


@dataclass(frozen=True, slots=True)
class CodesTest:
    """Codes made twice, in two ways of working that should not matter."""

    ways: int  # tiles, or threads
    codes: int
    differ: int


@dataclass(frozen=True, slots=True)
class ModelTest:
    """A model whose tensors have the digests of its card, and how it did."""

    fingerprint: str
    stored_bytes: int
    encode_ms: float  # 256x256 pixels, the median of a few
    decoders: dict[str, DecoderTest]
    flat_psnr: float | None  # dB, of the picture's mean colour
    tiles: CodesTest  # of 512x512 pixels, beside the whole
    threads: CodesTest  # of 256x256 pixels, beside one thread

    def faults(self) -> list[str]:
        """What must not be, in a line each."""
        faults = [
            f"decoder {name} gives back less than one flat colour would: {decoder.psnr:.1f} dB"
            for name, decoder in self.decoders.items()
            if decoder.psnr is not None and self.flat_psnr is not None and decoder.psnr < self.flat_psnr
        ]
        if self.tiles.differ:
            faults.append(f"{self.tiles.differ} of {self.tiles.codes} codes are others in tiles")
        if self.threads.differ > NEAR_TIES * self.threads.codes:
            faults.append(f"{self.threads.differ} of {self.threads.codes} codes are others with more threads")
        return faults


def try_model(folder: Path) -> ModelTest:
    """Load and verify a model, and try it; ModelError where it is damaged."""
    tokenizers = Tokenizer.load_decoders(folder, tile_size=LARGE_SIDE)
    first, picture = tokenizers[0], drawn_picture(SIDE)
    grid = first.encode_rgb8(picture)
    flat = np.broadcast_to(picture.mean((0, 1)).round().astype(np.uint8), picture.shape)
    return ModelTest(
        fingerprint=first.space.fingerprint,
        stored_bytes=sum(file.stat().st_size for file in folder.glob("*.safetensors")),
        encode_ms=_median_ms(lambda: first.encode_rgb8(picture)),
        decoders={tokenizer.decoder_name: _try_decoder(tokenizer, grid, picture) for tokenizer in tokenizers},
        flat_psnr=psnr(picture, flat),
        tiles=_try_tiles(first, Tokenizer.load(folder, parts="encoder", tile_size=TILE_SIZE)),
        threads=_try_threads(first, picture),
    )


def drawn_picture(side: int) -> RGB8:
    """Colours that flow, a disc, stripes and noise, by integers, the same everywhere: (side, side, 3)."""
    y, x = np.mgrid[:side, :side]
    waves = [abs((a * x + b * y) * 256 // side % 512 - 256) for a, b in ((1, 1), (2, -1), (-1, 3))]
    rgb = 32 + 3 * np.stack(waves, axis=-1) // 4
    disc = (2 * x - side) ** 2 + (2 * y - side) ** 2 < (4 * side // 5) ** 2
    rgb[disc] = 255 - rgb[disc][:, ::-1]
    stripes = (32 * x // side % 2 == 1) & (abs(4 * y - side) < side // 4)
    rgb[stripes] //= 3
    noise = np.random.default_rng(0).integers(-12, 13, (side, side, 1))
    return (rgb + noise).clip(0, 255).astype(np.uint8)


def _try_decoder(tokenizer: Tokenizer, grid: CodeGrid, picture: RGB8) -> DecoderTest:
    x_hat = tokenizer.decode_rgb8(grid)
    return DecoderTest(_median_ms(lambda: tokenizer.decode_rgb8(grid)), psnr(picture, x_hat))


def _try_tiles(whole: Tokenizer, in_tiles: Tokenizer) -> CodesTest:
    picture = drawn_picture(LARGE_SIDE)
    num_tiles = in_tiles.encoding(picture).num_tiles
    return _compare(num_tiles, whole.encode_rgb8(picture), in_tiles.encode_rgb8(picture))


def _try_threads(tokenizer: Tokenizer, picture: RGB8) -> CodesTest:
    before = torch.get_num_threads()
    several = max(2, before)
    grids = []
    try:
        for num_threads in 1, several:
            torch.set_num_threads(num_threads)
            grids.append(tokenizer.encode_rgb8(picture))
    finally:
        torch.set_num_threads(before)
    return _compare(several, *grids)


def _compare(ways: int, a: CodeGrid, b: CodeGrid) -> CodesTest:
    return CodesTest(ways, a.codes.size, int((a.codes != b.codes).sum()))


def _median_ms(work: Callable[[], object]) -> float:
    """How long it takes; it has been done before."""
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        work()
        times.append(1000 * (perf_counter() - start))
    return median(times)
