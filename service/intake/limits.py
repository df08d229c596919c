"""Limits, and the one sentence in which passing them is told."""

from collections.abc import Iterable

from service.errors import TooLarge
from service.settings import MEGAPIXEL


def check(subject: str, unit: str, limit: int, actual: int) -> None:
    """Raises TooLarge with both numbers where the actual one passes the limit."""
    if actual > limit:
        raise TooLarge(f"{subject} has {actual} {unit}; the limit is {limit}", limit=limit, actual=actual)


def check_image(num_pixels: int, megapixels: float) -> None:
    """Raises TooLarge for an image of more than so many megapixels."""
    check("the image", "pixels", int(megapixels * MEGAPIXEL), num_pixels)


def check_request(num_pixels: Iterable[int], megapixels: float) -> None:
    """Raises TooLarge for images of more than so many megapixels together."""
    check("the request", "pixels", int(megapixels * MEGAPIXEL), sum(num_pixels))
