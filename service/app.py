"""The application: routes, errors and the OpenAPI document, put together around the loaded models."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.access import ApiKeys
from service.errors import (
    BadRequest,
    ClientGone,
    HeadersTooLarge,
    Malformed,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooSlow,
    Unauthorized,
    Unavailable,
    as_problem,
    describe_validation,
)
from service.intake import Bodies
from service.middleware import CrossOrigin, RequestContext
from service.registry import Registry
from service.routes import codebook, decode, docs, documented, encode, health, models, playground, reconstruct
from service.routes.documented import problem_answers
from service.routes.flow import Service
from service.scheduler import Scheduler
from service.schemas.codes import CodesBody, CodesDocument
from service.schemas.images import ImagesBody, ImagesDocument, ReconstructionsDocument
from service.schemas.problems import ProblemDetails
from service.settings import MEGAPIXEL, Settings
from service.telemetry import Telemetry
from service.tracing import trace_requests
from service.unpacking.pool import UnpackingPool
from vqvae.code_grid import CodeGrid
from vqvae.errors import VqvaeError
from vqvae.tokenizer import Tokenizer

SCHEMAS_BY_HAND: list[type[BaseModel]] = [
    CodesBody,
    CodesDocument,
    ImagesBody,
    ImagesDocument,
    ProblemDetails,
    ReconstructionsDocument,
]

EXPOSED = [
    "ETag",
    "Retry-After",
    "Server-Timing",
    "X-Atlas-Cell",
    "X-Atlas-Columns",
    "X-Fingerprint",
    "X-Model",
    "X-Original-Size",
    "X-Request-ID",
]

OF_EVERY_CONNECTION = (Malformed, TooSlow, HeadersTooLarge, Unavailable)  # before there is a request

HEADER_PROCESSES = 2  # so that one header that takes its time does not hold up all others
HEADER_S = 2.0  # a header takes a thousandth of that
UNPACKING_BYTES_PER_PIXEL = 40  # at most 23 were seen, for a WebP with alpha, a profile and an orientation

DESCRIPTION = """Images to small grids of integers, and back.

Encode an image, keep its codes, decode them whenever you like; `fingerprint` says whose codes they are.
Options ride in the query. Every error is `application/problem+json` with a stable `type`.
"""


def load_app(settings: Settings) -> FastAPI:
    """The application around the models that the settings name; raises what loading them does."""
    torch.set_num_threads(settings.threads)
    tokenizers = [
        tokenizer
        for name in settings.model_names
        for tokenizer in Tokenizer.load_decoders(name, device=settings.device, tile_size=settings.tile_pixels)
    ]
    return create_app(settings, tokenizers)


def create_app(settings: Settings, tokenizers: list[Tokenizer]) -> FastAPI:
    """The application around models, each once for every decoder, the first one the default.

    ConfigError where two models have one name.
    """
    registry = Registry(tokenizers)
    telemetry = Telemetry()
    bodies_bytes = 4 * settings.body_bytes + 2**26  # the file, its copies, and what reading it takes besides
    service = Service(
        settings=settings,
        registry=registry,
        scheduler=Scheduler(
            queue_megapixels=settings.queue_megapixels,
            tile_megapixels=settings.tile_pixels**2 / MEGAPIXEL,
            threads=settings.threads if all(each.device.type == "cpu" for each in tokenizers) else 1,
            use_threads=torch.set_num_threads,  # of the calling thread
            probe=lambda: _Probe(registry.default),
            on_restart=lambda: telemetry.restarted("model"),
        ),
        bodies=Bodies(settings),
        telemetry=telemetry,
        headers=UnpackingPool(
            HEADER_PROCESSES,
            seconds=HEADER_S,
            memory_bytes=bodies_bytes,
            on_replaced=lambda: telemetry.restarted("headers"),
        ),
        unpackers=UnpackingPool(
            settings.threads,
            seconds=settings.unpack_s,
            memory_bytes=bodies_bytes + UNPACKING_BYTES_PER_PIXEL * settings.image_pixels,
            on_replaced=lambda: telemetry.restarted("unpacking"),
        ),
        pool=ThreadPoolExecutor(settings.threads, thread_name_prefix="pixels"),
    )

    scheduler = service.scheduler
    telemetry.loaded(
        version("vqvae"), version("torch"), [(space.model, space.fingerprint) for space in registry.spaces]
    )
    telemetry.queue_megapixels.set_function(lambda: scheduler.health.queue_megapixels)
    telemetry.requests_in_flight.set_function(lambda: scheduler.health.num_requests)
    telemetry.ready.set_function(lambda: service.fault is None)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = _App(
        title="vqvae",
        version=version("vqvae"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # that page would load its parts from elsewhere
        openapi_url="/openapi.json" if settings.docs else None,
        redoc_url=None,
        redirect_slashes=False,
        responses=problem_answers(*OF_EVERY_CONNECTION, Problem),
    )
    app.state.service = service
    if settings.origins:
        app.add_middleware(
            CrossOrigin,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=EXPOSED,
        )
    app.add_middleware(RequestContext, telemetry=telemetry)  # around all others
    if settings.traces:
        trace_requests(app, version("vqvae"))
    for cls in Problem, VqvaeError, ClientDisconnect, RequestValidationError, HTTPException:
        app.add_exception_handler(cls, _answer_error)
    keys = settings.read_keys()
    for module in encode, decode, reconstruct, models, codebook:
        app.include_router(
            module.router,
            dependencies=[Depends(ApiKeys(keys))] if keys else [],
            responses=problem_answers(Unauthorized) if keys else {},
        )
    app.include_router(health.router)
    if settings.docs:
        app.include_router(docs.router)
    app.include_router(playground.router_of(settings))
    return app


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """FastAPI's document, with what it does not know.

        It also promises FastAPI's own form of 422 wherever there is a parameter; that never occurs here.
        """
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            del schemas["HTTPValidationError"], schemas["ValidationError"]
            del document["paths"]["/v1/models/{name}"]["get"]["responses"]["422"]
            documented.add_schemas(document, SCHEMAS_BY_HAND)
            documented.add_request_ids(document)
            registry: Registry = self.state.service.registry
            models = [registry.decoders(space.model) for space in registry.spaces]
            documented.add_decoders(document, [each.decoder_name for model in models for each in model])
        return super().openapi()


class _Probe:
    """The scheduler's trial of itself: a small image to codes and back."""

    num_tiles = 2

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._grid: CodeGrid | None = None

    def run(self, i: int) -> None:
        """Encode, then decode."""
        if i == 0:
            side = 4 * self._tokenizer.space.downsample_factor
            self._grid = self._tokenizer.encode_rgb8(np.full((side, side, 3), 127, np.uint8))
        else:
            assert self._grid is not None
            self._tokenizer.decode_rgb8(self._grid)

    def result(self) -> None:
        """That it came so far is the result."""


async def _answer_error(request: Request, error: Exception) -> Response:
    """The one place where an error becomes an answer, but for those that nobody foresaw."""
    match error:
        case RequestValidationError():
            problem: Problem = BadRequest(describe_validation(error.errors()))
        case ClientDisconnect():
            problem = ClientGone("the client left in the middle of its body")
        case HTTPException(status_code=404):
            problem = NotFound("there is nothing at this path; /docs lists what there is")
        case HTTPException(status_code=405):
            problem = MethodNotAllowed(
                "the Allow header lists the methods of this path", headers=error.headers
            )
        case _:
            problem = as_problem(error)
    request.state.problem = problem.kind
    return problem.response()
