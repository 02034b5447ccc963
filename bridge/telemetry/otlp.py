"""Export spans over OTLP (HTTP, protobuf), with OpenTelemetry's SDK: the extra ``otel``.

Only ``bridge/wiring/tracing.py`` imports this file, if traces are configured. Invariant: no delivery waits
for a collector. Spans wait in a bounded queue for a thread; what does not fit is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

from bridge.telemetry import events
from bridge.telemetry.spans import Span
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
MOST_WAITING = 4096
"""Spans that wait for the collector: about 4 MiB."""
_BATCH = 512
_EVERY_MS = 1000.0
_LAST_S = 2.0
"""How long a stop waits for the last spans."""


class Collector(NamedTuple):
    """Where spans are sent. ``headers`` contain secrets and are shown nowhere."""

    url: str
    headers: Mapping[str, str]
    service_name: str
    timeout_s: float
    ca_file: str | None = None


class OtlpSpans:
    """Queues spans and exports them. ``count`` is called with ``exported`` or ``dropped`` and a number."""

    def __init__(self, collector: Collector, version: str, count: Callable[[str, int], None]) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # failures are logged here, throttled
        exporter = OTLPSpanExporter(
            endpoint=collector.url,
            headers=dict(collector.headers),
            timeout=collector.timeout_s,
            certificate_file=collector.ca_file,
        )
        self._form = _SpanForm(collector.service_name, version)
        self._url = collector.url
        self._count = count
        self._throttle = Throttle()
        self._failing = False
        self._added = self._done = 0
        self._loop = asyncio.get_running_loop()
        self._processor = BatchSpanProcessor(
            _Watched(exporter, self._exported), MOST_WAITING, _EVERY_MS, _BATCH
        )

    def add(self, span: Span) -> None:
        """Queue a span; drop it if the queue is full."""
        if self._added - self._done >= MOST_WAITING:
            self._count("dropped", 1)
            return
        self._added += 1
        self._processor.on_end(self._form.make(span))

    async def close(self) -> None:
        """Export the rest, for a short time, and end the thread, which ends with the process in any case."""
        ended = asyncio.Event()

        def shut_down() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]  # the SDK has no types there
            with suppress(RuntimeError):  # the loop has ended before
                self._loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=shut_down, name="last spans", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await ended.wait()

    def _exported(self, spans: int, succeeded: bool) -> None:
        """Note the outcome of a batch; the thread of the exporter calls this."""
        self._done += spans
        with suppress(RuntimeError):  # the loop has ended before
            self._loop.call_soon_threadsafe(self._note, spans, succeeded)

    def _note(self, spans: int, succeeded: bool) -> None:
        self._count("exported" if succeeded else "dropped", spans)
        if succeeded:
            if self._failing:
                self._failing = False
                _log.info(events.TRACING_RECOVERED)
            return
        self._failing = True
        if self._throttle.allows():
            _log.warning(
                events.TRACING_FAILED,
                cause="the collector did not accept spans; they are dropped",
                remedy="check tracing.endpoint, tracing.headers and the collector; deliveries go on",
            )


class _Watched(SpanExporter):
    """Reports each batch of an exporter to ``done``: its size, and whether the collector took it."""

    def __init__(self, exporter: SpanExporter, done: Callable[[int, bool], None]) -> None:
        self._exporter = exporter
        self._done = done

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._done(len(spans), result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _SpanForm:
    """Makes spans of the SDK from ours, without the SDK's tracer, which would keep a context per task."""

    def __init__(self, service_name: str, version: str) -> None:
        self._resource = Resource.create({"service.name": service_name, "service.version": version})
        self._scope = InstrumentationScope("hookferry", version)

    def make(self, span: Span) -> ReadableSpan:
        """Return the span of the SDK."""
        flags = TraceFlags(TraceFlags.SAMPLED)
        state = TraceState.from_header([span.state.decode()] if span.state else [])
        parent = SpanContext(span.trace_id, span.parent_id, True, flags) if span.parent_id else None
        return ReadableSpan(
            span.name,
            context=SpanContext(span.trace_id, span.span_id, False, flags, state),
            parent=parent,
            resource=self._resource,
            attributes=span.attributes,
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
            start_time=int(span.began_s * 1e9),
            end_time=int(span.ended_s * 1e9),
            instrumentation_scope=self._scope,
        )
