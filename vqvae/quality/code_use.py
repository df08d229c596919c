"""Use of a model's codebook over many codes, of crops of photographs that its training held out.

Shapes: B crops a batch, S crop size, K codebook size.
"""

from collections.abc import Callable

import numpy as np
import torch

from vqvae import metrics
from vqvae.quality.figures import CodeUse
from vqvae.sources import Source
from vqvae.tokenizer import Tokenizer
from vqvae.training.data import BatchShape, CropConfig, Crops, Photographs, split
from vqvae.training.trainer import to_images

SHAPE = BatchShape(num_crops=8, size=256)
NUM_CODES = 2**20
ROOM = 2**30  # bytes: the held-out share of the corpus, decoded, is far below


def code_use(
    tokenizer: Tokenizer, photographs: Source, num_codes: int, *, seed: int, on_batch: Callable[[], None]
) -> CodeUse:
    """Usage and perplexity over at least so many codes; crops are cut as in training, and none is drawn.

    Args:
        photographs: the whole corpus; what the training held out is found by name, as the training did.
    """
    _, held_out = split(photographs.keys)
    shape = _shape(tokenizer)
    crops = Crops(
        Photographs(photographs, ROOM),
        held_out or list(photographs.keys),
        CropConfig(size=shape.size, grey=0, rendered=0),
        lambda _: shape,
        seed,
    )
    counts = np.zeros(tokenizer.space.codebook_size, np.int64)  # (K,)
    batches = crops.batches(0)
    while counts.sum() < num_codes:
        with torch.inference_mode():
            codes = tokenizer.encode(to_images(next(batches), torch.device("cpu")))
        counts += np.bincount(codes.numpy().ravel(), minlength=len(counts))
        on_batch()
    batches.close()
    return CodeUse(
        model=tokenizer.space.model,
        fingerprint=tokenizer.space.fingerprint,
        num_codes=int(counts.sum()),
        usage=metrics.usage(counts),
        perplexity=metrics.perplexity(counts),
    )


def num_batches(tokenizer: Tokenizer, num_codes: int) -> int:
    """How many batches that many codes take."""
    shape = _shape(tokenizer)
    return -(-num_codes // (shape.num_crops * (shape.size // tokenizer.space.downsample_factor) ** 2))


def _shape(tokenizer: Tokenizer) -> BatchShape:
    f = tokenizer.space.downsample_factor
    return BatchShape(SHAPE.num_crops, SHAPE.size // f * f)
