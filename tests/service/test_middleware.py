"""The request's id, and answers where something broke."""

import asyncio

import httpx
import pytest

from service.middleware import RequestContext
from service.telemetry import Telemetry

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
def test_a_clients_request_id_is_kept_if_it_fits(client, given):
    assert client.get("/livez", headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a;b", "é", "a/b"])
def test_another_request_id_is_replaced(client, given):
    replaced = client.get("/livez", headers={"x-request-id": given.encode()}).headers["x-request-id"]
    assert replaced != given
    assert len(replaced) == 32


def test_every_request_has_an_id_of_its_own(client):
    assert len({client.get("/livez").headers["x-request-id"] for _ in range(5)}) == 5


async def answer_of(app):
    transport = httpx.ASGITransport(RequestContext(app, Telemetry()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get("/")


async def test_what_no_handler_knows_is_a_problem_as_well(problem_of, caplog):
    async def broken(scope, receive, send):
        raise ZeroDivisionError("ours")

    problem_of(await answer_of(broken), 500, "internal")
    assert "ours" in caplog.text


async def test_a_cancelled_request_is_503(problem_of):
    async def cancelled(scope, receive, send):
        raise asyncio.CancelledError

    problem_of(await answer_of(cancelled), 503, "unavailable")


async def test_an_answer_that_breaks_off_is_not_answered_again():
    async def broken_late(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with pytest.raises(ZeroDivisionError):
        await RequestContext(broken_late, Telemetry())(scope, None, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_a_client_that_is_slow_to_take_its_answer_when_the_service_stops_is_no_fault_of_ours():
    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answer"})

    started = asyncio.Event()

    async def send(message):
        if message["type"] == "http.response.body":
            started.set()
            await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    request = asyncio.create_task(RequestContext(answer, Telemetry())(scope, None, send))
    await started.wait()
    request.cancel()
    await request


async def test_what_is_no_http_passes_by():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    await RequestContext(app, Telemetry())({"type": "lifespan"}, None, None)
    assert seen == [{"type": "lifespan"}]
