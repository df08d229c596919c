"""When a request is repeated, and how long the wait is: by a clock of the test's own, without a socket."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqvae.client.exchange import Answer, Done, Patience, Request, advance, exchange, retry_after_s
from vqvae.errors import ConfigError

REQUEST = Request("GET", "/")


def answer(status, content_type="application/problem+json", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, httpx.Headers(named | {"content-type": content_type}), b"", "an-id")


def play(outcomes, *, timeout_s=100.0, max_attempts=8, takes_s=0.0, uniform=lambda low, high: low):
    """The last outcome of an exchange in which these follow each other, and its waits."""
    now = 0.0
    waits = []
    steps = exchange(REQUEST, Patience(timeout_s, max_attempts, lambda: now, uniform))
    step = advance(steps, None)
    for outcome in outcomes:
        waits.append(step.after_s)
        now += step.after_s + takes_s
        step = advance(steps, outcome)
        if isinstance(step, Done):
            return step.result.outcome, waits
    raise AssertionError(f"it goes on after {outcomes}")


@pytest.mark.parametrize("status", [200, 400, 401, 404, 405, 406, 408, 409, 413, 415, 422, 431, 500])
def test_what_asking_again_would_not_change_is_asked_once(status):
    ended, waits = play([answer(status)])
    assert ended.status == status
    assert waits == [0]


@pytest.mark.parametrize(
    "failure",
    [
        answer(429),
        answer(502),
        answer(503),
        answer(500, "text/plain; charset=utf-8"),  # of a proxy
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout(""),
        httpx.ReadError(""),
        httpx.WriteError(""),
        httpx.RemoteProtocolError("it hung up"),
        httpx.ProxyError(""),
    ],
    ids=str,
)
def test_what_may_pass_is_asked_again_with_waits_that_double_up_to_four_seconds(failure):
    ended, waits = play([*[failure] * 7, answer(200)], uniform=lambda low, high: high)
    assert ended.status == 200
    assert waits == [0, 0.25, 0.5, 1, 2, 4, 4, 4]


def test_it_ends_with_the_last_attempt():
    ended, waits = play([answer(429), answer(503), answer(429)], max_attempts=3)
    assert ended.status == 429
    assert len(waits) == 3


def test_a_passed_deadline_is_asked_again_once():
    ended, waits = play([answer(504), answer(429), answer(504)])
    assert ended.status == 504
    assert len(waits) == 3


def test_the_end_of_its_own_time_is_the_end():
    ended, waits = play([httpx.ReadTimeout("")])
    assert isinstance(ended, httpx.ReadTimeout)
    assert waits == [0]


@given(told_s=st.integers(0, 90), number=st.integers(1, 1000))
def test_the_wait_is_never_shorter_than_told_and_longer_by_four_seconds_at_most(told_s, number):
    wait_s = Patience(100, 8).wait_s(number, float(told_s))
    assert told_s <= wait_s <= told_s + 4


def test_retry_after_is_waited_for():
    _, waits = play([answer(429, retry_after="7"), answer(503, retry_after="2"), answer(200)])
    assert waits == [0, 7, 2]


def test_a_wait_that_would_not_end_in_time_ends_the_exchange_at_once():
    ended, waits = play([answer(429, retry_after="100")])
    assert ended.status == 429
    assert waits == [0]
    ended, waits = play([answer(429, retry_after="60"), answer(429, retry_after="40")])
    assert waits == [0, 60]


def test_the_random_part_of_a_wait_is_no_reason_to_give_up():
    failures = [answer(503, retry_after="9")] * 3
    ended, waits = play([*failures, answer(200)], timeout_s=30, uniform=lambda low, high: high)
    assert ended.status == 200
    assert sum(waits) < 30
    ended, waits = play([answer(503), answer(200)], timeout_s=0.1)
    assert waits[1] < 0.1


def test_no_attempt_begins_when_time_is_over():
    _, waits = play([answer(503)] * 9, timeout_s=10, takes_s=4, max_attempts=100)
    assert len(waits) <= 3


def test_every_attempt_has_an_id_of_its_own_that_the_service_takes():
    steps = exchange(REQUEST, Patience(100, 8))
    first, second = advance(steps, None), advance(steps, answer(503))
    assert first.request_id != second.request_id
    assert first.request_id[:24] == second.request_id[:24]
    assert first.for_httpx()["headers"]["X-Request-ID"] == first.request_id


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "0"}, 0),
        ({"retry_after": " 17 "}, 17),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:09 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 9),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:29:00 GMT"}, 0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),  # long ago by any clock
        ({}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "1.5"}, None),
        ({"retry_after": "²".encode()}, None),
        ({"retry_after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_services_own_clock(headers, seconds):
    assert retry_after_s(answer(429, **headers)) == seconds


def test_a_date_counts_from_our_clock_where_the_answer_has_none():
    assert retry_after_s(answer(429, retry_after="Wed, 21 Oct 2365 07:28:00 GMT")) > 1e9


def test_patience_has_to_be_some():
    for timeout_s in 0, -1, float("nan"), float("inf"):
        with pytest.raises(ConfigError, match="timeout_s"):
            Patience(timeout_s, 1)
    with pytest.raises(ConfigError, match="max_attempts"):
        Patience(1, 0)
