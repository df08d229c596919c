"""Slow and hostile clients, over real sockets: none holds a connection for longer than it may."""

import asyncio
import json
import re
import socket
import time

import numpy as np
import pytest
import uvicorn
from uvicorn.server import ServerState

from service.connections import Connection
from service.middleware import PIECE_BYTES, RequestContext
from service.settings import Settings
from service.telemetry import Telemetry
from vqvae.pixels import encode_image

SOON_S = 20.0
HOST = b"Host: x\r\n"


@pytest.fixture(scope="module")
def strict(start_service):
    """A service that waits for nobody."""
    return start_service(headers_s=0.5, keep_alive_s=1, answer_s=1, header_bytes=2048, body_bytes=1_000_000)


@pytest.fixture(scope="module")
def small(photo):
    return encode_image(photo[:8, :8])


@pytest.fixture
def connect(strict):
    """Opens connections to that service."""
    opened = []

    def open_one(service=strict):
        host, port = service.url.removeprefix("http://").split(":")
        opened.append(socket.create_connection((host, int(port)), timeout=SOON_S))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()


def read_to_end(connection):
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def answers_in(stream):
    """(status, headers, body) of every answer in a stream."""
    answers = []
    while stream:
        head, _, rest = stream.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers["content-length"])
        answers.append((int(status.split()[1]), headers, rest[:length]))
        stream = rest[length:]
    return answers


def only_problem(stream, status, kind):
    ((came, headers, body),) = answers_in(stream)
    assert came == status
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    problem = json.loads(body)
    assert problem["type"] == f"urn:vqvae:problem:{kind}"
    assert problem["request_id"] == headers["x-request-id"]
    return problem


def num_problems(service, kind):
    found = re.search(rf'vqvae_problems_total{{problem="{kind}"}} (\d+)', service.client.get("/metrics").text)
    return int(found[1]) if found else 0


def test_headers_that_dribble_in_are_408(strict, connect):
    before = num_problems(strict, "too-slow")
    connection = connect()
    connection.sendall(b"GET /livez HTTP/1.1\r\n")
    began = time.monotonic()
    for _ in range(3):
        time.sleep(0.1)
        connection.sendall(b"X")
    problem = only_problem(read_to_end(connection), 408, "too-slow")
    assert "within 0.5 s" in problem["detail"]
    assert time.monotonic() - began < SOON_S / 2
    assert num_problems(strict, "too-slow") == before + 1


def test_headers_of_a_second_request_have_a_deadline_too(connect):
    connection = connect()
    connection.sendall(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n")
    time.sleep(0.2)
    connection.sendall(b"GET /livez HT")
    (ok, _, _), (late, _, _) = answers_in(read_to_end(connection))
    assert (ok, late) == (200, 408)


def test_a_connection_that_says_nothing_is_closed_without_a_word(connect):
    assert read_to_end(connect()) == b""


def test_an_idle_connection_is_closed(connect):
    connection = connect()
    connection.sendall(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n")
    ((status, _, _),) = answers_in(read_to_end(connection))
    assert status == 200


def test_headers_that_are_too_large_are_431(connect):
    connection = connect()
    connection.sendall(b"GET /livez HTTP/1.1\r\n" + HOST + b"X-Large: " + b"x" * 5000)
    problem = only_problem(read_to_end(connection), 431, "headers-too-large")
    assert "2048 bytes" in problem["detail"]


def test_headers_that_are_too_large_are_431_also_where_they_come_at_once(connect):
    connection = connect()
    lines = b"".join(b"X-%d: %b\r\n" % (i, b"x" * 100) for i in range(300))
    connection.sendall(b"GET /livez HTTP/1.1\r\n" + HOST + lines + b"\r\n")
    only_problem(read_to_end(connection), 431, "headers-too-large")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01",  # the beginning of TLS
        b"hello\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nNo colon\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n",
        b"POST /v1/encode HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /v1/encode HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_400(connect, sent):
    connection = connect()
    connection.sendall(sent)
    only_problem(read_to_end(connection), 400, "malformed")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (b"http://other:80/livez", b"/livez"),
        (b"HTTPS://other/v1/models/tiny?a=b", b"/v1/models/tiny?a=b"),
        (b"http://other/livez/no%3Fthing", b"/livez/no%3Fthing"),
        (b"http://other", b"/"),
        (b"http://other?a=b", b"/?a=b"),
    ],
)
def test_a_whole_url_is_asked_for_as_its_path_is(connect, url, path):
    connection = connect()
    for target in url, path:
        connection.sendall(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    (status, _, body), (status_of_path, _, body_of_path) = answers_in(read_to_end(connection))
    assert status == status_of_path
    if status == 200:
        assert body == body_of_path
    assert (status == 404) == (b"no" in path)


def test_a_whole_url_takes_a_body_and_options_and_is_logged_as_its_path(strict, connect, small):
    connection = connect()
    head = b"POST http://other/v1/encode?encoding=base64 HTTP/1.1\r\n" + HOST + b"X-Request-ID: whole-url\r\n"
    connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(small) + small)
    ((status, _, body),) = answers_in(read_to_end(connection))
    assert status == 200
    assert b"codes_b64" in body
    assert "whole-url POST /v1/encode 200 " in strict.log.read_text()


def test_a_body_with_two_lengths_is_refused_and_what_follows_is_no_request(strict, connect):
    head = b"POST /v1/encode HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection = connect()
    connection.sendall(head + b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
    only_problem(read_to_end(connection), 400, "malformed")
    assert "smuggled" not in strict.log.read_text()


def test_nothing_is_upgraded_and_nothing_said_of_it_in_the_log(strict, connect, small):
    head = b"POST /v1/encode HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    connection = connect()
    connection.sendall(2 * (head + b"Content-Length: %d\r\n\r\n" % len(small) + small))
    assert [status for status, _, _ in answers_in(read_to_end(connection))] == [200, 200]
    assert "WebSocket" not in strict.log.read_text()


def test_pipelined_requests_are_answered_in_order(connect, small):
    post = b"POST /v1/encode?encoding=base64 HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (
        HOST,
        len(small),
        small,
    )
    connection = connect()
    connection.sendall(3 * (post + b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"))
    answers = answers_in(read_to_end(connection))
    assert [status for status, _, _ in answers] == [200] * 6
    assert [b"codes_b64" in body for _, _, body in answers] == [True, False] * 3


def test_a_body_without_an_end_is_refused_and_cut_off(connect):
    connection = connect()
    connection.sendall(b"POST /v1/encode HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    began = time.monotonic()
    with pytest.raises(OSError, match=r"Broken pipe|reset"):  # noqa: PT012 - one of many sends
        while time.monotonic() - began < SOON_S:
            connection.sendall(b"1000\r\n" + bytes(0x1000) + b"\r\n")
            time.sleep(0.0005)
    assert time.monotonic() - began < SOON_S


def test_a_body_shorter_than_announced_is_dropped_with_its_connection(strict, connect, small):
    connection = connect()
    connection.sendall(b"POST /v1/encode HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n" + small)
    connection.shutdown(socket.SHUT_WR)
    stream = read_to_end(connection)
    assert b" 200 " not in stream
    assert strict.client.post("/v1/encode", content=small).status_code == 200


def test_what_follows_a_body_is_another_request(connect, small):
    connection = connect()
    head = b"POST /v1/encode HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(small)
    connection.sendall(head + small + b"garbage\r\n\r\n")
    (first, _, _), (second, _, _) = answers_in(read_to_end(connection))
    assert (first, second) == (200, 400)


def test_a_client_that_does_not_take_its_answer_is_let_go(strict, connect):
    large = encode_image(np.random.default_rng(0).integers(0, 256, (400, 600, 3), np.uint8), "image/jpeg")
    head = (
        b"POST /v1/reconstruct HTTP/1.1\r\n"
        + HOST
        + b"Accept: application/x-npy\r\nContent-Length: %d\r\n\r\n"
    )
    connections = []
    for _ in range(4):
        connection = connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall((head % len(large) + large) * 8)
        connections.append(connection)
    with pytest.raises(OSError, match="reset"):  # noqa: PT012
        time.sleep(SOON_S / 4)
        for _ in range(100):
            connections[0].sendall(large)
            time.sleep(0.05)
    assert strict.client.get("/readyz").status_code == 200


def test_one_connection_too_many_is_503(start_service, connect):
    service = start_service(connections=3)
    assert service.client.get("/livez").status_code == 200  # one
    connect(service), connect(service)
    refused = [connect(service) for _ in range(3)]
    assert read_to_end(connect(service)) == b""  # to tell each of so many would take as many connections
    for connection in refused:
        only_problem(read_to_end(connection), 503, "unavailable")
    assert service.client.get("/livez").status_code == 200


# ---- answers that are not taken: in this process, where little of one gets into the kernel's buffers


class Answering:
    """Answers every request with so many bytes."""

    is_draining = False

    def __init__(self, num_bytes, **settings):
        self.body = np.random.default_rng(0).bytes(num_bytes)
        self.state = ServerState()
        self.clients = []
        settings = Settings(threads=1, **settings)
        telemetry = Telemetry()
        config = uvicorn.Config(
            RequestContext(self.answer, telemetry),
            ws="none",
            log_config=None,
            timeout_keep_alive=settings.keep_alive_s,
        )
        self.connection = lambda: Connection(
            settings=settings,
            telemetry=telemetry,
            is_draining=lambda: self.is_draining,
            config=config,
            server_state=self.state,
            app_state={},
        )

    async def answer(self, scope, receive, send):
        headers = [(b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})

    @property
    def num_waiting(self):
        """Bytes that wait for their client."""
        return sum(each.transport.get_write_buffer_size() for each in self.state.connections)

    async def __aenter__(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        self.address = listener.getsockname()
        self.server = await asyncio.get_running_loop().create_server(self.connection, sock=listener)
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for writer in self.clients:
            writer.transport.abort()

    async def ask(self, *headers, num_times=1):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, self.address)
        reader, writer = await asyncio.open_connection(sock=client, limit=4096)
        self.clients.append(writer)
        writer.write(num_times * b"\r\n".join([b"GET / HTTP/1.1", b"Host: x", *headers, b"", b""]))
        await reader.readuntil(b"\r\n\r\n")
        return reader


async def read_slowly(reader, num_bytes, pause_s):
    """What comes of so many bytes, a little at a time."""
    came = b""
    while len(came) < num_bytes and (piece := await reader.read(min(16384, num_bytes - len(came)))):
        came += piece
        await asyncio.sleep(pause_s)
    return came


async def until(condition):
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.anyio
async def test_a_large_answer_waits_for_its_client_in_one_copy():
    async with Answering(10_000_000) as server:
        for _ in range(10):
            await server.ask()
        await asyncio.sleep(0.2)
        assert 0 < server.num_waiting <= 10 * 2 * PIECE_BYTES
        reader = await server.ask()
        assert await reader.readexactly(len(server.body)) == server.body


@pytest.mark.anyio
async def test_a_client_that_is_slow_has_its_time_however_short_a_connection_is_kept(monkeypatch):
    monkeypatch.setattr("service.connections.LINGER_S", 0.1)
    async with Answering(1_500_000, keep_alive_s=1, answer_s=60) as server:
        reader = await server.ask()
        assert await read_slowly(reader, len(server.body), 0.03) == server.body


@pytest.mark.anyio
async def test_a_client_that_is_too_slow_is_let_go_also_where_some_of_its_answer_goes_on():
    async with Answering(5_000_000, answer_s=1) as server:
        reader = await server.ask()
        assert len(await read_slowly(reader, len(server.body), 0.05)) < len(server.body)
        assert not server.state.connections


@pytest.mark.anyio
async def test_every_answer_of_a_connection_has_a_time_of_its_own():
    async with Answering(500_000, answer_s=3) as server:
        reader = await server.ask(num_times=4)
        for number in range(4):
            if number:
                await reader.readuntil(b"\r\n\r\n")
            assert await read_slowly(reader, len(server.body), 0.04) == server.body


@pytest.mark.anyio
@pytest.mark.parametrize(("num_bytes", "num_left"), [(60_000, 60_000), (200_000, 15_000)])
async def test_a_connection_that_is_to_be_closed_is_closed_also_where_the_rest_is_never_taken(
    num_bytes, num_left
):
    async with Answering(num_bytes, answer_s=2) as server:
        reader = await server.ask(b"Connection: close")
        while server.num_waiting > num_left:
            await reader.read(1024)
        await asyncio.sleep(0.1)
        assert server.num_waiting > 0
        await until(lambda: not server.state.connections)


@pytest.mark.anyio
async def test_in_a_drain_a_client_that_still_sends_loses_its_connection_only_with_the_next_answer():
    async with Answering(10) as server:
        server.is_draining = True
        reader, writer = await asyncio.open_connection(*server.address)
        server.clients.append(writer)
        writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\n")
        early = await reader.readuntil(server.body)
        writer.write(b"restGET / HTTP/1.1\r\n" + HOST + b"\r\n")
        async with asyncio.timeout(SOON_S):
            last = await reader.read()
    assert last.endswith(server.body)
    assert [b"\r\nconnection: close\r\n" in answer.lower() for answer in (early, last)] == [False, True]
