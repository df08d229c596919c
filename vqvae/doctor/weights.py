"""Where models are found by name, told without paths: those may hold names that are nobody's business."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from vqvae.places import CARD, places

PLACES = ("$VQVAE_WEIGHTS", "repository", "wheel")  # as `places` has them, the first only where it is set


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of models."""

    name: str
    exists: bool
    models: tuple[str, ...]


def places_here() -> list[Place]:
    """Where names are looked for, first to last."""
    return [
        Place(name, folder.is_dir(), tuple(sorted(card.parent.name for card in folder.glob(f"*/{CARD}"))))
        for name, folder in _named()
    ]


def without_paths(text: str) -> str:
    """What an error says, with no folder of models, no home and no user in it."""
    for name, folder in _named():
        text = text.replace(str(folder), name)
    homes = []
    with suppress(RuntimeError):  # there may be none
        homes.append(re.escape(str(Path.home())))
    text = re.sub("|".join([*homes, r"/(?:home|Users)/[^/\s]+"]), "~", text)
    with suppress(OSError, KeyError, ImportError):  # nor a user of a name
        text = re.sub(rf"(?<=/){re.escape(getuser())}(?=/)", "USER", text)
    return text


def _named() -> Iterator[tuple[str, Path]]:
    found = places()
    return zip(PLACES[-len(found) :], found, strict=True)
