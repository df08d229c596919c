"""What the service tells Prometheus: its names, units and buckets; no label takes a value from a client.

Reference: https://prometheus.io/docs/practices/naming/.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4

POOLS = ("headers", "unpacking", "model")
METHODS = ("GET", "HEAD", "POST", "OPTIONS")  # others count as one
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
MEGAPIXELS = (0.016, 0.0625, 0.25, 0.5, 1, 2, 4, 8, 16, 64)


class Telemetry:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # memory, processor time, open files
        PlatformCollector(registry=registry)
        self._requests = Counter(
            "vqvae_requests", "Requests answered.", ("route", "method", "status"), registry=registry
        )
        self._duration = Histogram(
            "vqvae_request_duration_seconds",
            "From a request's head to its answer's end.",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "vqvae_stage_duration_seconds",
            "What one request spent in intake, queue, model and output.",
            ("stage",),
            buckets=SECONDS,
            registry=registry,
        )
        self._problems = Counter(
            "vqvae_problems", "Answers that are problems, by their type.", ("problem",), registry=registry
        )
        self._images = Counter(
            "vqvae_images", "Images that were to be coded or decoded.", ("outcome",), registry=registry
        )
        self._codes = Counter("vqvae_codes", "Codes made or decoded.", registry=registry)
        self._image_megapixels = Histogram(
            "vqvae_image_megapixels",
            "Size of the images worked on, in 2^20 pixels.",
            buckets=MEGAPIXELS,
            registry=registry,
        )
        self.queue_megapixels = Gauge(
            "vqvae_queue_megapixels", "Admitted work, waiting or being done.", registry=registry
        )
        self.requests_in_flight = Gauge(
            "vqvae_requests_in_flight", "Requests that were admitted and not answered.", registry=registry
        )
        self.ready = Gauge("vqvae_ready", "1 where /readyz says 200, else 0.", registry=registry)
        self._restarts = Counter(
            "vqvae_worker_restarts",
            "Workers replaced after they ended or hung: unpacking processes, header processes, the model's.",
            ("pool",),
            registry=registry,
        )
        for pool in POOLS:
            self._restarts.labels(pool)
        self._build = Gauge(
            "vqvae_build_info",
            "1 for every loaded model.",
            ("version", "torch", "model", "fingerprint"),
            registry=registry,
        )

    def loaded(self, version: str, torch: str, models: Iterable[tuple[str, str]]) -> None:
        """What is served: names and fingerprints."""
        for model, fingerprint in models:
            self._build.labels(version, torch, model, fingerprint).set(1)

    def answered(
        self,
        *,
        route: str | None,
        method: str,
        status: int,
        seconds: float,
        stages_s: Mapping[str, float],
        problem: str | None,
    ) -> None:
        """One request, whose route is None where there is no such path."""
        route = route or "none"
        self._requests.labels(route, method if method in METHODS else "other", str(status)).inc()
        self._duration.labels(route).observe(seconds)
        for stage, stage_s in stages_s.items():
            self._stages.labels(stage).observe(stage_s)
        if problem is not None:
            self._problems.labels(problem).inc()

    def restarted(self, pool: Literal["headers", "unpacking", "model"]) -> None:
        """One worker took the place of another; from any thread."""
        self._restarts.labels(pool).inc()

    def refused(self, problem: str) -> None:
        """A connection ended before there was a request."""
        self._problems.labels(problem).inc()

    def image(self, outcome: str) -> None:
        """One image of a request: done, or failed."""
        self._images.labels(outcome).inc()

    def coded(self, num_codes: int, megapixels: float) -> None:
        """One image that went to codes or came from them."""
        self._codes.inc(num_codes)
        self._image_megapixels.observe(megapixels)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
