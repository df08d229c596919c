"""The scheduler, with jobs whose every tile the test can hold and let go."""

import asyncio
import threading

import pytest

from service.errors import DeadlinePassed, Overloaded, TooLarge, Unavailable
from service.scheduler import STALE_AFTER_S, STUCK_AFTER_S, Scheduler

pytestmark = pytest.mark.anyio

SOON_S = 5.0  # far longer than anything here takes


class Gated:
    """A job of so many tiles; each waits at `gate`, and is noted in `log` as it runs."""

    def __init__(self, name="job", num_tiles=1, log=None, gate=None):
        self.name, self.num_tiles, self.log, self.gate = name, num_tiles, log if log is not None else [], gate
        self.started = threading.Event()

    def run(self, i):
        self.started.set()
        if self.gate is not None:
            assert self.gate.acquire(timeout=SOON_S)
        self.log.append(f"{self.name}{i}")

    def result(self):
        return f"{self.name} is done"


class Failing(Gated):
    def __init__(self, error, **others):
        super().__init__(**others)
        self.error = error

    def run(self, i):
        super().run(i)
        if i == self.num_tiles - 1:
            raise self.error


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def make_scheduler():
    made = []

    def make(queue_megapixels=10, probe=Gated, **others):
        given = {"threads": 1, "use_threads": lambda threads: None, **others}
        scheduler = Scheduler(queue_megapixels=queue_megapixels, tile_megapixels=1.0, probe=probe, **given)
        made.append(scheduler)
        scheduler.start()
        return scheduler

    yield make
    for scheduler in made:
        scheduler.stop()


async def until(condition):
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0.002)


def submit(scheduler, job, megapixels=1.0, seconds=60.0):
    """Admit one job and run it, as a task of its own."""

    async def run():
        with scheduler.admit(megapixels, seconds) as place:
            return await place.run(lambda: job, megapixels)

    return asyncio.create_task(run())


async def hold_worker(scheduler):
    """A gate at which the worker stands, and the task that it is at."""
    gate = threading.Semaphore(0)
    job = Gated("held", gate=gate)
    task = submit(scheduler, job, megapixels=0)
    await until(job.started.is_set)
    return gate, task


async def test_a_job_is_run_tile_by_tile_in_the_workers_thread_and_gives_its_result(make_scheduler):
    threads = []

    class Job(Gated):
        def run(self, i):
            super().run(i)
            threads.append(threading.current_thread().name)

    job = Job("a", num_tiles=3)
    assert await submit(make_scheduler(), job) == "a is done"
    assert job.log == ["a0", "a1", "a2"]
    assert set(threads) == {"model-worker-0"}


async def test_several_large_requests_leave_the_last_of_the_queue_to_small_ones(make_scheduler):
    scheduler = make_scheduler(queue_megapixels=16)
    with scheduler.admit(5, 1000), scheduler.admit(5, 1000), scheduler.admit(5, 1000):
        with pytest.raises(Overloaded) as refused, scheduler.admit(3, 1000):
            pass
        assert (refused.value.limit, refused.value.actual) == (15, 18)
        with scheduler.admit(1, 1000), pytest.raises(Overloaded) as refused, scheduler.admit(1, 1000):
            pass
        assert (refused.value.limit, refused.value.actual) == (16, 17)
    with scheduler.admit(16, 1000):  # the only large one may have it all
        assert scheduler.health.queue_megapixels == 16


async def test_a_small_job_passes_a_large_one(make_scheduler):
    scheduler, log = make_scheduler(), []
    gate, held = await hold_worker(scheduler)
    large = submit(scheduler, Gated("L", num_tiles=5, log=log), megapixels=5)
    await until(lambda: scheduler.health.num_requests == 2)
    await asyncio.sleep(0.01)
    small = submit(scheduler, Gated("s", log=log))
    await until(lambda: scheduler.health.num_requests == 3)
    await asyncio.sleep(0.01)
    gate.release()
    await asyncio.gather(held, large, small)
    assert log == ["s0", "L0", "L1", "L2", "L3", "L4"]


async def test_many_jobs_take_turns(make_scheduler):
    scheduler, log = make_scheduler(), []
    gate, held = await hold_worker(scheduler)
    tasks = [submit(scheduler, Gated(name, num_tiles=3, log=log), megapixels=3) for name in "abc"]
    await asyncio.sleep(0.01)
    gate.release()
    await asyncio.gather(held, *tasks)
    assert log == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


@pytest.mark.parametrize("where", ["start", "run", "result"])
async def test_an_error_fails_its_own_job_alone(make_scheduler, where):
    scheduler, log = make_scheduler(), []
    gate, held = await hold_worker(scheduler)

    def raise_error(*_):
        raise ZeroDivisionError(where)

    job = Gated("bad")
    if where != "start":
        setattr(job, where, raise_error)

    async def run_bad():
        with scheduler.admit(1, 60) as place:
            await place.run(raise_error if where == "start" else lambda: job, 1)

    bad, good = asyncio.create_task(run_bad()), submit(scheduler, Gated("good", num_tiles=2, log=log))
    await asyncio.sleep(0.01)
    gate.release()
    with pytest.raises(ZeroDivisionError, match=where):
        await bad
    assert await good == "good is done"
    assert await held == "held is done"
    assert scheduler.health.fault is None


async def test_one_place_runs_jobs_one_after_another_and_adds_up_its_times(make_scheduler):
    scheduler = make_scheduler()
    with scheduler.admit(2, 60) as place:
        assert await place.run(lambda: Gated("a"), 1) == "a is done"
        assert await place.run(lambda: Gated("b"), 1) == "b is done"
    assert place.model_s > 0
    assert place.queue_s >= 0


async def test_admission_counts_megapixels_until_the_place_is_left(make_scheduler):
    scheduler = make_scheduler(queue_megapixels=10)
    with scheduler.admit(8, 60):
        with scheduler.admit(2, 60):
            assert scheduler.health.queue_megapixels == 10
            with pytest.raises(Overloaded) as refused, scheduler.admit(0.5, 60):
                pass
            assert (refused.value.limit, refused.value.actual) == (10, 10.5)
            assert refused.value.headers["Retry-After"] == "1"
        assert scheduler.health.queue_megapixels == 8
    assert (scheduler.health.queue_megapixels, scheduler.health.num_requests) == (0, 0)


async def test_more_than_the_whole_queue_is_too_large_even_when_it_is_empty(make_scheduler):
    scheduler = make_scheduler(queue_megapixels=10)
    with pytest.raises(TooLarge) as refused, scheduler.admit(10.5, 60):
        pass
    assert (refused.value.limit, refused.value.actual) == (10, 10.5)


async def test_retry_after_follows_the_measured_rate(make_scheduler):
    scheduler = make_scheduler(queue_megapixels=10, clock=(clock := Clock()))

    class TwoSecondsAMegapixel(Gated):
        def run(self, i):
            clock.now += 2.0

    for _ in range(200):  # far more than the average remembers
        await submit(scheduler, TwoSecondsAMegapixel(), megapixels=1, seconds=1e9)
    with scheduler.admit(10, 60), pytest.raises(Overloaded) as refused, scheduler.admit(2, 60):
        pass
    assert refused.value.headers["Retry-After"] == "4"  # 2 megapixels too many


async def test_a_deadline_that_passed_in_the_queue_drops_the_work(make_scheduler):
    scheduler = make_scheduler(clock=(clock := Clock()))
    gate, held = await hold_worker(scheduler)
    late, soon = Gated("late"), Gated("soon")
    late_task, soon_task = submit(scheduler, late, seconds=5), submit(scheduler, soon, seconds=50)
    await asyncio.sleep(0.01)
    clock.now += 5
    gate.release()
    with pytest.raises(DeadlinePassed):
        await late_task
    assert await soon_task == "soon is done"
    assert late.log == []
    await held


async def test_a_deadline_also_ends_a_job_between_its_tiles(make_scheduler):
    scheduler = make_scheduler(clock=(clock := Clock()))

    class ThreeSecondsATile(Gated):
        def run(self, i):
            super().run(i)
            clock.now += 3

    job = ThreeSecondsATile(num_tiles=5)
    with pytest.raises(DeadlinePassed):
        await submit(scheduler, job, seconds=5)
    assert job.log == ["job0", "job1"]


async def test_a_client_that_leaves_frees_its_place_at_once_and_its_tiles_are_dropped(make_scheduler):
    scheduler, log = make_scheduler(), []
    gate, held = await hold_worker(scheduler)
    leaving = submit(scheduler, Gated("leaving", num_tiles=3, log=log), megapixels=9)
    staying = submit(scheduler, Gated("staying", log=log))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert scheduler.health.queue_megapixels == 1
    gate.release()
    await asyncio.gather(held, staying)
    assert log == ["staying0"]


async def test_a_job_cancelled_at_work_ends_after_its_tile(make_scheduler):
    scheduler, gate = make_scheduler(), threading.Semaphore(0)
    job = Gated("job", num_tiles=3, gate=gate)
    task = submit(scheduler, job)
    await until(job.started.is_set)
    task.cancel()
    await asyncio.wait([task])
    gate.release()
    assert await submit(scheduler, Gated("next")) == "next is done"
    assert job.log == ["job0"]


async def test_drain_refuses_new_requests_and_finishes_accepted_ones(make_scheduler):
    scheduler = make_scheduler()
    gate, held = await hold_worker(scheduler)
    accepted = submit(scheduler, Gated("accepted", num_tiles=2))
    await asyncio.sleep(0.01)
    scheduler.close()
    assert scheduler.health.fault == "the service is stopping"
    with pytest.raises(Unavailable) as refused, scheduler.admit(1, 60):
        pass
    assert "Retry-After" in refused.value.headers
    assert scheduler.health.num_requests == 2
    gate.release()
    assert await accepted == "accepted is done"
    await held
    assert scheduler.health.num_requests == 0


async def test_an_accepted_request_may_hand_in_its_next_job_while_draining(make_scheduler):
    scheduler = make_scheduler()
    with scheduler.admit(2, 60) as place:
        await place.run(lambda: Gated("first"), 1)
        scheduler.close()
        assert await place.run(lambda: Gated("second"), 1) == "second is done"


async def test_stop_fails_what_still_waits(make_scheduler):
    scheduler = make_scheduler()
    gate, held = await hold_worker(scheduler)
    waiting = submit(scheduler, Gated("waiting"))
    await asyncio.sleep(0.01)
    stopping = asyncio.create_task(asyncio.to_thread(scheduler.stop))
    await asyncio.sleep(0.01)
    gate.release()
    await stopping
    assert await held == "held is done"
    with pytest.raises(Unavailable):
        await waiting


async def test_work_that_would_not_be_done_in_time_is_refused(make_scheduler):
    scheduler = make_scheduler(queue_megapixels=100)  # one megapixel a second until it is measured
    with scheduler.admit(16, 10), scheduler.admit(16, 100):  # nothing was before the first: it may try
        # its own four megapixels, and as many and a tile of each of the others, beside as much that is small
        with pytest.raises(Overloaded, match="could take 28 s") as refused, scheduler.admit(4, 27):
            pass
        assert (refused.value.limit, refused.value.actual) == (27, 28)
        assert refused.value.headers["Retry-After"] == "1"
        with scheduler.admit(4, 28.1), scheduler.admit(2, 4), scheduler.admit(1, 6.1):  # the lanes are apart
            with pytest.raises(Overloaded, match="could take 8 s"), scheduler.admit(1, 7.9):
                pass
            assert scheduler.health.num_requests == 5


async def test_not_ready_before_the_first_tile(make_scheduler):
    gate = threading.Semaphore(0)
    scheduler = make_scheduler(probe=lambda: Gated(gate=gate))
    assert scheduler.health.fault == "the workers have finished no tile yet"
    gate.release()
    await until(lambda: scheduler.health.fault is None)


async def test_an_idle_worker_tries_itself_and_stays_ready(make_scheduler, monkeypatch):
    monkeypatch.setattr("service.scheduler.PROBE_AFTER_S", 0.02)
    log = []
    scheduler = make_scheduler(probe=lambda: Gated(log=log))
    await until(lambda: len(log) == 4)
    assert scheduler.health.fault is None


async def test_a_failing_probe_makes_the_service_unready_after_five_seconds(
    make_scheduler, monkeypatch, caplog
):
    monkeypatch.setattr("service.scheduler.PROBE_AFTER_S", 0.02)

    def probe():
        if broken:
            raise ZeroDivisionError
        return Gated()

    broken = False
    scheduler = make_scheduler(probe=probe, clock=(clock := Clock()))
    await until(lambda: scheduler.health.fault is None)
    broken = True
    clock.now += STALE_AFTER_S
    assert scheduler.health.fault is None
    clock.now += 0.1
    assert scheduler.health.fault == "the workers have finished no tile for 5.1 s"
    await until(lambda: "the idle probe failed" in caplog.text)
    assert scheduler.health.fault is not None
    assert await submit(scheduler, Gated()) == "job is done"  # real work is as good as a probe
    assert scheduler.health.fault is None


async def test_a_large_job_at_work_keeps_the_service_ready(make_scheduler):
    scheduler = make_scheduler(clock=(clock := Clock()))
    gate = threading.Semaphore(0)
    job = Gated(num_tiles=4, gate=gate)
    task = submit(scheduler, job, seconds=1e9)
    for tile in range(4):
        clock.now += STALE_AFTER_S - 1
        gate.release()
        await until(lambda tile=tile: len(job.log) > tile)
        await until(lambda: scheduler.health.last_tile_age_s == 0)
    await task
    assert scheduler.health.fault is None


async def test_a_stuck_tile_makes_the_service_unready(make_scheduler):
    scheduler = make_scheduler(clock=(clock := Clock()))
    await until(lambda: scheduler.health.fault is None)
    gate, held = await hold_worker(scheduler)
    clock.now += STALE_AFTER_S + 1
    assert scheduler.health.fault is not None
    gate.release()
    await held


async def test_a_worker_stuck_for_a_minute_says_so(make_scheduler):
    scheduler = make_scheduler(clock=(clock := Clock()))
    await until(lambda: scheduler.health.fault is None)
    gate, held = await hold_worker(scheduler)
    clock.now += STUCK_AFTER_S - 1
    assert not scheduler.health.is_stuck
    clock.now += 2
    assert scheduler.health.is_stuck
    gate.release()
    await held
    await until(lambda: not scheduler.health.is_stuck)


async def test_what_would_end_the_worker_costs_one_job(make_scheduler, caplog):
    restarts = []
    scheduler = make_scheduler(on_restart=lambda: restarts.append(1))
    gate = threading.Semaphore(0)
    deadly = Failing(SystemExit(), gate=gate)
    killed = submit(scheduler, deadly)
    await until(deadly.started.is_set)
    waiting = submit(scheduler, Gated())
    await asyncio.sleep(0.01)
    gate.release()
    with pytest.raises(Unavailable):
        await killed
    assert await waiting == "job is done"
    assert restarts == [1]
    assert "a worker died at its work" in caplog.text
    assert scheduler.health.fault is None


class Crew:
    """Notes by how many threads each worker is computing, and the most that were at it together."""

    def __init__(self):
        self.told = threading.local()
        self.lock = threading.Lock()
        self.log, self.at_work, self.most = [], 0, 0

    def use_threads(self, threads):
        self.told.threads = threads

    def job(self, name, num_tiles=1, gate=None):
        crew = self

        class Counted(Gated):
            def run(self, i):
                threads = crew.told.threads
                with crew.lock:
                    crew.at_work += threads
                    crew.most = max(crew.most, crew.at_work)
                    crew.log.append((f"{name}{i}", threads))
                super().run(i)
                with crew.lock:
                    crew.at_work -= threads

        return Counted(name, num_tiles, gate=gate)


@pytest.fixture
def crew():
    return Crew()


@pytest.fixture
async def crew_of(make_scheduler, crew):
    async def make(threads, **others):
        scheduler = make_scheduler(threads=threads, use_threads=crew.use_threads, **others)
        await until(lambda: scheduler.health.fault is None)
        return scheduler

    return make


async def test_a_tile_that_is_alone_has_all_threads(crew_of, crew):
    scheduler = await crew_of(4)
    for name in "ab":
        await submit(scheduler, crew.job(name, num_tiles=2))
    assert crew.log == [("a0", 4), ("a1", 4), ("b0", 4), ("b1", 4)]


async def test_tiles_that_wait_share_the_threads_as_they_come_free(crew_of, crew):
    scheduler, gate = await crew_of(4), threading.Semaphore(0)
    first = submit(scheduler, crew.job("first", gate=gate))
    await until(lambda: crew.log)
    tasks = [submit(scheduler, crew.job(name, gate=gate)) for name in "abc"]
    await asyncio.sleep(0.02)
    assert crew.log == [("first0", 4)]
    gate.release()
    await until(lambda: len(crew.log) == 4)  # the three at one time, behind one gate
    assert sorted(crew.log[1:]) == [("a0", 1), ("b0", 1), ("c0", 2)]
    late = submit(scheduler, crew.job("late", gate=gate))
    gate.release(4)
    await asyncio.gather(first, late, *tasks)
    assert crew.most == 4


async def test_more_tiles_than_threads_have_one_each(crew_of, crew):
    scheduler, gate = await crew_of(2), threading.Semaphore(0)
    first = submit(scheduler, crew.job("first", gate=gate))
    await until(lambda: crew.log)
    tasks = [submit(scheduler, crew.job(name)) for name in "abcdef"]
    await asyncio.sleep(0.02)
    gate.release()
    await asyncio.gather(first, *tasks)
    assert [threads for _, threads in crew.log[1:6]] == [1] * 5  # the last one may find both free
    assert crew.most == 2


async def test_the_tiles_of_one_job_are_never_at_work_together(crew_of, crew):
    scheduler = await crew_of(3, queue_megapixels=16)
    large = submit(scheduler, crew.job("L", num_tiles=40), megapixels=8)
    await asyncio.gather(large, *(submit(scheduler, crew.job("s"), megapixels=0.1) for _ in range(60)))
    tiles = [name for name, _ in crew.log if name.startswith("L")]
    assert tiles == [f"L{i}" for i in range(40)]
    assert len(crew.log) == 100
    assert crew.most <= 3


async def test_every_thread_counts_in_the_measured_rate(crew_of):
    scheduler = await crew_of(2, queue_megapixels=10, clock=(clock := Clock()))

    class TwoSecondsAMegapixel(Gated):  # by both threads
        def run(self, i):
            clock.now += 2.0

    for _ in range(200):
        await submit(scheduler, TwoSecondsAMegapixel(), megapixels=1, seconds=1e9)
    with scheduler.admit(10, 60), pytest.raises(Overloaded) as refused, scheduler.admit(2, 60):
        pass
    assert refused.value.headers["Retry-After"] == "4"


async def test_one_stuck_worker_of_two_makes_the_service_unready_while_the_other_goes_on(crew_of, crew):
    scheduler, gate = await crew_of(2, clock=(clock := Clock())), threading.Semaphore(0)
    first = submit(scheduler, crew.job("first", gate=gate))
    await until(lambda: crew.log)
    stuck_gate = threading.Semaphore(0)
    stuck = submit(scheduler, crew.job("stuck", gate=stuck_gate), seconds=1e9)
    beside = submit(scheduler, crew.job("beside"))
    await asyncio.sleep(0.01)
    gate.release()
    await asyncio.gather(first, beside)
    clock.now += STALE_AFTER_S + 1
    assert await submit(scheduler, crew.job("next")) == "next is done"
    assert scheduler.health.last_tile_age_s == 0
    assert scheduler.health.fault == "a worker has been at its tile for 6.0 s"
    assert not scheduler.health.is_stuck
    clock.now += STUCK_AFTER_S
    assert await submit(scheduler, crew.job("next"), seconds=1e9) == "next is done"
    assert scheduler.health.is_stuck
    stuck_gate.release()
    await stuck
    await until(lambda: not scheduler.health.is_stuck)


async def test_stop_waits_for_all_tiles_at_work_and_fails_the_rest(crew_of, crew):
    scheduler, gate = await crew_of(2), threading.Semaphore(0)
    first = submit(scheduler, crew.job("first", gate=gate))
    await until(lambda: crew.log)
    tasks = [
        submit(scheduler, crew.job(name, num_tiles, gate))
        for name, num_tiles in [("a", 1), ("b", 2), ("c", 1)]
    ]
    await asyncio.sleep(0.01)
    gate.release()
    await until(lambda: len(crew.log) == 3)
    stopping = asyncio.create_task(asyncio.to_thread(scheduler.stop))
    with pytest.raises(Unavailable):
        await tasks[2]
    gate.release(2)
    await stopping
    assert (await first, await tasks[0]) == ("first is done", "a is done")
    with pytest.raises(Unavailable):
        await tasks[1]
    assert not scheduler.is_running
