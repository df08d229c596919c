"""`Client`: the service for code that waits for its answers."""

import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

import httpx
from PIL import Image

from vqvae.client.deadlines import Deadlines
from vqvae.client.exchange import Attempt, Done, Outcome, Steps, advance
from vqvae.client.many import Errors, Group, Progress, Run
from vqvae.client.models import ServedModel
from vqvae.client.session import Session
from vqvae.client.verbs import GroupVerb, Item, Raw, Reconstruction, Result
from vqvae.code_grid import CodeGrid
from vqvae.errors import ItemError
from vqvae.pixels import ImageLike

T = TypeVar("T")


class Client:
    """A vqvae service, over connections that are kept open; `with` closes them.

    Images are PIL images, RGB8 arrays (H, W, 3), paths or the bytes of image files, of any size. Files go as
    they are, pixels as PNG; a PIL image's orientation and colour profile count.

        with Client("http://127.0.0.1:8000") as client:
            grid = client.encode("photo.jpg")
            client.decode(grid).save("again.png")

    The codes that a client gives are of one fingerprint for each model: the first ones pin it, and others,
    of a service that got another model since, are a FingerprintError and not mixed with them.

    What fails for a moment is tried again, when the service's Retry-After says so. What is wrong then is a
    ServiceProblem where the service tells it, and another ServiceError where nothing answers or something
    else does; images that cannot be read are an ImageError, here or there. `vqvae.errors` has them all.

    Threads may share a client, processes may not. Proxies and certificates that the environment names are
    taken from it, as httpx does.

    Args:
        base_url: of the service, with a path where it is behind one.
        api_key: sent to that address as a bearer token.
        model: that encodes where a call names none; without it the service's default one does.
        fingerprint: that codes of `model` must have, 64 hex digits; without it the first codes tell.
        timeout_s: for one request, with its waits and all attempts.
        max_attempts: of one request, at least 1.
        transport: httpx's own, in place of the one that opens connections.
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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._session = Session(
            base_url,
            api_key=api_key,
            model=model,
            fingerprint=fingerprint,
            timeout_s=timeout_s,
            max_attempts=max_attempts,
        )
        self._closing = threading.Event()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._deadlines = Deadlines()
        self._http = httpx.Client(base_url=base_url, headers=self._session.headers, transport=transport)

    def __repr__(self) -> str:
        return f"Client({self._session})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, also those that other threads wait on; the client cannot be used again."""
        self._closing.set()
        for connection in list(self._sockets):
            _hang_up(connection)
        self._http.close()

    def encode(self, image: ImageLike, *, model: str | None = None) -> CodeGrid:
        """An image to its codes, by `model` or the client's own."""
        return self._drive(self._session.one(self._session.encode(model), image))

    def decode(self, grid: CodeGrid, *, decoder: str | None = None) -> Image.Image:
        """Codes to their image, RGB, by the model that made them.

        RefusedFingerprintError where the service has no such model.
        """
        return self._drive(self._session.one(self._session.decode(decoder), grid))

    def reconstruct(
        self, image: ImageLike, *, model: str | None = None, decoder: str | None = None
    ) -> Reconstruction:
        """An image to codes and back, with PSNR, SSIM and bits per pixel."""
        return self._drive(self._session.one(self._session.reconstruct(model, decoder), image))

    @overload
    def encode_many(
        self,
        images: Iterable[ImageLike],
        *,
        model: str | None = None,
        errors: Literal["raise"] = "raise",
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Generator[CodeGrid, None, None]: ...
    @overload
    def encode_many(
        self,
        images: Iterable[ImageLike],
        *,
        model: str | None = None,
        errors: Literal["yield"],
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Generator[CodeGrid | ItemError, None, None]: ...
    def encode_many(
        self,
        images: Iterable[ImageLike],
        *,
        model: str | None = None,
        errors: Errors = "raise",
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Generator[CodeGrid | ItemError, None, None]:
        """The codes of any number of images, in their order, while the next ones are under way.

        Small images share requests, within the service's limits. Images are taken as they are needed, a few
        groups ahead, and by the thread that iterates. Leaving early sends nothing more; what is in flight
        then is given up when the client is closed.

        Args:
            errors: an image that cannot be encoded is an ItemError with its index. "raise" ends at the first
                one, "yield" gives each in its image's place and goes on. What concerns all images, a service
                that is gone or a fingerprint that changed, is raised in both cases.
            max_in_flight: requests at one time.
            on_progress: called before each result is handed out, by the same thread.
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
        grids: Iterable[CodeGrid | ItemError],
        *,
        decoder: str | None = None,
        errors: Literal["raise"] = "raise",
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Generator[Image.Image, None, None]: ...
    @overload
    def decode_many(
        self,
        grids: Iterable[CodeGrid | ItemError],
        *,
        decoder: str | None = None,
        errors: Literal["yield"],
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Generator[Image.Image | ItemError, None, None]: ...
    def decode_many(
        self,
        grids: Iterable[CodeGrid | ItemError],
        *,
        decoder: str | None = None,
        errors: Errors = "raise",
        max_in_flight: int = 4,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Generator[Image.Image | ItemError, None, None]:
        """The images of any number of grids, as `encode_many` does it; an ItemError among them stays one."""
        return self._many(
            self._session.decode(decoder),
            grids,
            errors=errors,
            max_in_flight=max_in_flight,
            on_progress=on_progress,
        )

    def models(self) -> list[ServedModel]:
        """All models of the service, the default one first."""
        return self._drive(self._session.models())

    def model(self, name: str | None = None) -> ServedModel:
        """One model: that of the name, else the client's own, else the service's default one."""
        return self._drive(self._session.served(name))

    def ready(self) -> bool:
        """Whether the service would take work now: not where it is starting, stopping, or not there."""
        return self._drive(self._session.ready())

    def _many(
        self,
        verb: GroupVerb[Raw, Item, Result],
        raws: Iterable[Raw],
        *,
        errors: Errors,
        max_in_flight: int,
        on_progress: Callable[[Progress], None] | None,
    ) -> Generator[Result | ItemError, None, None]:
        run = Run(
            self._session,
            verb,
            raws,
            errors=errors,
            max_in_flight=max_in_flight,
            on_progress=on_progress,
        )
        return self._run(run, raws)

    def _run(
        self, run: Run[Raw, Item, Result], raws: Iterable[Raw]
    ) -> Generator[Result | ItemError, None, None]:
        limits = self._drive(run.limits())
        waiting: deque[Future[list[Result | ItemError]]] = deque()
        stop = threading.Event()
        pool = ThreadPoolExecutor(run.max_in_flight, thread_name_prefix="vqvae-client")

        def groups() -> Iterator[Group[Item]]:
            for raw in raws:
                yield from run.add(run.prepare(raw), limits)
            yield from run.rest()

        try:
            for group in groups():
                waiting.append(pool.submit(self._drive, run.steps(group), stop))
                while waiting and (len(waiting) >= run.max_waiting or waiting[0].done()):
                    yield from run.hand_out(waiting.popleft().result())
            while waiting:
                yield from run.hand_out(waiting.popleft().result())
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _drive(self, steps: Steps[T], stop: threading.Event | None = None) -> T:
        """Take steps to their result; RuntimeError once nobody wants it any more."""
        step = advance(steps, None)
        while not isinstance(step, Done):
            if (stop or self._closing).wait(step.after_s):
                raise RuntimeError("the client is closed")
            step = advance(steps, self._send(step))
        result: T = step.result
        return result

    def _send(self, attempt: Attempt) -> Outcome:
        self._deadlines.begin(attempt)
        try:
            with self._http.stream(**attempt.for_httpx(trace=self._note_connection)) as response:
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    attempt.check_time()
                return attempt.answered(response, bytes(body))
        except httpx.RequestError as error:
            return error

    def _note_connection(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by httpx with all that happens in a request (its extension `trace`)."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            stream = info["return_value"]
            self._deadlines.keep(stream)
            connection = stream.get_extra_info("socket")
            self._sockets.add(connection)
            if self._closing.is_set():
                _hang_up(connection)


def _hang_up(connection: socket.socket) -> None:
    """Wake whoever waits on it, which closing it would not."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
