"""Clients of both kinds, the service's own fixtures to try them on, and a server that does as it is told."""

import asyncio
import importlib.util
import socket
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest

from vqvae import AsyncClient, Client
from vqvae.code_grid import CodeGrid, CodeSpace
from vqvae.formats import to_code_file, to_document, to_item

_spec = importlib.util.spec_from_file_location(
    "service_fixtures", Path(__file__).parents[2] / "service" / "conftest.py"
)
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
start_service, service = _fixtures.start_service, _fixtures.service
tokenizer, other_tokenizer = _fixtures.tokenizer, _fixtures.other_tokenizer
photo, png = _fixtures.photo, _fixtures.png

SPACE = CodeSpace("fake", "1a" * 32, 64, 8)
OTHER_SPACE = CodeSpace("fake", "2b" * 32, 64, 8)
LIMITS = {
    "body_bytes": 20_000_000,
    "image_megapixels": 16,
    "request_megapixels": 64,
    "images_per_request": 64,
    "codes_per_request": 2**22,
}


class Awaited:
    """An AsyncClient for tests that do not wait by themselves: what it gives is awaited or gathered."""

    def __init__(self, *arguments, **options):
        self._runner = asyncio.Runner()
        self._client = self._runner.run(self._make(*arguments, **options))

    async def _make(self, *arguments, **options):
        return AsyncClient(*arguments, **options)

    def __getattr__(self, name):
        function = getattr(self._client, name)

        def call(*arguments, **options):
            result = function(*arguments, **options)
            if hasattr(result, "__aiter__"):
                return self._each(result)
            return self._runner.run(self._await(result))

        return call

    def __repr__(self):
        return repr(self._client)

    async def _await(self, result):
        return await result

    def _each(self, results):
        try:
            while True:
                yield self._runner.run(self._await(anext(results)))
        except StopAsyncIteration:
            return
        finally:
            self._runner.run(self._await(results.aclose()))

    def end(self):
        self._runner.run(self._client.close())
        self._runner.close()


@pytest.fixture(params=["blocking", "asyncio"])
def make_client(request):
    """Makes a client of either kind, used alike; it is closed after the test."""
    made = []

    def make(*arguments, **options):
        made.append((Client if request.param == "blocking" else Awaited)(*arguments, **options))
        return made[-1]

    yield make
    for client in made:
        client.close() if isinstance(client, Client) else client.end()


@pytest.fixture
def client(make_client, service):
    return make_client(service.url)


@dataclass
class Asked:
    """A request that the fake server got."""

    method: str
    path: str  # with its query
    headers: object
    body: bytes
    at: float  # time.monotonic()

    @property
    def num_images(self):
        return max(1, self.body.count(b'name="image"'))


@dataclass
class Reply:
    """What the fake server says."""

    status: int = 200
    body: bytes = b""
    media_type: str | None = "application/json"
    headers: tuple = ()
    pause_s: float = 0.0  # before each byte
    length: int | None = None  # that is announced


def codes_reply(asked, space=SPACE, first=0):
    """Codes for as many images as came, alike but for the first one, which counts from `first`."""
    grids = [CodeGrid([[first + i, 1, 2]], 20, 8, space) for i in range(asked.num_images)]
    if "vnd.vqvae.codes" in asked.headers["accept"]:
        return Reply(body=to_code_file(grids[0]), media_type="application/vnd.vqvae.codes")
    items = [to_item(grid, i, "base64") for i, grid in enumerate(grids)]
    return Reply(body=orjson.dumps(to_document(items)))


def problem_reply(status, kind="internal", headers=(), /, **members):
    problem = {"type": f"urn:vqvae:problem:{kind}", "title": kind, "status": status, "detail": "so it is"}
    return Reply(status, orjson.dumps(problem | members), "application/problem+json", headers)


def models_reply(**limits):
    card = {
        "name": "fake",
        "default": True,
        "fingerprint": SPACE.fingerprint,
        "downsample_factor": 8,
        "codebook_size": 64,
        "codebook_dim": 4,
        "decoder": "faithful",
        "limits": LIMITS | limits,
    }
    return Reply(body=orjson.dumps({"data": [card]}))


class FakeServer:
    """Answers each request by `play(asked, number)`, where None is to hang up without a word."""

    def __init__(self, play, limits):
        self.asked = []
        self.gone = threading.Event()  # a client that hung up before its answer was sent
        self.num_busy = self.most_busy = 0
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.do_POST()

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked = Asked(self.command, self.path, self.headers, body, time.monotonic())
                if self.path == "/v1/models":
                    return self.send(models_reply(**limits))
                with fake._lock:
                    fake.asked.append(asked)
                    number = len(fake.asked)
                    fake.num_busy += 1
                    fake.most_busy = max(fake.most_busy, fake.num_busy)
                try:
                    reply = play(asked, number)
                    if callable(reply):
                        reply = reply(self)
                finally:
                    with fake._lock:
                        fake.num_busy -= 1
                if reply is None:
                    self.close_connection = True
                    return None
                return self.send(reply)

            def send(self, reply):
                self.send_response_only(reply.status)
                self.send_header(
                    "Content-Length", str(len(reply.body) if reply.length is None else reply.length)
                )
                if reply.media_type:
                    self.send_header("Content-Type", reply.media_type)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for start in range(0, len(reply.body), 1 if reply.pause_s else 2**16):
                        time.sleep(reply.pause_s)
                        self.wfile.write(reply.body[start : start + (1 if reply.pause_s else 2**16)])
                except OSError:
                    self.close_connection = True
                if reply.length is not None:
                    self.close_connection = True

            def wait_for_the_client_to_leave(self):
                self.connection.settimeout(30)
                if self.connection.recv(1, socket.MSG_PEEK) == b"":
                    fake.gone.set()

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def fake_server():
    """Starts a server that plays a part; limits of its only model may be given."""
    started = []

    def start(play, **limits):
        started.append(FakeServer(play, limits))
        return started[-1]

    start.reply, start.codes, start.problem = Reply, codes_reply, problem_reply
    start.space, start.other_space = SPACE, OTHER_SPACE
    yield start
    for server in started:
        server.stop()
