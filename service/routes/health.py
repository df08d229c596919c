"""Is it alive, is it ready, which version is it?"""

from importlib.metadata import version
from platform import python_version

from fastapi import APIRouter, Request, Response

from service.errors import Unavailable
from service.routes.documented import problem_answers
from service.routes.flow import service_of
from service.schemas.health import Alive, Ready, Version
from service.telemetry import MEDIA_TYPE

router = APIRouter(tags=["service"])


@router.get("/livez", summary="Is it alive?", responses=problem_answers(Unavailable))
async def livez(request: Request) -> Alive:
    """200 unless a worker has been stuck for a minute, which nothing but a restart will cure."""
    if service_of(request).scheduler.health.is_stuck:
        raise Unavailable("a worker has finished no tile for a minute; restart the service")
    return Alive()


@router.get("/readyz", summary="Is it ready?", responses=problem_answers(Unavailable))
async def readyz(request: Request) -> Ready:
    """200 only where real work was done in the last five seconds; 503 says what is amiss."""
    service = service_of(request)
    if fault := service.fault:
        raise Unavailable(fault, retry_after_s=1)
    health = service.scheduler.health
    return Ready(
        last_tile_age_s=round(health.last_tile_age_s, 3),
        queue_megapixels=health.queue_megapixels,
        num_requests=health.num_requests,
    )


@router.get("/version", summary="Which version is it?")
async def get_version(request: Request) -> Version:
    """Versions of the service and of what its numbers depend on."""
    return Version(
        version=version("vqvae"),
        python=python_version(),
        torch=version("torch"),
        models={space.model: space.fingerprint for space in service_of(request).registry.spaces},
    )


@router.get(
    "/metrics",
    summary="What is there to watch?",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
async def metrics(request: Request) -> Response:
    """Counters, times and sizes, as Prometheus reads them."""
    return Response(service_of(request).telemetry.text(), headers={"Content-Type": MEDIA_TYPE})
