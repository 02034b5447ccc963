"""Build the export of traces, and the tracer of each endpoint. Without ``tracing``, there is neither."""

from __future__ import annotations

from bridge import __version__
from bridge.core.trace_context import TRACEPARENT
from bridge.errors import ConfigError
from bridge.pipeline.attempt_trace import AttemptTracer
from bridge.settings import EndpointSettings, Settings
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.spans import SpanSink


def build_spans(settings: Settings, metrics: Metrics) -> SpanSink | None:
    """Build the export of spans and start its thread; None if it is not configured.

    Raises ``ConfigError`` if the packages of OpenTelemetry are not installed. Needs a running event loop.
    """
    tracing = settings.tracing
    if tracing is None:
        return None
    try:
        from bridge.telemetry.otlp import Collector, OtlpSpans  # noqa: PLC0415 - it is an extra
    except ImportError as exc:
        cause = "tracing: needs the packages of OpenTelemetry, which are not installed"
        raise ConfigError([f"{cause}; install hookferry[otel], or remove tracing"]) from exc
    collector = Collector(
        tracing.endpoint,
        {name: value.get_secret_value() for name, value in tracing.headers.items()},
        tracing.service_name,
        tracing.timeout_s,
        None if tracing.ca_file is None else str(tracing.ca_file),
    )
    counted = metrics.trace_spans
    return OtlpSpans(collector, __version__, lambda outcome, spans: counted.labels(outcome).inc(spans))


def build_tracer(
    name: str, endpoint: EndpointSettings, settings: Settings, spans: SpanSink | None
) -> AttemptTracer | None:
    """Build the tracer of an endpoint; None without traces."""
    if spans is None or settings.tracing is None:
        return None
    own = {header.lower() for header in endpoint.headers}
    return AttemptTracer(
        name,
        f"{settings.group}.{name}",
        spans,
        ratio=settings.tracing.sample_ratio,
        passes_on=TRACEPARENT not in own,
    )
