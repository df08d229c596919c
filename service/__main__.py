"""`python -m service`: load the models, serve them, and when told to stop answer what was accepted first."""

import asyncio
import logging
import resource
import socket
import sys
import time
from functools import partial
from types import FrameType
from typing import cast

import uvicorn

from service import logs
from service.app import load_app
from service.connections import Connection
from service.routes.flow import Service
from service.scheduler import Scheduler
from service.settings import PREFIX, Settings, read_settings
from vqvae.errors import VqvaeError

OTHER_FILES = 1000  # besides connections: pipes, models, libraries
FLUSH_S = 5  # for the last bytes of answers, once all are made

logger = logging.getLogger("service")


class Server(uvicorn.Server):
    """A server whose first signal closes admission; it ends once accepted requests are answered."""

    def __init__(self, config: uvicorn.Config, scheduler: Scheduler, drain_s: float) -> None:
        super().__init__(config)
        self._scheduler = scheduler
        self._drain_s = drain_s
        self._drain_until: float | None = None
        self.out_of_time = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            logger.info("serving on %s (documentation at %s/docs; Ctrl-C stops)", url, url)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the next one ends at once; none is raised again: to drain is a success."""
        self._scheduler.close()
        drain_s = self._drain_s if self._drain_until is None else 0
        self._drain_until = time.monotonic() + drain_s

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; asked every 0.1 s."""
        if self._drain_until is not None:
            drained = self._scheduler.health.num_requests == 0
            if not drained and time.monotonic() >= self._drain_until:
                self.out_of_time = True
                self.config.timeout_graceful_shutdown = 0
            self.should_exit |= drained or self.out_of_time
        return await super().on_tick(counter)


def main() -> None:
    """Serve until told to stop; exits with 1 after a failed start or with accepted requests unanswered.

    Ctrl-C before it serves ends it with 130.
    """
    try:
        settings = read_settings()
        logs.set_up(settings.log)
        _allow_files(2 * settings.connections + OTHER_FILES)
        listener = _bound_socket(settings)  # before the models: a port in use is found at once
        app = load_app(settings)
        service: Service = app.state.service
        service.start()  # before uvicorn, which would tell of a failure at length
    except (VqvaeError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)  # nothing was accepted yet
    config = uvicorn.Config(
        app,
        http=cast(
            type[asyncio.Protocol],
            partial(
                Connection,
                settings=settings,
                telemetry=service.telemetry,
                is_draining=lambda: service.scheduler.is_closed,
            ),
        ),
        loop="asyncio",  # also where uvloop is installed: what is tested and measured is what runs
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,  # RequestContext writes a line with the request's id
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=FLUSH_S,
    )
    server = Server(config, service.scheduler, settings.drain_s)
    server.run(sockets=[listener])
    if server.out_of_time:
        sys.exit(f"error: requests were left unanswered after draining for {settings.drain_s} s")


def _allow_files(num_files: int) -> None:
    """So many open files, or as many as this process may ever have; at first it is mostly 1024."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= allowed < num_files:  # negative is without a limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (num_files if most < 0 else min(num_files, most), most))


def _bound_socket(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # TCP by name: asyncio sets TCP_NODELAY on no other, and an answer's body would wait 40 ms behind its head
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        raise OSError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            f"{PREFIX}HOST and {PREFIX}PORT choose another address"
        ) from error
    return listener


if __name__ == "__main__":
    main()
