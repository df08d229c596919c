"""A request's way through the service, the same for encode, decode and reconstruct.

Its body is received and looked at; it is admitted; then its items go one after another through pixels, model
and output, so that one image at a time is unpacked. Wherever it waits, its client's leaving ends it; from
admission on, its deadline does. Files become pixels in processes, pixels files in threads: neither in the
event loop.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service import tracing
from service.errors import ClientGone, DeadlinePassed, Problem, Unavailable, as_problem
from service.intake import Bodies, Upload, read_images
from service.registry import Registry
from service.routes.atlases import Atlases
from service.scheduler import Job, Place, Scheduler
from service.settings import MEGAPIXEL, Settings
from service.telemetry import Telemetry
from service.unpacking.pool import UnpackingPool
from vqvae.code_grid import CodeGrid
from vqvae.pixels import RGB8

Item = TypeVar("Item")
T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Service:
    """What is made once at the start and used by every request."""

    settings: Settings
    registry: Registry
    scheduler: Scheduler
    bodies: Bodies
    telemetry: Telemetry
    headers: UnpackingPool  # looks at files' headers: quick, so that refusals are
    unpackers: UnpackingPool  # makes pixels of files
    pool: Executor  # makes files of pixels
    atlases: Atlases = field(default_factory=Atlases)

    def start(self) -> None:
        """Start processes and workers; OSError where one does not start. Where they run, nothing happens."""
        if not self.scheduler.is_running:
            self.headers.start()
            self.unpackers.start()
            self.scheduler.start()

    def stop(self) -> None:
        """End them after what they are at."""
        self.scheduler.stop()
        self.headers.stop()
        self.unpackers.stop()
        self.pool.shutdown(wait=False, cancel_futures=True)

    @property
    def fault(self) -> str | None:
        """Why the service is not ready for work; None when it is."""
        if fault := self.scheduler.health.fault:
            return fault
        if not (self.headers.num_alive and self.unpackers.num_alive):
            return "no process that unpacks images is running"
        return None


def service_of(request: Request) -> Service:
    """The running service."""
    service: Service = request.app.state.service
    return service


class Flow:
    """One request on its way, with the times that Server-Timing tells."""

    def __init__(self, request: Request) -> None:
        self.service = service_of(request)
        self.accept = ", ".join(request.headers.getlist("accept"))
        self.content_type = request.headers.get("content-type", "")
        self._request = request
        self._timings_s: dict[str, float] = request.state.timings_s
        self._place: Place | None = None

    def body(self) -> AbstractAsyncContextManager[bytes]:
        """The whole body, held until this is left."""
        return self.service.bodies.receive(self._request)

    @asynccontextmanager
    async def admitted(self, num_pixels: Iterable[int], passes: int = 1) -> AsyncIterator[None]:
        """A place in the queue for passes over images of so many padded pixels each, held until this is left.

        Raises what admission raises, DeadlinePassed, and ClientGone.
        """
        settings = self.service.settings
        megapixels = passes * sum(map(_megapixels_of_work, num_pixels))
        seconds = settings.deadline_s + settings.deadline_s_per_megapixel * megapixels
        with self.service.scheduler.admit(megapixels, seconds) as self._place:
            try:
                async with _while_the_client_stays(self._request), asyncio.timeout(seconds):
                    yield
            except TimeoutError:
                raise DeadlinePassed(f"the answer was not ready within {seconds:.3g} s") from None
            finally:
                self._timings_s |= {"queue": self._place.queue_s, "model": self._place.model_s}

    async def run(self, start: Callable[[], Job[T]], num_pixels: int) -> T:
        """Result of a job that the workers do."""
        assert self._place is not None, "run() is for the admitted"
        with tracing.span("model"):
            result = await self._place.run(start, _megapixels_of_work(num_pixels))
            tracing.describe_span(
                {"vqvae.queue_s": self._place.queue_s, "vqvae.model_s": self._place.model_s}
            )
        return result

    def coded(self, grid: CodeGrid) -> None:
        """Tell the telemetry of an image that went to these codes or came from them."""
        self.service.telemetry.coded(grid.codes.size, grid.width * grid.height / MEGAPIXEL)

    async def images_in(self, body: bytes) -> list[Upload | Problem]:
        """The images of a body; raises what `read_images` raises, and ClientGone."""
        service = self.service
        with self._timed("intake"):
            async with _while_the_client_stays(self._request):
                return await read_images(body, self.content_type, service.settings, service.headers)

    async def look_at_body(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Result of a function of intake, in a thread that never waits for pixels: refusals come at once."""
        with self._timed("intake"):
            return await asyncio.to_thread(function, *args, **kwargs)

    async def pixels_of(self, upload: Upload) -> RGB8:
        """An uploaded image, unpacked."""
        unpackers, max_pixels = self.service.unpackers, self.service.settings.image_pixels
        with self._timed("intake"):
            return await asyncio.wrap_future(unpackers.submit(upload.data, max_pixels))

    async def output(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Result of a function that writes files, run in the pool."""
        with self._timed("output"):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.service.pool, lambda: function(*args, **kwargs))

    def answer(self, data: bytes, media_type: str, headers: Mapping[str, str]) -> Response:
        """What was made, which counts as a body in memory until the client has taken it."""
        return _Answer(self.service.bodies, data, media_type, headers)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            with tracing.span(stage):
                yield
        finally:
            self._timings_s[stage] = self._timings_s.get(stage, 0.0) + time.monotonic() - began

    async def each(
        self, items: Sequence[Item | Problem], work: Callable[[Item], Awaitable[T]]
    ) -> list[T | Problem]:
        """What `work` makes of each item, one at a time; of several items a bad one becomes its Problem."""
        results: list[T | Problem] = []
        for item in items:
            try:
                if isinstance(item, Problem):
                    raise item
                results.append(await work(item))
                self.service.telemetry.image("done")
            except Exception as error:
                problem = as_problem(error)
                self.service.telemetry.image("failed")
                concerns_all = isinstance(problem, DeadlinePassed | Unavailable)
                if concerns_all or len(items) == 1:
                    raise problem from None
                results.append(problem)
        return results


class _Answer(Response):
    def __init__(self, bodies: Bodies, data: bytes, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(data, media_type=media_type, headers=headers)
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._bodies.hold(len(self.body)):
            await super().__call__(scope, receive, send)


def grid_headers(grids: Sequence[CodeGrid | Problem]) -> dict[str, str]:
    """What the headers of an answer tell of the only grid in it."""
    match grids:
        case [CodeGrid() as grid]:
            return {
                "X-Model": grid.space.model,
                "X-Fingerprint": grid.space.fingerprint,
                "X-Original-Size": f"{grid.width}x{grid.height}",
            }
    return {}


def failed_item(problem: Problem, index: int) -> dict[str, Any]:
    """What stands in a document in place of an item that failed."""
    return {"index": index, "error": problem.to_dict()}


def _megapixels_of_work(num_pixels: int) -> float:
    """What one pass over an image costs; a small one costs its overhead, as much as 128x128."""
    return max(num_pixels, MEGAPIXEL // 64) / MEGAPIXEL


@asynccontextmanager
async def _while_the_client_stays(request: Request) -> AsyncIterator[None]:
    """Cancels what is inside, and raises ClientGone, once the client hangs up; the body has been read."""
    task = asyncio.current_task()
    assert task is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise ClientGone("the client left before the answer was ready") from None
    finally:
        watcher.cancel()
