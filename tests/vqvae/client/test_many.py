"""How many images become groups, and groups results: without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqvae.client.many import GROUP_BYTES, GROUP_IMAGES, GROUP_PIXELS, MULTIPART_BYTES, Run
from vqvae.client.models import Limits
from vqvae.client.verbs import Cost
from vqvae.errors import ConfigError, ImageError, ItemError

LIMITS = Limits(20_000_000, 2**24, 2**26, 64, 2**22)


class Weights:
    """A verb whose items are their own costs; a negative one cannot be sent."""

    def prepare(self, raw):
        if raw[0] < 0:
            raise ImageError("negative")
        return Cost(*raw)

    def cost(self, item):
        return item


def groups_of(raws, limits):
    run = Run(None, Weights(), raws, errors="raise", max_in_flight=1, on_progress=None)
    groups = [group for raw in raws for group in run.add(run.prepare(raw), limits)]
    return [*groups, *run.rest()]


costs = st.tuples(
    st.integers(-1, 2 * GROUP_BYTES) | st.integers(0, 50_000),
    st.integers(0, 2 * GROUP_PIXELS) | st.integers(0, 70_000),
    st.integers(0, 2000),
)
limits_ = st.builds(
    Limits,
    body_bytes=st.integers(1, 20_000_000),
    image_pixels=st.just(2**24),
    request_pixels=st.integers(1, 2**26),
    num_images=st.integers(1, 64),
    num_codes=st.integers(1, 2**22),
)


@given(raws=st.lists(costs, max_size=100), limits=limits_)
def test_groups_are_runs_of_all_items_and_each_keeps_to_the_limits_or_is_of_one(raws, limits):
    groups = groups_of(raws, limits)
    assert [piece.index for group in groups for piece in group] == list(range(len(raws)))
    for group in groups:
        assert len(group) <= min(GROUP_IMAGES, limits.num_images)
        if len(group) > 1:
            total = sum((piece.cost for piece in group), Cost(0, 0, 0))
            assert total.num_bytes <= min(GROUP_BYTES, limits.body_bytes) - MULTIPART_BYTES
            assert total.num_pixels <= min(GROUP_PIXELS, limits.request_pixels)
            assert total.num_codes <= limits.num_codes


def test_small_images_share_a_request():
    sizes = [len(group) for group in groups_of([(10_000, 256 * 256, 0)] * 70, LIMITS)]
    assert sizes == [32, 32, 6]


def test_a_full_group_does_not_wait_for_the_next_image():
    run = Run(None, Weights(), [], errors="raise", max_in_flight=1, on_progress=None)
    assert [len(group) for group in run.add(run.prepare((1, GROUP_PIXELS, 0)), LIMITS)] == [1]


def test_what_cannot_be_sent_keeps_its_place():
    ((first, bad, last),) = groups_of([(1, 1, 1), (-1, 1, 1), (1, 1, 1)], LIMITS)
    assert isinstance(bad.item, ImageError)
    assert isinstance(first.item, Cost)
    assert last.index == 2


def outcomes_of(run, outcomes):
    return list(run.hand_out(outcomes))


def test_progress_counts_what_is_handed_out():
    seen = []
    run = Run(None, Weights(), range(3), errors="yield", max_in_flight=1, on_progress=seen.append)
    error = ItemError(1, ImageError("bad"))
    assert outcomes_of(run, ["a", error, "b"]) == ["a", error, "b"]
    assert [(progress.done, progress.failed, progress.total) for progress in seen] == [
        (1, 0, 3),
        (2, 1, 3),
        (3, 1, 3),
    ]


def test_without_a_length_there_is_no_total():
    seen = []
    run = Run(None, Weights(), iter(range(3)), errors="yield", max_in_flight=1, on_progress=seen.append)
    outcomes_of(run, ["a"])
    assert seen[0].total is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"raws": "folder"}, "got one str"),
        ({"raws": b"bytes"}, "got one bytes"),
        ({"errors": "ignore"}, "errors must be 'raise' or 'yield'"),
        ({"max_in_flight": 0}, "max_in_flight must be at least 1"),
    ],
)
def test_wrong_options_are_told_at_once(wrong, message):
    options = {"raws": [], "errors": "raise", "max_in_flight": 1, "on_progress": None} | wrong
    with pytest.raises(ConfigError, match=message):
        Run(None, Weights(), options.pop("raws"), **options)
