"""What becomes of requests when the model is slow, breaks, or is asked for too much; forced in-process."""

import asyncio
import base64
import re
import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest

from vqvae.code_grid import CodeGrid
from vqvae.formats import to_code_file
from vqvae.pixels import encode_image

pytestmark = pytest.mark.anyio
SOON_S = 10
AS_JSON = {"Accept": "application/json"}


class Held:
    """The tiles of every encoding wait here until they are released, one by one or all."""

    def __init__(self, tokenizer, monkeypatch):
        self.gate = threading.Semaphore(0)
        self.num_waiting = self.num_run = 0
        encoding = tokenizer.encoding

        def held_encoding(rgb):
            job = encoding(rgb)
            run = job.run

            def held_run(i):
                self.num_waiting += 1
                assert self.gate.acquire(timeout=SOON_S)
                self.num_run += 1
                run(i)

            monkeypatch.setattr(job, "run", held_run)
            return job

        monkeypatch.setattr(tokenizer, "encoding", held_encoding)

    def release(self, num_tiles=1000):
        self.gate.release(num_tiles)


async def until(condition):
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
def held(monkeypatch):
    """Holds the model of an application, once its scheduler is ready (its probe would be held as well)."""

    async def hold(app):
        service = app.state.service
        await until(lambda: service.scheduler.health.fault is None)
        monkeypatch.setattr("service.scheduler.PROBE_AFTER_S", 1000)
        service.scheduler._probe_at += 1000
        return Held(service.registry.default, monkeypatch)

    return hold


def image_of(height, width):
    return encode_image(np.zeros((height, width, 3), np.uint8))


def health_of(app):
    return app.state.service.scheduler.health


async def test_a_full_queue_is_429_with_retry_after_while_accepted_requests_go_on(
    in_process, held, problem_of
):
    async with in_process(queue_megapixels=0.25) as (client, app):
        model = await held(app)
        accepted = [
            asyncio.create_task(client.post("/v1/encode", content=image_of(256, 256))) for _ in range(4)
        ]
        await until(lambda: health_of(app).num_requests == 4)
        refused = await client.post("/v1/encode", content=image_of(256, 256))
        problem = problem_of(refused, 429, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert (problem["limit"], problem["actual"]) == (0.25, 0.3125)
        model.release()
        assert [(await answer).status_code for answer in accepted] == [200] * 4
        assert (await client.post("/v1/encode", content=image_of(256, 256))).status_code == 200


async def test_small_images_cost_at_least_a_64th_of_a_megapixel(in_process, held):
    async with in_process() as (client, app):
        model = await held(app)
        answer = asyncio.create_task(client.post("/v1/reconstruct", content=image_of(1, 1)))
        await until(lambda: health_of(app).num_requests == 1)
        assert health_of(app).queue_megapixels == 2 / 64  # to codes and back
        model.release()
        assert (await answer).status_code == 200


async def test_an_image_of_one_row_is_as_much_work_as_the_rows_that_it_is_padded_to(
    in_process, held, tokenizer, problem_of
):
    codes = to_code_file(CodeGrid(np.zeros((1, 16384), int), 131072, 1, tokenizer.space))
    async with in_process(queue_megapixels=3) as (client, app):
        model = await held(app)
        answer = asyncio.create_task(client.post("/v1/reconstruct", content=image_of(1, 131072)))
        await until(lambda: model.num_waiting == 1)
        assert health_of(app).queue_megapixels == 2 * 8 * 131072 / 2**20
        for path, content in ("encode", image_of(131072, 1)), ("decode", codes):
            problem = problem_of(await client.post(f"/v1/{path}", content=content), 429, "overloaded")
            assert problem["actual"] == 3
        model.release(100_000)
        assert (await answer).status_code == 200


async def test_bodies_in_memory_are_limited_together(in_process, held, problem_of):
    noise = encode_image(np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8))
    async with in_process(queue_body_bytes=2 * len(noise)) as (client, app):
        model = await held(app)
        accepted = [asyncio.create_task(client.post("/v1/encode", content=noise)) for _ in range(2)]
        await until(lambda: health_of(app).num_requests == 2)
        refused = await client.post("/v1/encode", content=noise)
        problem_of(refused, 429, "overloaded")
        assert "retry-after" in refused.headers
        model.release()
        assert [(await answer).status_code for answer in accepted] == [200] * 2
        assert (await client.post("/v1/encode", content=noise)).status_code == 200


async def test_an_answer_that_is_late_is_504_and_its_work_is_dropped(in_process, held, problem_of):
    async with in_process(deadline_s=1.5, deadline_s_per_megapixel=0) as (client, app):
        model = await held(app)
        late = await client.post("/v1/encode", content=image_of(256, 256))
        problem_of(late, 504, "deadline-passed")
        assert "queue;dur=" in late.headers["server-timing"]
        assert health_of(app).num_requests == 0
        model.release()
        assert (await client.post("/v1/encode", content=image_of(8, 8))).status_code == 200
        assert model.num_run == 2  # the tile that was being run, and that of the small image


async def test_the_deadline_ends_all_images_of_a_request_together(in_process, held, problem_of):
    async with in_process(deadline_s=0.1, deadline_s_per_megapixel=0) as (client, app):
        model = await held(app)
        files = [("image", image_of(8, 8))] * 3
        problem_of(await client.post("/v1/encode", files=files), 504, "deadline-passed")
        model.release()


@pytest.fixture
def leaving_client():
    """Asks an application; gives the request's task, what makes its client leave, and what is sent to it."""

    def ask(app, request, takes=None):
        left = asyncio.Event()
        sent = []
        body = [{"type": "http.request", "body": request.read(), "more_body": False}]

        async def receive():
            if body:
                return body.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if takes is not None:
                await takes.wait()

        scope = {
            "type": "http",
            "method": request.method,
            "path": request.url.path,
            "query_string": request.url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "http_version": "1.1",
        }
        return asyncio.create_task(app(scope, receive, send)), left.set, sent

    return ask


async def test_a_client_that_leaves_frees_its_place_and_its_tiles_are_dropped(
    in_process, held, leaving_client
):
    async with in_process() as (client, app):
        model = await held(app)
        whole = client.build_request("POST", "/v1/encode", content=image_of(256, 512))
        request, leave, sent = leaving_client(app, whole)
        await until(lambda: model.num_waiting == 1)
        assert health_of(app).num_requests == 1
        leave()
        await request
        assert sent[0]["status"] == 499
        assert health_of(app).num_requests == 0
        assert app.state.service.bodies._num_bytes == 0
        model.release()
        assert (await client.post("/v1/encode", content=image_of(8, 8))).status_code == 200
        assert model.num_run == 2  # one of the large image's 32 tiles, and the small image's


async def test_answers_count_as_bodies_in_memory_until_they_are_taken(in_process, leaving_client, problem_of):
    async with in_process(queue_body_bytes=100_000) as (client, app):
        as_npy = {"Accept": "application/x-npy"}  # 120 kB
        whole = client.build_request("POST", "/v1/reconstruct", content=image_of(200, 200), headers=as_npy)
        taken = asyncio.Event()
        request, _, sent = leaving_client(app, whole, taken)
        await until(lambda: sent)
        assert health_of(app).num_requests == 0
        problem_of(await client.post("/v1/encode", content=image_of(8, 8)), 429, "overloaded")
        taken.set()
        await request
        assert app.state.service.bodies._num_bytes == 0
        assert (await client.post("/v1/encode", content=image_of(8, 8))).status_code == 200


async def test_a_fault_in_the_model_is_500_without_details_and_in_the_log(
    in_process, monkeypatch, caplog, problem_of
):
    async with in_process() as (client, app):

        def broken(_):
            raise ZeroDivisionError("a secret of ours")

        with monkeypatch.context() as patch:
            patch.setattr(app.state.service.registry.default, "encoding", broken)
            answer = await client.post("/v1/encode", content=image_of(8, 8), headers={"x-request-id": "abc"})
        problem_of(answer, 500, "internal")
        assert "secret" not in answer.text
        assert "a secret of ours" in caplog.text
        assert "request abc failed" in caplog.text
        assert (await client.post("/v1/encode", content=image_of(8, 8))).status_code == 200


async def test_a_fault_in_one_image_fails_its_item_alone(in_process, monkeypatch):
    async with in_process() as (client, app):
        tokenizer = app.state.service.registry.default
        encoding = tokenizer.encoding

        def broken_for_wide(rgb):
            if rgb.shape[1] == 9:
                raise ZeroDivisionError
            return encoding(rgb)

        monkeypatch.setattr(tokenizer, "encoding", broken_for_wide)
        files = [("image", image_of(8, width)) for width in (8, 9, 10)]
        document = (await client.post("/v1/encode", files=files)).json()
        assert [item.get("error", {}).get("status") for item in document["data"]] == [None, 500, None]
        assert document["counts"]["failed"] == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_worker_that_dies_is_503_for_its_request_and_begins_anew(in_process, monkeypatch, problem_of):
    async with in_process() as (client, app):

        def deadly(_):
            raise SystemExit

        monkeypatch.setattr(app.state.service.registry.default, "encoding", deadly)
        files = [("image", image_of(8, 8))] * 2
        for _ in range(2):
            answer = await client.post("/v1/encode", files=files)
            problem_of(answer, 503, "unavailable")
            assert "retry-after" in answer.headers
        monkeypatch.undo()  # which the idle probe has met, too
        await until(lambda: health_of(app).fault is None)
        assert (await client.post("/v1/encode", files=files)).status_code == 200
        (line,) = re.findall(
            r'vqvae_worker_restarts_total{pool="model"} (\d+)', (await client.get("/metrics")).text
        )
        assert int(line) >= 2


async def test_a_stuck_worker_is_not_ready_and_after_a_minute_not_alive(in_process, held, problem_of):
    async with in_process() as (client, app):
        model, scheduler = await held(app), app.state.service.scheduler
        asked = asyncio.create_task(client.post("/v1/encode", content=image_of(8, 8)))
        await until(lambda: model.num_waiting == 1)
        now = scheduler.clock()
        scheduler.clock = lambda: now + 59
        problem_of(await client.get("/readyz"), 503, "unavailable")
        assert (await client.get("/livez")).status_code == 200
        scheduler.clock = lambda: now + 66
        problem_of(await client.get("/livez"), 503, "unavailable")
        scheduler.clock = time.monotonic
        model.release()
        assert (await asked).status_code == 200
        assert (await client.get("/livez")).status_code == 200


async def test_without_unpacking_processes_it_is_not_ready(in_process, problem_of, monkeypatch):
    async with in_process() as (client, app):
        await until(lambda: app.state.service.fault is None)
        monkeypatch.setattr(type(app.state.service.unpackers), "num_alive", 0)
        problem = problem_of(await client.get("/readyz"), 503, "unavailable")
        assert "no process that unpacks images" in problem["detail"]


async def test_a_small_image_overtakes_a_large_one(in_process, held):
    async with in_process(tile_pixels=128) as (client, app):
        model = await held(app)
        large = asyncio.create_task(client.post("/v1/encode", content=image_of(512, 512)))
        await until(lambda: model.num_waiting == 1)
        small = asyncio.create_task(client.post("/v1/encode", content=image_of(8, 8)))
        await until(lambda: health_of(app).num_requests == 2)
        await asyncio.sleep(0.1)  # until it waits for its tile
        model.release(2)
        assert (await small).status_code == 200
        assert not large.done()
        model.release()
        assert (await large).status_code == 200
        assert model.num_run > 10


async def test_images_of_one_request_are_unpacked_one_at_a_time(in_process, held, monkeypatch):
    async with in_process() as (client, app):
        model = await held(app)
        files = [("image", image_of(64, 64))] * 3
        answer = asyncio.create_task(client.post("/v1/encode", files=files))
        await until(lambda: model.num_waiting == 1)
        await asyncio.sleep(0.05)
        assert model.num_waiting == 1
        model.release()
        assert (await answer).json()["counts"]["images"] == 3


def batch_of(num_images, height=64, width=64):
    return [("image", image_of(height, width))] * num_images


async def test_a_batch_is_admitted_by_the_whole_of_its_work_or_refused(in_process, held, problem_of):
    async with in_process(queue_megapixels=2) as (client, app):
        model = await held(app)
        accepted = [  # 32 images at 1/64 megapixel, the one batch there, the other one there and back
            asyncio.create_task(client.post(f"/v1/{verb}", files=batch_of(32), headers=AS_JSON))
            for verb in ("encode", "reconstruct")
        ]
        await until(lambda: health_of(app).num_requests == 2)
        assert health_of(app).queue_megapixels == 1.5
        refused = await client.post("/v1/encode", files=batch_of(33))
        problem = problem_of(refused, 429, "overloaded")
        assert (problem["limit"], problem["actual"]) == (2 * 15 / 16, 1.5 + 33 / 64)
        assert int(refused.headers["retry-after"]) >= 1
        problem = problem_of(await client.post("/v1/encode", files=batch_of(33, 256, 256)), 413, "too-large")
        assert (problem["limit"], problem["actual"]) == (2, 33 / 16)
        last = asyncio.create_task(client.post("/v1/encode", files=batch_of(32)))
        await until(lambda: health_of(app).num_requests == 3)
        assert health_of(app).queue_megapixels == 2
        model.release()
        for answer in *accepted, last:
            assert (await answer).json()["counts"]["images"] == 32
        assert health_of(app).queue_megapixels == 0


async def test_a_batch_whose_client_leaves_is_over_at_once_with_all_its_images(
    in_process, held, leaving_client
):
    async with in_process() as (client, app):
        model = await held(app)
        unpack = app.state.service.unpackers.submit
        unpacked = []
        app.state.service.unpackers.submit = lambda *args: unpacked.append(args) or unpack(*args)
        request, leave, sent = leaving_client(
            app, client.build_request("POST", "/v1/encode", files=batch_of(32))
        )
        await until(lambda: model.num_waiting == 1)
        model.release(3)
        await until(lambda: model.num_waiting == 4)
        assert health_of(app).num_requests == 1
        leave()
        await request
        assert sent[0]["status"] == 499
        assert health_of(app).num_requests == health_of(app).queue_megapixels == 0
        assert app.state.service.bodies._num_bytes == 0
        model.release()
        assert (await client.post("/v1/encode", content=image_of(8, 8))).status_code == 200
        assert (model.num_run, len(unpacked)) == (5, 5)  # four of its 32, and the small one


async def test_a_client_may_leave_while_its_images_are_looked_at(in_process, leaving_client):
    async with in_process() as (client, app):
        headers, never = app.state.service.headers, []
        headers.submit_for_size = lambda _: never.append(Future()) or never[-1]
        request, leave, sent = leaving_client(
            app, client.build_request("POST", "/v1/encode", files=batch_of(32))
        )
        await until(lambda: never)
        leave()
        await request
        assert sent[0]["status"] == 499
        assert [future.cancelled() for future in never] == [True]
        assert app.state.service.bodies._num_bytes == 0


async def test_small_requests_pass_a_storm_of_batches(in_process, held):
    async with in_process(tile_pixels=128, queue_megapixels=64) as (client, app):
        model = await held(app)
        batches = [
            asyncio.create_task(client.post("/v1/encode", files=batch_of(32, 128, 128))) for _ in range(8)
        ]
        await until(lambda: health_of(app).num_requests == 8 and model.num_waiting == 1)
        for num_small in range(1, 6):
            small = asyncio.create_task(client.post("/v1/encode", content=image_of(8, 8)))
            await until(lambda: health_of(app).num_requests == 9)
            await asyncio.sleep(0.1)  # until it waits for its tile
            model.release(2)  # the one that was begun, and its own
            assert (await small).status_code == 200
            await until(lambda num_small=num_small: model.num_waiting == 2 * num_small + 1)
        assert not any(batch.done() for batch in batches)
        model.release(100_000)
        assert [(await batch).json()["counts"]["failed"] for batch in batches] == [0] * 8


async def test_a_small_request_is_looked_at_after_one_image_of_each_batch(in_process):
    async with in_process(queue_megapixels=64) as (client, app):
        looks = []
        app.state.service.headers.submit_for_size = lambda data: looks.append(data) or Future()
        tasks = [asyncio.create_task(client.post("/v1/encode", files=batch_of(32))) for _ in range(40)]
        await until(lambda: len(looks) == 40)
        tasks.append(asyncio.create_task(client.post("/v1/encode", content=image_of(8, 8))))
        await until(lambda: len(looks) == 41)
        assert looks[-1] == image_of(8, 8)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_draining_refuses_new_requests_and_answers_accepted_ones(in_process, held, problem_of):
    async with in_process() as (client, app):
        model = await held(app)
        accepted = asyncio.create_task(client.post("/v1/reconstruct", content=image_of(64, 64)))
        await until(lambda: model.num_waiting == 1)
        app.state.service.scheduler.close()
        problem_of(await client.get("/readyz"), 503, "unavailable")
        refused = await client.post("/v1/encode", content=image_of(8, 8))
        problem_of(refused, 503, "unavailable")
        assert "retry-after" in refused.headers
        model.release()
        assert (await accepted).status_code == 200


async def test_tiles_change_no_code(in_process, tokenizer):
    rgb = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    async with in_process() as (client, _):  # its tiles have 64 pixels a side
        answer = (await client.post("/v1/encode?encoding=base64", content=encode_image(rgb))).json()["data"][
            0
        ]
    assert base64.b64decode(answer["codes_b64"]) == tokenizer.encode(rgb).codes.tobytes()
