"""What only a client on asyncio can: be cancelled, ask at once, take from an asynchronous source."""

import asyncio
import time

import pytest

from vqvae import AsyncClient
from vqvae.errors import ServiceTimeoutError

RGB = b"BM" + bytes(60)


@pytest.fixture
def anyio_backend():
    return "asyncio"


pytestmark = pytest.mark.anyio


def waits_for_the_client_to_leave(handler):
    handler.wait_for_the_client_to_leave()


async def wait_until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen within 10 s")


async def test_calls_run_at_one_time(fake_server):
    def play(asked, _):
        time.sleep(0.5)
        return fake_server.codes(asked)

    server = fake_server(play)
    async with AsyncClient(server.url) as client:
        grids = await asyncio.gather(*(client.encode(RGB) for _ in range(6)))
    assert len(grids) == 6
    assert server.most_busy == 6


async def test_cancelling_a_call_closes_its_connection(fake_server):
    server = fake_server(lambda *_: waits_for_the_client_to_leave)
    async with AsyncClient(server.url) as client:
        call = asyncio.create_task(client.encode(RGB))
        await wait_until(lambda: server.asked)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await wait_until(server.gone.is_set)


async def test_a_timeout_closes_the_connection_and_the_client_goes_on(fake_server):
    def play(asked, number):
        return waits_for_the_client_to_leave if number == 1 else fake_server.codes(asked)

    server = fake_server(play)
    async with AsyncClient(server.url, timeout_s=1) as client:
        with pytest.raises(ServiceTimeoutError):
            await client.encode(RGB)
        await wait_until(server.gone.is_set)
        assert await client.encode(RGB)


@pytest.mark.parametrize("how", ["break", "aclose", "cancel"])
async def test_leaving_early_closes_what_is_in_flight(fake_server, how):
    def play(asked, number):
        return fake_server.codes(asked) if number == 1 else waits_for_the_client_to_leave

    server = fake_server(play, images_per_request=1)

    async def consume(client):
        results = client.encode_many([RGB] * 10, max_in_flight=2)
        async for _ in results:
            await wait_until(lambda: len(server.asked) >= 3)
            if how != "cancel":  # which comes while the next one is waited for
                break
        if how == "aclose":
            await results.aclose()

    async with AsyncClient(server.url) as client:
        task = asyncio.create_task(consume(client))
        if how == "cancel":
            await wait_until(lambda: len(server.asked) >= 3)
            await asyncio.sleep(0.2)
            task.cancel()
        await asyncio.wait([task])
        await wait_until(server.gone.is_set)
        assert len(server.asked) == 3


async def test_an_asynchronous_source_is_as_good_as_another(fake_server):
    server = fake_server(lambda asked, _: fake_server.codes(asked))

    async def source():
        for _ in range(5):
            await asyncio.sleep(0)
            yield RGB

    async with AsyncClient(server.url) as client:
        grids = [grid async for grid in client.encode_many(source())]
    assert len(grids) == 5


async def test_the_loop_stays_free_while_images_are_read(fake_server):
    server = fake_server(lambda asked, _: fake_server.codes(asked))

    class Slow:
        def __fspath__(self):
            time.sleep(0.5)
            return "nowhere"

    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async with AsyncClient(server.url) as client:
        ticking = asyncio.create_task(tick())
        outcomes = [outcome async for outcome in client.encode_many([Slow()], errors="yield")]
        ticking.cancel()
    assert len(outcomes) == 1
    assert ticks > 5
