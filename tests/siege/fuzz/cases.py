"""Cases: requests around damaged bodies.

A case is a good body after a few mutations. It is drawn by the run's seed and its own number alone, so these
two make it again.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from fuzz.damage import damaged
from fuzz.goods import CODE_FILE, JSON, MULTIPART, NPY, Good, json_of, multipart_of

PICTURES = ["image/png", "image/webp", "image/jpeg"]
ANSWERS = {
    "/v1/encode": ["*/*", JSON, NPY, CODE_FILE],
    "/v1/decode": ["*/*", JSON, NPY, *PICTURES],
    "/v1/reconstruct": ["*/*", JSON, NPY, *PICTURES],
}
OTHER_TYPES = [
    "",
    ";=\xff",
    "text/plain",
    "image/png",
    "multipart/form-data",
    MULTIPART,
    JSON,
    NPY,
    CODE_FILE,
]


@dataclass(frozen=True, slots=True)
class Case:
    """A request."""

    good: Good  # that its body was
    body: bytes
    content_type: str
    accept: str = "*/*"


def draw_case(goods: Sequence[Good], seed: int, number: int) -> Case:
    """The case of that number."""
    rng = random.Random(f"{seed} {number}")
    path = rng.choice(list(ANSWERS))
    good, other = rng.choices([good for good in goods if good.path == path], k=2)
    body, content_type = damaged(rng, good.body, other.body), good.content_type
    if content_type.startswith("image/") and rng.random() < 0.2:  # in an envelope, beside a good one or none
        wrap, content_type = rng.choice([(multipart_of, MULTIPART), (json_of, JSON)])
        body = wrap(rng.choice(([body, good.body], [body], [])))
    if rng.random() < 0.1:
        content_type = rng.choice(OTHER_TYPES)
    return Case(good, body, content_type, rng.choice(ANSWERS[path]))
