"""Traces, received by a collector that stands here."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service import tracing
from service.tracing import trace_requests
from vqvae.errors import MissingExtraError


@pytest.fixture
def collector():
    """An OTLP collector: its address, and the bodies that came."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_request_is_a_trace_with_its_stages(start_service, collector, png, monkeypatch):
    url, received = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    service = start_service(traces=True)
    parent = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "x-request-id": "an-id"}
    assert service.client.post("/v1/encode", content=png, headers=parent).status_code == 200
    service.stop()
    spans = [
        (group.resource, span)
        for path, body in received
        if path == "/v1/traces"
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]
    assert {span.name for _, span in spans} == {"POST /v1/encode", "intake", "model", "output"}  # no probes
    assert {span.trace_id.hex() for _, span in spans} == {"ab" * 16}
    ((resource, request),) = ((r, span) for r, span in spans if span.name == "POST /v1/encode")
    assert request.parent_span_id.hex() == "cd" * 8
    assert all(span is request or span.parent_span_id == request.span_id for _, span in spans)
    attributes = {attribute.key: attribute.value for attribute in request.attributes}
    assert attributes["vqvae.request_id"].string_value == "an-id"
    assert attributes["http.route"].string_value == "/v1/encode"
    names = [a.value.string_value for a in resource.attributes if a.key == "service.name"]
    assert names == ["vqvae"]


def test_without_the_extra_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingExtraError, match="otel"):
        trace_requests(None, "1")


def test_without_the_extra_spans_are_nothing(monkeypatch):
    monkeypatch.setattr(tracing, "trace", None)
    with tracing.span("stage"):
        tracing.describe_span({"a": 1}, name="other")
