"""How good a tokenizer is on a set of images: fidelity image by image, use of the codebook over the whole.

PSNR, SSIM and MS-SSIM are means over the images, each over those where it is defined. Bits per pixel are all
bits of the set over all its pixels, so a large image counts for more. Usage, perplexity and entropy are of
all codes of the set together; they depend on how many there are, so `num_codes` stands beside them.

Shapes: K codebook size.
"""

from collections.abc import Callable, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vqvae import metrics
from vqvae.code_grid import CodeGrid
from vqvae.errors import DataError, ImageError
from vqvae.pixels import RGB8, decode_image
from vqvae.sources import Source
from vqvae.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class ImageFigures:
    """What one image came to."""

    key: str
    width: int  # pixels
    height: int
    psnr: float | None  # dB; None where the reconstruction equals the image
    ssim: float | None  # None where a side is under 11
    ms_ssim: float | None  # None where a side is under 176
    bits_per_pixel: float  # raw


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """An image that could not be read, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a set of images came to."""

    model: str
    fingerprint: str
    decoder: str
    psnr: float | None  # dB, mean over the images that have one; None where none has
    ssim: float | None  # mean, likewise
    ms_ssim: float | None  # mean, likewise
    bits_per_pixel: float  # raw: h·w·log2 K of every image, over the pixels of all
    entropy_bits_per_pixel: float  # by the empirical entropy of the set's codes, order 0
    usage: float  # share of K that occurs in the set
    perplexity: float  # in [1, K]
    num_codes: int
    images: tuple[ImageFigures, ...]
    skipped: tuple[SkippedImage, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; undefined figures are None."""
        return asdict(self)


def evaluate(
    tokenizer: Tokenizer,
    source: Source,
    on_image: Callable[[ImageFigures | SkippedImage], None] | None = None,
    on_pixels: Callable[[RGB8, RGB8], None] | None = None,
    grids: MutableMapping[str, CodeGrid] | None = None,
) -> Evaluation:
    """Reconstruct every image of a source; DataError where none can be read.

    Args:
        on_image: called after each image, for progress.
        on_pixels: called with each image and its reconstruction, both (H, W, 3), for more measures.
        grids: codes by key, of decoders that share them: those that are there are taken, others are put in.
    """
    space, known = tokenizer.space, grids or {}
    counts = np.zeros(space.codebook_size, np.int64)  # (K,)
    images: list[ImageFigures] = []
    skipped: list[SkippedImage] = []
    for key in source.keys:
        outcome: ImageFigures | SkippedImage
        try:
            rgb = decode_image(source.read(key))
        except (ImageError, DataError) as error:
            outcome = SkippedImage(key, str(error))
            skipped.append(outcome)
        else:
            grid = known.get(key) or tokenizer.encode_rgb8(rgb)
            if grids is not None:
                grids[key] = grid
            x_hat = tokenizer.decode_rgb8(grid)
            counts += np.bincount(grid.codes.ravel(), minlength=space.codebook_size)
            outcome = ImageFigures(
                key,
                grid.width,
                grid.height,
                psnr=metrics.psnr(rgb, x_hat),
                ssim=metrics.ssim(rgb, x_hat),
                ms_ssim=metrics.ms_ssim(rgb, x_hat),
                bits_per_pixel=grid.bits_per_pixel,
            )
            images.append(outcome)
            if on_pixels is not None:
                on_pixels(rgb, x_hat)
        if on_image is not None:
            on_image(outcome)
    if not images:
        raise DataError(
            f"none of the {len(skipped)} images can be decoded; {skipped[0].key}: {skipped[0].reason}"
        )
    num_codes, num_pixels = int(counts.sum()), sum(image.width * image.height for image in images)
    return Evaluation(
        model=space.model,
        fingerprint=space.fingerprint,
        decoder=tokenizer.decoder_name,
        psnr=metrics.mean(image.psnr for image in images),
        ssim=metrics.mean(image.ssim for image in images),
        ms_ssim=metrics.mean(image.ms_ssim for image in images),
        bits_per_pixel=sum(image.bits_per_pixel * image.width * image.height for image in images)
        / num_pixels,
        entropy_bits_per_pixel=metrics.entropy_bits(counts) * num_codes / num_pixels,
        usage=metrics.usage(counts),
        perplexity=metrics.perplexity(counts),
        num_codes=num_codes,
        images=tuple(images),
        skipped=tuple(skipped),
    )
