"""Limits, and the one sentence in which passing them is told."""

from service.errors import TooLarge
from service.settings import MEGAPIXEL

VALUES_PER_ITEM = 100  # in JSON, besides codes: many times those that an item needs


def check(subject: str, unit: str, limit: int, actual: int, *, at_least: bool = False) -> None:
    """Raises TooLarge with both numbers where the actual one, `at_least` or exactly, passes the limit."""
    if actual > limit:
        so_many = f"at least {actual}" if at_least else actual
        raise TooLarge(f"{subject} has {so_many} {unit}; the limit is {limit}", limit=limit, actual=actual)


def check_image(num_pixels: int, megapixels: float) -> None:
    """Raises TooLarge for an image of more than so many megapixels."""
    check("the image", "pixels", int(megapixels * MEGAPIXEL), num_pixels)


def check_request(num_pixels: int, megapixels: float, *, at_least: bool = False) -> None:
    """Raises TooLarge for images of more than so many megapixels together."""
    check("the request", "pixels", int(megapixels * MEGAPIXEL), num_pixels, at_least=at_least)


def check_json(body: bytes, num_items: int, num_codes: int = 0) -> None:
    """Raises TooLarge for JSON of many more values than so many items have, before it is read.

    In memory a value takes up to two hundred bytes, and its place in the body three.
    """
    check("the body", "values", num_codes + VALUES_PER_ITEM * num_items, body.count(b",") + 1)
