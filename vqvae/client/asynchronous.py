"""`AsyncClient`: the service for code that runs on asyncio."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Literal, Self, TypeVar, overload

import httpx
from PIL import Image

from vqvae.client.exchange import Attempt, Done, Outcome, Steps, advance
from vqvae.client.many import Errors, Group, Progress, Run
from vqvae.client.models import ServedModel
from vqvae.client.session import Session
from vqvae.client.verbs import GroupVerb, Item, Raw, Reconstruction, Result
from vqvae.code_grid import CodeGrid
from vqvae.errors import ItemError
from vqvae.pixels import ImageLike

T = TypeVar("T")


class AsyncClient:
    """`Client` for asyncio: the same arguments, results and errors, with `async with` and `await`.

        async with AsyncClient("http://127.0.0.1:8000") as client:
            grid = await client.encode("photo.jpg")
            async for grid in client.encode_many(paths):
                ...

    Cancelling a call closes its connection, on which the service drops the work. Files are read, and pixels
    packed and unpacked, in threads, so that the loop stays free. A client belongs to one loop.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        model: str | None = None,
        fingerprint: str | None = None,
        timeout_s: float = 300.0,
        max_attempts: int = 8,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._session = Session(
            base_url,
            api_key=api_key,
            model=model,
            fingerprint=fingerprint,
            timeout_s=timeout_s,
            max_attempts=max_attempts,
        )
        self._http = httpx.AsyncClient(base_url=base_url, headers=self._session.headers, transport=transport)

    def __repr__(self) -> str:
        return f"AsyncClient({self._session})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; the client cannot be used any more."""
        await self._http.aclose()

    async def encode(self, image: ImageLike, *, model: str | None = None) -> CodeGrid:
        """An image to its codes, by `model` or the client's own."""
        return await self._drive(self._session.one(self._session.encode(model), image))

    async def decode(self, grid: CodeGrid, *, decoder: str | None = None) -> Image.Image:
        """Codes to their image, RGB, by the model that made them.

        RefusedFingerprintError where the service has no such model.
        """
        return await self._drive(self._session.one(self._session.decode(decoder), grid))

    async def reconstruct(
        self, image: ImageLike, *, model: str | None = None, decoder: str | None = None
    ) -> Reconstruction:
        """An image to codes and back, with PSNR, SSIM and bits per pixel."""
        return await self._drive(self._session.one(self._session.reconstruct(model, decoder), image))

    @overload
    def encode_many(
        self,
        images: Iterable[ImageLike] | AsyncIterable[ImageLike],
        *,
        model: str | None = None,
        errors: Literal["raise"] = "raise",
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> AsyncGenerator[CodeGrid, None]: ...
    @overload
    def encode_many(
        self,
        images: Iterable[ImageLike] | AsyncIterable[ImageLike],
        *,
        model: str | None = None,
        errors: Literal["yield"],
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> AsyncGenerator[CodeGrid | ItemError, None]: ...
    def encode_many(
        self,
        images: Iterable[ImageLike] | AsyncIterable[ImageLike],
        *,
        model: str | None = None,
        errors: Errors = "raise",
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> AsyncGenerator[CodeGrid | ItemError, None]:
        """The codes of any number of images, in their order; all is as `Client.encode_many` tells.

        Leaving early cancels what is in flight: by `aclose` at once, by `break` when the loop comes to it.
        """
        return self._many(
            self._session.encode(model),
            images,
            errors=errors,
            max_in_flight=max_in_flight,
            on_progress=on_progress,
        )

    @overload
    def decode_many(
        self,
        grids: Iterable[CodeGrid | ItemError] | AsyncIterable[CodeGrid | ItemError],
        *,
        decoder: str | None = None,
        errors: Literal["raise"] = "raise",
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> AsyncGenerator[Image.Image, None]: ...
    @overload
    def decode_many(
        self,
        grids: Iterable[CodeGrid | ItemError] | AsyncIterable[CodeGrid | ItemError],
        *,
        decoder: str | None = None,
        errors: Literal["yield"],
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> AsyncGenerator[Image.Image | ItemError, None]: ...
    def decode_many(
        self,
        grids: Iterable[CodeGrid | ItemError] | AsyncIterable[CodeGrid | ItemError],
        *,
        decoder: str | None = None,
        errors: Errors = "raise",
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> AsyncGenerator[Image.Image | ItemError, None]:
        """The images of any number of grids, as `encode_many` does it; an ItemError among them stays one."""
        return self._many(
            self._session.decode(decoder),
            grids,
            errors=errors,
            max_in_flight=max_in_flight,
            on_progress=on_progress,
        )

    async def models(self) -> list[ServedModel]:
        """All models of the service, the default one first."""
        return await self._drive(self._session.models())

    async def model(self, name: str | None = None) -> ServedModel:
        """One model: that of the name, else the client's own, else the service's default one."""
        return await self._drive(self._session.served(name))

    async def ready(self) -> bool:
        """Whether the service would take work now: not where it is starting, stopping, or not there."""
        return await self._drive(self._session.ready())

    def _many(
        self,
        verb: GroupVerb[Raw, Item, Result],
        raws: Iterable[Raw] | AsyncIterable[Raw],
        *,
        errors: Errors,
        max_in_flight: int,
        on_progress: Callable[[Progress], None] | None,
    ) -> AsyncGenerator[Result | ItemError, None]:
        run = Run(
            self._session,
            verb,
            raws,
            errors=errors,
            max_in_flight=max_in_flight,
            on_progress=on_progress,
        )
        return self._run(run, raws)

    async def _run(
        self, run: Run[Raw, Item, Result], raws: Iterable[Raw] | AsyncIterable[Raw]
    ) -> AsyncGenerator[Result | ItemError, None]:
        limits = await self._drive(run.limits())
        waiting: deque[asyncio.Task[list[Result | ItemError]]] = deque()
        slots = asyncio.Semaphore(run.max_in_flight)

        async def groups() -> AsyncIterator[Group[Item]]:
            async for raw in _each(raws):
                for group in run.add(await asyncio.to_thread(run.prepare, raw), limits):
                    yield group
            for group in run.rest():
                yield group

        async def send(group: Group[Item]) -> list[Result | ItemError]:
            async with slots:
                return await self._drive(run.steps(group))

        try:
            async for group in groups():
                waiting.append(asyncio.create_task(send(group)))
                while waiting and (len(waiting) >= run.max_waiting or waiting[0].done()):
                    for outcome in run.hand_out(await waiting[0]):
                        yield outcome
                    waiting.popleft()
            while waiting:
                for outcome in run.hand_out(await waiting[0]):
                    yield outcome
                waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _drive(self, steps: Steps[T]) -> T:
        """Take steps to their result; what they compute, they compute in a thread."""
        step = await asyncio.to_thread(advance, steps, None)
        while not isinstance(step, Done):
            await asyncio.sleep(step.after_s)
            step = await asyncio.to_thread(advance, steps, await self._send(step))
        result: T = step.result
        return result

    async def _send(self, attempt: Attempt) -> Outcome:
        try:
            async with (
                asyncio.timeout(attempt.left_s),
                self._http.stream(**attempt.for_httpx()) as response,
            ):
                return attempt.answered(response, await response.aread())
        except TimeoutError:
            return httpx.ReadTimeout("")
        except httpx.RequestError as error:
            return error


async def _each(raws: Iterable[Raw] | AsyncIterable[Raw]) -> AsyncIterator[Raw]:
    if isinstance(raws, AsyncIterable):
        async for raw in raws:
            yield raw
    else:
        for raw in raws:
            yield raw
