"""OpenTelemetry traces, off unless asked for: a span a request, and one for each stage within it.

The standard environment variables say where they go, which, and under what name (OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME).
Reference: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.applications import Starlette

from vqvae.errors import MissingExtraError

try:
    from opentelemetry import trace
except ImportError:  # then nothing is traced, and spans cost nothing
    trace = None  # type: ignore[assignment]

NOT_TRACED = "livez,readyz,metrics"  # asked every few seconds, by machines


def trace_requests(app: Starlette, version: str) -> None:
    """Send a trace of every request of this application; MissingExtraError without the extra `otel`."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("traces", "otel") from error
    resource = Resource.create({SERVICE_VERSION: version})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):  # the environment names none
        resource = resource.merge(Resource({SERVICE_NAME: "vqvae"}))
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    app.add_middleware(
        OpenTelemetryMiddleware,
        excluded_urls=NOT_TRACED,
        default_span_details=lambda scope: (scope["method"], {}),
        exclude_spans=["receive", "send"],
        tracer_provider=provider,
    )


@contextmanager
def span(name: str) -> Iterator[None]:
    """What happens inside is a span of this name."""
    if trace is None:
        yield
        return
    with trace.get_tracer("vqvae").start_as_current_span(name):
        yield


def describe_span(attributes: Mapping[str, str | float], name: str | None = None) -> None:
    """Tell more of the span that this runs in."""
    if trace is not None:
        current = trace.get_current_span()
        current.set_attributes(attributes)
        if name is not None:
            current.update_name(name)
