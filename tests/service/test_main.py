"""`python -m service` as a process: start, failed starts, and the way it stops."""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.__main__ import _bound_socket
from service.settings import PREFIX, Settings
from vqvae.pixels import encode_image

ROOT = Path(__file__).parents[2]


def run_to_its_end(**settings):
    variables = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "service"],
        check=False,
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def one_line_of_error(ended):
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_it_says_where_it_serves(service):
    assert f"serving on {service.url} (documentation at {service.url}/docs" in service.log.read_text()


def test_every_request_has_a_line_in_the_log_without_its_query(service):
    service.client.get("/v1/models/nope?secret=1", headers={"x-request-id": "an-id"})
    for _ in range(100):  # it is written after the answer
        lines = [line for line in service.log.read_text().splitlines() if "an-id" in line]
        if lines:
            break
        time.sleep(0.05)
    (line,) = lines
    assert "an-id GET /v1/models/nope 404 " in line
    assert "secret" not in line


def test_no_child_process_is_given_the_keys(start_service):
    service = start_service(api_keys="a-secret-key")
    process = Path(f"/proc/{service.process.pid}")
    children = " ".join(file.read_text() for file in process.glob("task/*/children")).split()
    assert len(children) == 3  # two for headers, one for pixels
    assert b"a-secret-key" in (process / "environ").read_bytes()
    for child in children:
        assert b"a-secret-key" not in Path(f"/proc/{child}/environ").read_bytes()


def test_the_log_comes_as_json_where_that_is_wanted(start_service, png):
    service = start_service(log="json")
    service.client.post("/v1/encode?encoding=base64", content=png, headers={"x-request-id": "an-id"})
    service.client.post("/v1/encode", content=b"secret", headers={"x-request-id": "another-id"})
    service.stop()
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, lines))
    (line,) = (line for line in lines if line.get("request_id") == "an-id")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/encode", 200)
    assert 0 < line["model_ms"] < line["duration_ms"]
    assert "secret" not in service.log.read_text()


def test_it_takes_as_many_connections_as_its_settings_say_where_few_files_are_allowed_at_first(start_service):
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, allowed[1]))
    try:
        service = start_service()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
    host, port = service.url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(socket.create_connection((host, int(port))))
        assert httpx.get(f"{service.url}/livez", timeout=30).status_code == 200


def test_it_listens_on_an_address_of_ipv6(start_service):
    service = start_service(host="::1")
    assert service.url.startswith("http://[::1]:")
    assert service.client.get("/livez").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_is_sent_as_it_is_written_and_waits_for_no_more(host):
    async def accepted() -> int:
        taken = asyncio.Queue()
        listener = _bound_socket(Settings(host=host, port=0))
        async with await asyncio.start_server(lambda _, writer: taken.put_nowait(writer), sock=listener):
            with socket.create_connection(listener.getsockname()[:2]):
                writer = await taken.get()
                at_once = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                writer.close()
        return at_once

    assert asyncio.run(accepted())


def test_a_missing_model_ends_the_start_with_one_line():
    assert "no model at nowhere/photo-f8" in one_line_of_error(
        run_to_its_end(port=0, models="nowhere/photo-f8")
    )


def test_a_port_in_use_ends_the_start_with_one_line(weights):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = one_line_of_error(run_to_its_end(port=port, models=weights / "tiny"))
    assert f"cannot listen on 127.0.0.1:{port}" in line
    assert f"{PREFIX}PORT" in line


def test_a_device_that_is_not_here_ends_the_start_with_one_line(weights):
    line = one_line_of_error(run_to_its_end(port=0, models=weights / "tiny", device="toaster"))
    assert "device 'toaster' cannot be used here" in line


def test_a_wrong_setting_ends_the_start_with_one_line():
    assert f"{PREFIX}PORT" in one_line_of_error(run_to_its_end(port="http"))


@pytest.fixture(scope="module")
def large_upload():
    """Images that take a while."""
    return [("image", encode_image(np.zeros((1024, 1024, 3), np.uint8)))] * 3


def start_large_request(service, upload):
    """Asks in a thread; the thread and its answer to come, once the request is accepted."""
    answers = []

    def ask():
        answers.append(httpx.post(f"{service.url}/v1/reconstruct", files=upload, timeout=60))

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(1000):
        if service.client.get("/readyz").json()["num_requests"]:
            return thread, answers
        time.sleep(0.01)
    raise AssertionError("the request was not accepted")


def begin_drain(service):
    """Sends SIGTERM, and returns once it has come."""
    service.process.send_signal(signal.SIGTERM)
    for _ in range(1000):
        if service.client.get("/readyz").status_code == 503:
            return
        time.sleep(0.01)
    raise AssertionError("the drain did not begin")


def test_sigterm_drains(start_service, large_upload, problem_of):
    service = start_service()
    thread, answers = start_large_request(service, large_upload)
    begin_drain(service)
    problem_of(service.client.get("/readyz"), 503, "unavailable")
    refused = service.client.post("/v1/encode", files=large_upload[:1])
    problem_of(refused, 503, "unavailable")
    assert not answers
    thread.join(timeout=60)
    assert answers[0].json()["counts"] == {"images": 3, "failed": 0}
    assert service.process.wait(timeout=20) == 0


def test_answers_of_the_drain_close_their_connections_also_those_from_before_it(start_service, large_upload):
    service = start_service()
    host, port = service.url.removeprefix("http://").split(":")
    ask = b"HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n"  # whose answer comes in one piece
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(ask)
        before = connection.recv(65536)
        thread, answers = start_large_request(service, large_upload)
        begin_drain(service)
        connection.sendall(ask)
        during = b"".join(iter(lambda: connection.recv(65536), b""))  # up to its end
    assert not answers  # so it was not the end of the service that ended it
    thread.join(timeout=60)
    assert before.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" not in before.lower()
    assert during.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nconnection: close\r\n" in during.lower()
    assert answers[0].status_code == 200
    assert answers[0].headers["connection"] == "close"


def test_a_drain_that_takes_too_long_ends_with_503_and_an_error(start_service, large_upload, problem_of):
    service = start_service(drain_s=0)
    thread, answers = start_large_request(service, large_upload)
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(timeout=30) == 1
    assert "unanswered after draining for 0 s" in service.log.read_text()
    thread.join(timeout=60)
    problem_of(answers[0], 503, "unavailable")


def test_a_second_signal_ends_a_drain_at_once(start_service, large_upload, problem_of):
    service = start_service(drain_s=300)
    thread, answers = start_large_request(service, large_upload * 10)
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert service.process.poll() is None
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(timeout=30) == 1
    thread.join(timeout=60)
    problem_of(answers[0], 503, "unavailable")


def test_a_client_that_vanishes_in_the_middle_of_its_body_leaves_nothing_behind(service):
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            b"POST /v1/encode HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nX-Request-ID: vanishing\r\n\r\n"
        )
        connection.sendall(head + bytes(100))
    for _ in range(300):
        if "vanishing POST /v1/encode 499" in service.log.read_text():
            return
        time.sleep(0.01)
    raise AssertionError(service.log.read_text())


def test_a_client_that_hangs_up_frees_its_place(service, large_upload):
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{service.url}/v1/reconstruct", files=large_upload * 5, timeout=0.7)
    for _ in range(300):
        if service.client.get("/readyz").json()["num_requests"] == 0:
            break
        time.sleep(0.01)
    else:
        raise AssertionError("the place was not freed")
    small = encode_image(np.zeros((8, 8, 3), np.uint8))
    assert service.client.post("/v1/encode", content=small).status_code == 200


def test_ctrl_c_while_models_load_ends_it_quietly():
    program = """
import signal
from service.__main__ import main
from vqvae import Tokenizer
Tokenizer.load_decoders = lambda *_, **__: signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        cwd=ROOT,
        env=os.environ | {f"{PREFIX}PORT": "0"},
        capture_output=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")
