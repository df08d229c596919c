"""The service on Ray Serve: the same application in each of as many replicas as there is work for.

`serve run service.deploy.ray_serve:app max_replicas=4`, with the settings in the environment of that command;
every replica gets the same ones. Serve's proxy stands where `service.connections` does otherwise.
"""

import time

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from ray import serve
from ray.serve.config import AutoscalingConfig
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import logs
from service.app import load_app
from service.routes.flow import Service
from service.settings import Settings, read_settings

START_S = 60  # for the first trial of the model, once it is loaded
STOP_S = 10  # to end the worker and the unpacking processes, after the drain
HEALTH_CHECK_S = 5  # Serve believes the third one in a row that fails


class Scaling(BaseModel):
    """How many replicas there are; the words of `serve run` after the name of the application."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_replicas: PositiveInt = 1
    max_replicas: PositiveInt = 4
    target_ongoing_requests: PositiveFloat = 4  # of one replica, being worked on or waiting


class Replica:
    """What Serve asks of a replica, besides its answers."""

    app: FastAPI  # Serve sets it to what was built

    async def check_health(self) -> None:
        """Raises where the replica is not ready for work; Serve then puts another one in its place."""
        service: Service = self.app.state.service
        if fault := service.fault:
            raise RuntimeError(fault)


class _IdOfTheProxy:
    """Leaves X-Request-ID to Serve's proxy, which adds the one that it passed on: two would be none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_without_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)["X-Request-ID"]
            await send(message)

        await self.app(scope, receive, send_without_id)


def app(scaling: Scaling) -> serve.Application:
    """What `serve run` runs."""
    return deployment(read_settings(), scaling).bind()


def deployment(settings: Settings, scaling: Scaling) -> serve.Deployment:
    """Replicas with these settings, each of which reserves as many processors as it has threads."""

    def build() -> FastAPI:
        """The application, ready for work, in a replica's own process."""
        logs.set_up(settings.log)
        app = load_app(settings)
        app.add_middleware(_IdOfTheProxy)
        service: Service = app.state.service
        service.start()
        _await_readiness(service)
        return app

    make = serve.deployment(
        name="vqvae",
        ray_actor_options={"num_cpus": settings.threads},
        autoscaling_config=AutoscalingConfig(**scaling.model_dump()),
        # the service's own queue refuses what is too much, and says when to come back; Serve's only waits
        max_ongoing_requests=settings.connections,
        max_queued_requests=settings.connections,
        health_check_period_s=HEALTH_CHECK_S,
        graceful_shutdown_timeout_s=settings.drain_s + STOP_S,
    )
    return make(serve.ingress(build)(Replica))


def _await_readiness(service: Service) -> None:
    """Return once there is no fault: Serve asks at once, and takes a fault for a failed start."""
    ends_at = time.monotonic() + START_S
    while fault := service.fault:
        if time.monotonic() >= ends_at:
            raise RuntimeError(f"not ready within {START_S} s: {fault}")
        time.sleep(0.05)
