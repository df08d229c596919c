"""What a training run writes down: JSON lines and TensorBoard, figures and pictures.

`log.jsonl` holds one object a line with its `step`; `tensorboard/` the same figures; `pictures/` originals
above reconstructions. Resuming drops what was written after the checkpoint's step, so no step stands twice.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vqvae.errors import MissingExtraError


class RunLog:
    """The log of the run in `folder`, from `first_step` on."""

    def __init__(self, folder: Path, first_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - slow, and an extra
        except ImportError as error:
            raise MissingExtraError("training", "train") from error
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        self._pictures = folder / "pictures"
        path = folder / "log.jsonl"
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if _step(line) <= first_step]
            path.write_text("".join(line + "\n" for line in kept))
        self._file = path.open("a", buffering=1)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)

    def event(self, step: int, text: str) -> None:
        """A thing that happened once."""
        self._file.write(json.dumps({"step": step, "event": text}) + "\n")

    def figures(self, step: int, prefix: str, values: dict[str, float]) -> None:
        """Figures of one step, under names such as train/loss."""
        named = {f"{prefix}/{name}": value for name, value in values.items()}
        self._file.write(json.dumps({"step": step, **named}) + "\n")
        for name, value in named.items():
            self._board.add_scalar(name, value, step)

    def picture(
        self, step: int, originals: Sequence[NDArray[np.uint8]], reconstructions: Sequence[NDArray[np.uint8]]
    ) -> None:
        """Originals (H, W, 3) of one size above their reconstructions."""
        rows = np.concatenate([np.concatenate(originals, axis=1), np.concatenate(reconstructions, axis=1)])
        Image.fromarray(rows).save(self._pictures / f"step-{step:07d}.png")
        self._board.add_image("reconstructions", rows, step, dataformats="HWC")

    def close(self) -> None:
        """Flush both."""
        self._file.close()
        self._board.close()


def _step(line: str) -> float:
    """The step of a line; infinity for one that a kill left half written."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
