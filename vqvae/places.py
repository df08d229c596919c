"""Where models are looked for by name; here is no torch, so that names can be listed in a moment."""

import os
from pathlib import Path

CARD = "model.json"  # makes a folder a model


def places() -> list[Path]:
    """`$VQVAE_WEIGHTS`, the repository's `weights/`, and the package, which carries the default model."""
    package = Path(__file__).parent
    found = [package.parent / "weights", package / "weights"]
    if "VQVAE_WEIGHTS" in os.environ:
        found.insert(0, Path(os.environ["VQVAE_WEIGHTS"]))
    return found


def named_models() -> dict[str, Path]:
    """Name -> folder of every model that is known by name, the first where several places have one."""
    cards = [card for place in places() for card in sorted(place.glob(f"*/{CARD}"))]
    return {card.parent.name: card.parent for card in reversed(cards)}
