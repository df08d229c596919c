"""Whose turn it is, without a clock or a thread: a tile is a megapixel here."""

from dataclasses import dataclass
from itertools import count

import pytest

from service.lanes import Lanes


@dataclass
class Request:
    number: int
    megapixels: float
    turn: float = 0.0


class Crowd:
    """Requests that come, wait, and are served tile by tile."""

    def __init__(self):
        self.lanes = Lanes(tile_megapixels=1.0)
        self.numbers = count()
        self.left = {}

    def come(self, name, megapixels, tiles=None):
        request = Request(next(self.numbers), megapixels)
        self.left[name] = tiles or max(1, round(megapixels))
        self.lanes.put((name, request), request, megapixels)

    def serve(self):
        """The name of whoever gets the next tile."""
        name, request = self.lanes.take()
        self.left[name] -= 1
        if self.left[name]:
            self.lanes.put((name, request), request, request.megapixels)
        return name

    def serve_all(self):
        return [self.serve() for _ in range(sum(self.left.values()))]


@pytest.fixture
def crowd():
    return Crowd()


def test_small_ones_are_served_in_the_order_of_their_arrival(crowd):
    sizes = [0.1, 2, 0.5, 1, 0.02]
    for i, size in enumerate(sizes):
        crowd.come(i, size, tiles=1)
    assert crowd.serve_all() == [0, 1, 2, 3, 4]


def test_a_small_one_that_comes_again_keeps_its_place(crowd):
    crowd.come("there and back", 2)
    crowd.come("later", 1)
    assert crowd.serve_all() == ["there and back", "there and back", "later"]


def test_large_ones_take_turns(crowd):
    for name in "abc":
        crowd.come(name, 4)
    assert "".join(map(str, crowd.serve_all())) == "abc" * 4


def test_a_large_one_that_comes_later_does_not_wait_for_those_before_it(crowd):
    crowd.come("a", 100)
    assert {crowd.serve() for _ in range(50)} == {"a"}
    crowd.come("b", 4)
    served = [crowd.serve() for _ in range(9)]
    assert served.count("b") == 4


def test_a_small_one_waits_for_one_tile_of_many_large_ones(crowd):
    for i in range(20):
        crowd.come(i, 16)
    for _ in range(33):
        crowd.serve()
    crowd.come("small", 0.1)
    assert crowd.serve() == "small"


def test_a_flood_of_small_ones_leaves_a_large_one_its_half(crowd):
    crowd.come("large", 8)
    for i in range(4):
        crowd.come(i, 0.25)
    served = []
    while crowd.left["large"]:
        served.append(crowd.serve())
        crowd.come(len(served) + 4, 0.25)  # another one for each that was served
    assert 8 - 2 <= 0.25 * (len(served) - 8) <= 8 + 2


def test_a_lane_that_was_empty_is_not_owed_anything(crowd):
    crowd.come("large", 200)
    for _ in range(100):
        crowd.serve()
    for i in range(100):
        crowd.come(i, 1)
    served = [crowd.serve() for _ in range(20)]
    assert 9 <= served.count("large") <= 11


def test_each_image_of_a_batch_waits_for_one_tile_of_a_flood_of_small_ones(crowd):
    batch = Request(next(crowd.numbers), megapixels=8)
    for i in range(10):
        crowd.come(i, 1)
    for _ in range(8):
        crowd.serve()  # one that was waiting, while the batch's next image is unpacked
        crowd.lanes.put("image", batch, 0.25)
        assert crowd.lanes.take() == "image"


def test_what_is_ahead_is_what_the_own_lane_does_before(crowd):
    others = [0.5, 2, 3, 100]
    assert crowd.lanes.ahead(1, others) == 2.5  # the small ones, whole
    assert crowd.lanes.ahead(10, others) == 3 + 11  # of a large one no more than the new one gets itself


def test_what_is_cleared_waits_no_more(crowd):
    crowd.come("small", 1)
    crowd.come("large", 5)
    assert len(crowd.lanes) == 2
    assert {name for name, _ in crowd.lanes.clear()} == {"small", "large"}
    assert len(crowd.lanes) == 0
