"""Accept headers against offers."""

import pytest

from service.errors import NotAcceptable
from service.negotiation import best

OFFERS = ("image/png", "image/webp", "image/jpeg", "application/json")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "image/png"),
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("application/*", "application/json"),
        ("image/webp", "image/webp"),
        ("IMAGE/WebP", "image/webp"),
        ("image/webp;q=0.5, image/jpeg", "image/jpeg"),
        ("image/*;q=0.5, application/json;q=0.4", "image/png"),
        ("image/png;q=0, */*", "image/webp"),  # the exact range counts, not the wider one
        ("image/png;q=0.1, image/*;q=0.9", "image/webp"),
        ("application/json, text/plain, */*", "application/json"),  # named beats wildcard at equal weight
        ("text/html,application/xhtml+xml,image/avif,image/webp,*/*;q=0.8", "image/webp"),
        ("image/webp;q=high, image/jpeg", "image/jpeg"),
        ("image/webp;q=nan, image/jpeg", "image/jpeg"),
        ("image/webp;q=2, image/jpeg", "image/jpeg"),
        ("application/json;charset=utf-8", "application/json"),
        ("image/jpeg ; q=1.0 , image/webp ; q=0.9", "image/jpeg"),
        ("nonsense", "image/png"),
    ],
)
def test_the_best_acceptable_offer_is_chosen(accept, chosen):
    assert best(accept, OFFERS) == chosen


@pytest.mark.parametrize("accept", ["text/html", "image/avif", "*/*;q=0", "video/*"])
def test_nothing_acceptable_names_what_there_is(accept):
    with pytest.raises(NotAcceptable, match=r"image/png or image/webp or image/jpeg or application/json"):
        best(accept, OFFERS)
