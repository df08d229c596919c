"""Photographs to training crops, a few drawn ones among them, each a pure function of seed, step and index.

Shapes: B crops a batch, S crop size in pixels. Crops are uint8 (S, S, 3), batches (B, S, S, 3).
"""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vqvae.config import require
from vqvae.errors import DataError, ImageError
from vqvae.pixels import decode_image
from vqvae.sources import Source, group_of
from vqvae.training.fonts import system_fonts
from vqvae.training.rendered import render_crop

RGB8 = NDArray[np.uint8]
DRAWS = 100  # photographs tried for one crop before the source is called unusable


@dataclass(frozen=True)
class CropConfig:
    """How crops are cut, and how many are not plain photographs."""

    size: int = 128  # pixels along a side
    min_scale: float = 0.4  # photographs are shrunk by a factor drawn from [min_scale, 1], never enlarged
    balance: float = 0.5  # a group of n photographs is drawn with weight n ** balance
    grey: float = 0.02  # share of the photographs' crops that lose their colour
    rendered: float = 0.05  # share of the crops that are drawn: text, screens, diagrams, flat colours

    def __post_init__(self) -> None:
        require(self.size >= 8, "crop size must be at least 8", self.size)
        require(0 < self.min_scale <= 1, "min_scale must lie in (0, 1]", self.min_scale)
        require(0 <= self.balance <= 1, "balance must lie in [0, 1]", self.balance)
        require(0 <= self.grey <= 1, "grey must lie in [0, 1]", self.grey)
        require(0 <= self.rendered <= 1, "rendered must lie in [0, 1]", self.rendered)


class BatchShape(NamedTuple):
    """What one step trains on."""

    num_crops: int
    size: int  # pixels along a side


class Photographs:
    """Decoded photographs of a source, kept in memory as long as there is room; the bad ones, by name.

    Args:
        cache_bytes: how much memory decoded photographs may take; the others are decoded at every use.
    """

    def __init__(self, source: Source, cache_bytes: int) -> None:
        self.source = source
        self.bad: dict[str, str] = {}  # key -> reason
        self._room = cache_bytes
        self._decoded: dict[str, RGB8] = {}
        self._lock = Lock()

    def get(self, key: str) -> RGB8 | None:
        """Pixels (H, W, 3), or None for a photograph that cannot be decoded."""
        if key in self.bad:
            return None
        if key in self._decoded:
            return self._decoded[key]
        try:
            rgb = decode_image(self.source.read(key))
        except (ImageError, DataError) as error:
            self.bad[key] = str(error)
            return None
        with self._lock:
            if key not in self._decoded and rgb.nbytes <= self._room:
                self._room -= rgb.nbytes
                self._decoded[key] = rgb
        return rgb


class Crops:
    """Endless batches of crops: random group, photograph, scale, place and flip, or drawn ones.

    Args:
        shape: how many crops of what size a step takes.
        share: which of a step's crops this process cuts; without it, all.
    """

    def __init__(
        self,
        photographs: Photographs,
        keys: Sequence[str],
        config: CropConfig,
        shape: Callable[[int], BatchShape],
        seed: int,
        share: Callable[[int], range] = range,
    ) -> None:
        self.config = config
        self._photographs = photographs
        self._shape = shape
        self._share = share
        self._seed = seed
        groups = Counter(group_of(key) for key in keys)
        self._groups = {name: [key for key in keys if group_of(key) == name] for name in sorted(groups)}
        weights = np.array([len(keys) ** config.balance for keys in self._groups.values()])
        self._weights = weights / weights.sum()

    def crop(self, step: int, index: int) -> RGB8:
        """One crop (S, S, 3)."""
        random = np.random.default_rng((self._seed, step, index))
        size = self._shape(step).size
        if random.random() < self.config.rendered:
            return render_crop(random, size, system_fonts())
        names = list(self._groups)
        for _ in range(DRAWS):
            keys = self._groups[names[random.choice(len(names), p=self._weights)]]
            rgb = self._photographs.get(keys[random.integers(len(keys))])
            if rgb is not None:
                return self._cut(rgb, size, random)
        raise DataError(f"none of {DRAWS} photographs drawn for a crop could be decoded")

    def batches(self, first_step: int, *, workers: int = 2, ahead: int = 3) -> Generator[RGB8]:
        """Batches (B, S, S, 3) of the steps from `first_step` on, cut by threads a few steps ahead."""
        with ThreadPoolExecutor(workers, thread_name_prefix="crops") as pool:
            pending: list[list[Future[RGB8]]] = []
            try:
                for step in count(first_step):
                    indices = self._share(self._shape(step).num_crops)
                    pending.append([pool.submit(self.crop, step, index) for index in indices])
                    if len(pending) > ahead:
                        yield np.stack([future.result() for future in pending.pop(0)])
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _cut(self, rgb: RGB8, size: int, random: np.random.Generator) -> RGB8:
        scale = random.uniform(self.config.min_scale, 1)
        rgb = pad_to_side(rgb, size)
        side = min(round(size / scale), *rgb.shape[:2])
        top = random.integers(rgb.shape[0] - side + 1)
        left = random.integers(rgb.shape[1] - side + 1)
        crop = rgb[top : top + side, left : left + side]
        if side != size:
            resized = Image.fromarray(crop).resize((size, size), Image.Resampling.BICUBIC)
            crop = np.asarray(resized)
        crop = crop[:, ::-1] if random.random() < 0.5 else crop
        return to_grey(crop) if random.random() < self.config.grey else crop


def to_grey(rgb: RGB8) -> RGB8:
    """A photograph by its luma alone, in three equal channels."""
    return np.asarray(Image.fromarray(rgb).convert("L").convert("RGB"))


def centre_crop(rgb: RGB8, size: int) -> RGB8:
    """The middle (S, S, 3) of a photograph, padded by its edge where it is smaller."""
    rgb = pad_to_side(rgb, size)
    top, left = ((side - size) // 2 for side in rgb.shape[:2])
    return rgb[top : top + size, left : left + size]


def pad_to_side(rgb: RGB8, side: int) -> RGB8:
    """A photograph with both sides at least `side`, padded at right and bottom by its edge."""
    bottom, right = (max(0, side - have) for have in rgb.shape[:2])
    return np.pad(rgb, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else rgb


def split(keys: Sequence[str], share: float = 0.02) -> tuple[list[str], list[str]]:
    """Training and held-out keys: the share whose names hash lowest, at least one of two or more."""
    by_hash = sorted(keys, key=lambda key: sha256(key.encode()).digest())
    num_held_out = min(max(1, round(share * len(keys))), len(keys) - 1)
    held_out = set(by_hash[:num_held_out])
    return [key for key in keys if key not in held_out], sorted(held_out)
