"""Both clients where something goes wrong: a server that refuses, stalls, hangs up, or is none of ours."""

import pickle
import socket
import threading
import time
import traceback
from contextlib import suppress
from itertools import pairwise

import pytest

from vqvae import Client
from vqvae.errors import (
    ConfigError,
    FingerprintError,
    ImageError,
    ItemError,
    RefusedFingerprintError,
    RefusedImageError,
    ServiceError,
    ServiceOverloadedError,
    ServiceProblem,
    ServiceTimeoutError,
)

RGB = b"BM" + bytes(60)  # as good as any for a server that looks at nothing


def test_a_refusal_is_waited_out_as_retry_after_says(make_client, fake_server):
    def play(asked, number):
        if number < 3:
            return fake_server.problem((429, 503)[number - 1], "overloaded", [("Retry-After", "1")])
        return fake_server.codes(asked)

    server = fake_server(play)
    grid = make_client(server.url).encode(RGB)
    assert grid.space == fake_server.space
    times = [asked.at for asked in server.asked]
    assert len(times) == 3
    assert all(later - earlier >= 1 for earlier, later in pairwise(times))
    assert len({asked.body for asked in server.asked}) == 1


def test_a_date_is_waited_for(make_client, fake_server):
    date = [("Retry-After", "Wed, 21 Oct 2015 07:28:02 GMT"), ("Date", "Wed, 21 Oct 2015 07:28:01 GMT")]

    def play(asked, number):
        return fake_server.problem(503, "unavailable", date) if number == 1 else fake_server.codes(asked)

    server = fake_server(play)
    make_client(server.url).encode(RGB)
    first, second = server.asked
    assert second.at - first.at >= 1


def test_who_is_refused_every_time_gets_it_typed(make_client, fake_server):
    server = fake_server(lambda *_: fake_server.problem(429, "overloaded", limit=128, actual=130.5))
    with pytest.raises(ServiceOverloadedError) as caught:
        make_client(server.url, max_attempts=3).encode(RGB)
    error = caught.value
    assert len(server.asked) == 3
    assert (error.status, error.type) == (429, "urn:vqvae:problem:overloaded")
    assert (error.limit, error.actual) == (128, 130.5)
    assert error.detail == "so it is"
    assert error.request_id == server.asked[-1].headers["x-request-id"]
    assert "after 3 attempts" in "".join(traceback.format_exception(error))


def test_a_wait_longer_than_there_is_time_is_not_begun(make_client, fake_server):
    server = fake_server(lambda *_: fake_server.problem(429, "overloaded", [("Retry-After", "500")]))
    began = time.monotonic()
    with pytest.raises(ServiceOverloadedError) as caught:
        make_client(server.url).encode(RGB)
    assert time.monotonic() - began < 60
    assert caught.value.retry_after_s == 500
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 406, 408, 413, 415, 422, 431, 500])
def test_other_problems_are_not_asked_again(make_client, fake_server, status):
    server = fake_server(lambda *_: fake_server.problem(status, limit=3, actual=4))
    with pytest.raises(ServiceProblem) as caught:
        make_client(server.url).encode(RGB)
    assert (caught.value.status, caught.value.limit, caught.value.actual) == (status, 3, 4)
    assert len(server.asked) == 1
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert vars(again) == vars(caught.value)


@pytest.mark.parametrize("kind", ["undecodable-image", "unsupported-type"])
def test_a_refused_image_is_an_image_error_as_with_the_library(make_client, fake_server, kind):
    server = fake_server(lambda *_: fake_server.problem(422, kind))
    with pytest.raises(ImageError) as caught:
        make_client(server.url).encode(RGB)
    assert isinstance(caught.value, RefusedImageError)


def test_a_connection_that_breaks_off_is_tried_again(make_client, fake_server):
    def play(asked, number):
        if number == 1:
            return None
        reply = fake_server.codes(asked)
        if number == 2:
            reply.length = len(reply.body) + 100
        return reply

    server = fake_server(play)
    assert make_client(server.url).encode(RGB).space == fake_server.space
    assert len(server.asked) == 3


def test_nobody_there_is_told_with_the_way_out(make_client):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    client = make_client(url, max_attempts=2)
    assert client.ready() is False
    with pytest.raises(ServiceError, match=f"cannot connect to {url}: .*is the service running.*make serve"):
        client.encode(RGB)


def test_a_service_that_comes_later_is_found(make_client, fake_server):
    server = fake_server(lambda asked, _: fake_server.codes(asked))
    listening = threading.Event()

    def relay():
        time.sleep(0.7)
        with socket.create_server(("127.0.0.1", port)) as listener:
            listening.set()
            accepted, _ = listener.accept()
            with accepted, socket.create_connection(("127.0.0.1", server.server.server_port)) as onward:
                threading.Thread(target=pump, args=(onward, accepted), daemon=True).start()
                pump(accepted, onward)

    def pump(source, target):
        with suppress(OSError):  # the other way has ended
            while data := source.recv(65536):
                target.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    assert make_client(f"http://127.0.0.1:{port}").encode(RGB).space == fake_server.space
    assert listening.is_set()


def test_a_silent_server_is_a_timeout(make_client, fake_server):
    server = fake_server(lambda *_: time.sleep(2))
    began = time.monotonic()
    with pytest.raises(ServiceTimeoutError, match=r"did not answer within 0\.4 s; .* timeout_s") as caught:
        make_client(server.url, timeout_s=0.4).encode(RGB)
    assert time.monotonic() - began < 1.9
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.request_id == server.asked[0].headers["x-request-id"]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_answer_that_trickles_is_a_timeout(make_client, fake_server):
    def play(asked, _):
        reply = fake_server.codes(asked)
        reply.pause_s = 0.1
        return reply

    server = fake_server(play)
    began = time.monotonic()
    with pytest.raises(ServiceTimeoutError):
        make_client(server.url, timeout_s=1).encode(RGB)
    assert time.monotonic() - began < 5


def headers_that_never_end(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(100):
        time.sleep(0.2)
        handler.wfile.write(b"X-%d: 1\r\n" % number)


def a_byte_just_in_time_and_then_nothing(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    time.sleep(2.5)
    handler.wfile.write(b"!")
    time.sleep(20)


@pytest.mark.parametrize("do", [headers_that_never_end, a_byte_just_in_time_and_then_nothing])
def test_a_server_that_goes_on_and_on_gets_no_more_than_the_timeout(make_client, fake_server, do):
    def play(_asked, _number):
        def say(handler):
            with suppress(OSError):  # the client has hung up
                do(handler)

        return say

    server = fake_server(play)
    began = time.monotonic()
    with pytest.raises(ServiceTimeoutError):
        make_client(server.url, timeout_s=3).encode(RGB)
    assert 3 <= time.monotonic() - began < 5
    assert len(server.asked) == 1


def test_a_server_that_takes_a_body_drop_by_drop_gets_no_more_than_the_timeout(make_client):
    def take(listener):
        accepted, _ = listener.accept()
        with accepted, suppress(OSError):
            while accepted.recv(2**18):
                time.sleep(0.2)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=take, args=(listener,))
        thread.start()
        client = make_client(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=2)
        began = time.monotonic()
        with pytest.raises(ServiceTimeoutError):
            client.encode(RGB + bytes(2**25))
        assert 2 <= time.monotonic() - began < 5
        thread.join()


@pytest.mark.parametrize("status", [200, 404])
def test_a_page_is_no_answer_of_ours(make_client, fake_server, status):
    server = fake_server(lambda *_: fake_server.reply(status, b"<html>Hello", "text/html; charset=utf-8"))
    with pytest.raises(ServiceError, match=r"text/html.* is there another program, or a proxy") as caught:
        make_client(server.url).encode(RGB)
    assert not isinstance(caught.value, ServiceProblem)
    assert caught.value.status == status
    assert "Hello" not in str(caught.value)


@pytest.mark.parametrize("status", [500, 502])  # 500: Ray Serve's where a replica died with the request
def test_a_page_of_a_proxy_that_finds_nobody_is_tried_again(make_client, fake_server, status):
    def play(asked, number):
        if number == 1:
            return fake_server.reply(status, b"<html>Bad gateway", "text/html")
        return fake_server.codes(asked)

    assert make_client(fake_server(play).url).encode(RGB)


def test_a_redirect_names_the_address_to_take(make_client, fake_server):
    there = [("Location", "https://example.org/v1/encode")]
    server = fake_server(lambda *_: fake_server.reply(308, headers=there, media_type=None))
    with pytest.raises(ServiceError, match=r"a redirect to https://example\.org/v1/encode.*base_url"):
        make_client(server.url).encode(RGB)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a problem"'])
def test_a_problem_that_cannot_be_read_is_no_answer_of_ours(make_client, fake_server, body):
    server = fake_server(lambda *_: fake_server.reply(422, body, "application/problem+json"))
    with pytest.raises(ServiceError, match="no answer of a vqvae service"):
        make_client(server.url).encode(RGB)


@pytest.mark.parametrize(
    "members", [{"detail": None}, {"status": "x", "limit": "y", "actual": []}, {"type": 7, "title": None}]
)
def test_a_strange_problem_is_still_a_problem(make_client, fake_server, members):
    server = fake_server(lambda *_: fake_server.problem(418, **members))
    with pytest.raises(ServiceProblem) as caught:
        make_client(server.url).encode(RGB)
    assert caught.value.status == 418
    assert caught.value.limit is None


def test_damaged_codes_are_no_codes(make_client, fake_server):
    def play(asked, _):
        reply = fake_server.codes(asked)
        reply.body = reply.body[:-5] + bytes([reply.body[-5] ^ 1]) + reply.body[-4:]
        return reply

    with pytest.raises(ServiceError, match=r"CRC-32 must be"):
        make_client(fake_server(play).url).encode(RGB)


@pytest.mark.parametrize("num_items", [2, 4])
def test_every_image_has_to_have_its_item(make_client, fake_server, num_items):
    def play(asked, _):
        asked.body = b'name="image"' * num_items
        return fake_server.codes(asked)

    with pytest.raises(ServiceError, match=f"{num_items} items for the 3 that were sent"):
        list(make_client(fake_server(play).url).encode_many([RGB] * 3))


def test_items_have_to_be_in_their_places(make_client, fake_server):
    def play(asked, _):
        reply = fake_server.codes(asked)
        reply.body = reply.body.replace(b'"index":0', b'"index":1')
        return reply

    with pytest.raises(ServiceError, match=r"data\[0\] is not the item of index 0"):
        list(make_client(fake_server(play).url).encode_many([RGB] * 3))


def test_what_a_client_says_of_itself(make_client, fake_server):
    server = fake_server(lambda asked, _: fake_server.codes(asked))
    client = make_client(f"{server.url}/below/", api_key="a-key", model="m 1")
    client.encode(RGB)
    asked = server.asked[0]
    assert asked.path == "/below/v1/encode?model=m+1"
    assert asked.headers["user-agent"].startswith("vqvae/")
    assert asked.headers["authorization"] == "Bearer a-key"
    assert asked.headers["content-type"] == "image/bmp"
    assert asked.body == RGB
    assert "a-key" not in repr(client)
    assert f"{server.url}/below" in repr(client)


def test_codes_of_another_fingerprint_are_refused_and_not_mixed(make_client, fake_server):
    server = fake_server(
        lambda asked, number: fake_server.codes(
            asked, fake_server.space if number < 3 else fake_server.other_space
        )
    )
    client = make_client(server.url)
    client.encode(RGB)
    client.encode(RGB)
    for _ in range(2):
        with pytest.raises(FingerprintError, match="do not mix") as caught:
            client.encode(RGB)
        assert caught.value.expected == fake_server.space.fingerprint
        assert caught.value.actual == fake_server.other_space.fingerprint


def test_a_fingerprint_that_changes_in_the_middle_ends_the_data_set(make_client, fake_server):
    server = fake_server(
        lambda asked, number: fake_server.codes(
            asked, fake_server.space if number < 3 else fake_server.other_space
        ),
        images_per_request=2,
    )
    results = make_client(server.url).encode_many([RGB] * 20, errors="yield", max_in_flight=1)
    grids = [next(results) for _ in range(4)]
    assert {grid.space for grid in grids} == {fake_server.space}
    with pytest.raises(FingerprintError):
        next(results)


def test_a_given_fingerprint_holds_from_the_first_codes_on(make_client, fake_server):
    server = fake_server(lambda asked, _: fake_server.codes(asked))
    with pytest.raises(FingerprintError, match="2b2b"):
        make_client(server.url, fingerprint=fake_server.other_space.fingerprint).encode(RGB)
    assert make_client(server.url, fingerprint=fake_server.space.fingerprint).encode(RGB)


def test_a_default_model_that_is_replaced_by_another_is_a_change_too(make_client, fake_server):
    other = type(fake_server.space)("other", "3c" * 32, 64, 8)
    server = fake_server(lambda asked, n: fake_server.codes(asked, fake_server.space if n == 1 else other))
    client = make_client(server.url)
    client.encode(RGB)
    with pytest.raises(FingerprintError):
        client.encode(RGB)
    assert client.encode(RGB, model="other").space == other


@pytest.mark.parametrize(
    ("members", "expected", "actual"),
    [
        (
            {
                "fingerprint": "3c" * 32,
                "known": [
                    {"model": "one", "fingerprint": "4d" * 32},
                    {"model": "two", "fingerprint": "5e" * 32},
                ],
            },
            f"{'4d' * 32} or {'5e' * 32}",
            "3c" * 32,
        ),
        ({}, "", ""),  # of an older service
        ({"fingerprint": None, "known": ["one", {"model": "two"}]}, "", ""),
    ],
)
def test_codes_of_no_model_here_name_both_fingerprints(make_client, fake_server, members, expected, actual):
    server = fake_server(lambda *_: fake_server.problem(409, "other-fingerprint", **members))
    grid = make_client(fake_server(lambda asked, _: fake_server.codes(asked)).url).encode(RGB)
    with pytest.raises(FingerprintError) as caught:
        make_client(server.url).decode(grid)
    error = caught.value
    assert isinstance(error, RefusedFingerprintError)
    assert (error.expected, error.actual) == (expected, actual)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_image_of_another_size_is_not_the_grids(make_client, fake_server, png):
    server = fake_server(
        lambda asked, _: (
            fake_server.codes(asked)
            if asked.path.startswith("/v1/encode")
            else fake_server.reply(body=png, media_type="image/png")
        )
    )
    client = make_client(server.url)
    with pytest.raises(ServiceError, match="not as a vqvae service"):
        client.decode(client.encode(RGB))


def test_a_group_that_is_refused_as_a_whole_is_asked_for_one_by_one(make_client, fake_server):
    def play(asked, _):
        if asked.num_images > 1:
            return fake_server.problem(413, "too-large", limit=1, actual=asked.num_images)
        if b"bad" in asked.body:
            return fake_server.problem(500)
        return fake_server.codes(asked)

    server = fake_server(play)
    outcomes = list(make_client(server.url).encode_many([RGB, b"bad", RGB], errors="yield"))
    assert [isinstance(outcome, ItemError) for outcome in outcomes] == [False, True, False]
    assert outcomes[1].index == 1
    assert outcomes[1].error.status == 500
    assert len(server.asked) == 4


def test_what_concerns_all_ends_the_iteration_after_what_came_before_it(make_client, fake_server):
    server = fake_server(
        lambda asked, number: (
            fake_server.codes(asked) if number < 3 else fake_server.problem(401, "unauthorized")
        ),
        images_per_request=1,
    )
    results = make_client(server.url).encode_many([RGB] * 9, errors="yield", max_in_flight=1)
    assert next(results)
    assert next(results)
    with pytest.raises(ServiceProblem) as caught:
        next(results)
    assert caught.value.status == 401


def test_no_more_than_so_many_are_in_flight_and_results_keep_their_order(make_client, fake_server):
    def play(asked, number):
        time.sleep(0.4 if number == 1 else 0.05)
        return fake_server.codes(asked, first=asked.body[-1])

    server = fake_server(play, images_per_request=1)
    images = [RGB + bytes([i]) for i in range(12)]
    grids = list(make_client(server.url).encode_many(images, max_in_flight=3))
    assert [grid.codes[0, 0] for grid in grids] == list(range(12))
    assert server.most_busy == 3


def test_images_are_taken_as_they_are_needed(make_client, fake_server):
    server = fake_server(lambda asked, _: fake_server.codes(asked), images_per_request=2)
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield RGB

    results = make_client(server.url).encode_many(endless(), max_in_flight=2)
    for _ in range(5):
        next(results)
    results.close()
    assert taken <= 5 + 2 * 2 * 2 + 2
    assert len(server.asked) <= 8


def test_leaving_early_sends_nothing_more_and_waits_for_nothing(fake_server):
    refusal = fake_server.problem(429, "overloaded", [("Retry-After", "60")])
    server = fake_server(
        lambda asked, _: fake_server.codes(asked) if asked.body[-1:] == b"!" else refusal,
        images_per_request=1,
    )
    with Client(server.url) as client:
        results = client.encode_many([RGB + b"!"] + [RGB] * 50, max_in_flight=2)
        next(results)
        began = time.monotonic()
        results.close()
        assert time.monotonic() - began < 5
        for _ in range(100):
            threads = [thread for thread in threading.enumerate() if thread.name.startswith("vqvae-client")]
            if not threads:
                break
            time.sleep(0.05)
        assert not threads
    assert len(server.asked) < 6


def test_closing_a_client_wakes_the_threads_that_wait_for_it_and_closes_their_connections(fake_server):
    server = fake_server(lambda *_: lambda handler: handler.wait_for_the_client_to_leave())
    client = Client(server.url)
    caught = []

    def ask():
        with pytest.raises(RuntimeError, match="closed"):
            client.encode(RGB)
        caught.append(True)

    thread = threading.Thread(target=ask)
    thread.start()
    while not server.asked:
        time.sleep(0.01)
    time.sleep(0.2)  # it waits by now
    client.close()
    thread.join(10)
    assert caught
    assert server.gone.wait(10)


def test_a_closed_client_says_so():
    client = Client()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.encode(RGB)


def test_nothing_is_asked_for_no_images(make_client, fake_server):
    server = fake_server(lambda *_: None)
    assert list(make_client(server.url).encode_many([])) == []
    assert server.asked == []


def test_the_same_error_is_not_tried_on_all_images_when_the_service_is_gone(make_client):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ServiceError, match="cannot connect"):
        list(make_client(url, max_attempts=1).encode_many([RGB] * 1000, errors="yield"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "127.0.0.1:8000"}, "base_url"),
        ({"base_url": "ftp://here"}, "base_url must begin with http"),
        ({"base_url": "http://"}, "name a host"),
        ({"base_url": "http://here:port"}, "base_url"),
        ({"api_key": "two words"}, "api_key must be"),
        ({"timeout_s": 0}, "timeout_s must lie"),
        ({"max_attempts": 0}, "max_attempts must be"),
    ],
)
def test_wrong_options_are_told_when_the_client_is_made(make_client, options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        make_client(**options)
    assert "two words" not in str(caught.value)


def test_a_password_in_the_address_is_not_shown(make_client, fake_server):
    server = fake_server(lambda *_: fake_server.problem(500))
    client = make_client(server.url.replace("http://", "http://me:secret@"))
    assert "secret" not in repr(client)
