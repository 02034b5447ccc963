"""One span per attempt, in the trace that the record of the event carries.

Invariant: nothing here can fail an attempt, and no secret is in a span: of the URL it has the origin.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from bridge.core.trace_context import TRACEPARENT, TRACESTATE, TraceContext, begin_context, read_context
from bridge.core.verdict import Judgement
from bridge.errors import TransportError
from bridge.model import Event, Request, Response, Verdict
from bridge.pipeline.target import Outcome
from bridge.rendering import Headers
from bridge.telemetry.spans import Span, SpanSink

_SPAN_BITS = 64


class OpenSpan(NamedTuple):
    """The span of an attempt that has begun, with the headers for its request."""

    context: TraceContext
    parent: TraceContext
    headers: Headers
    trace_id: str


class AttemptTracer:
    """Traces the attempts of one endpoint.

    ``group`` is the consumer group of its cursors. ``ratio`` is the share of events without a trace of their
    own that is recorded. ``passes_on`` is False if the configured headers of the endpoint contain a
    ``traceparent``.
    """

    def __init__(
        self,
        endpoint: str,
        group: str,
        sink: SpanSink,
        *,
        ratio: float,
        passes_on: bool = True,
        new_bits: Callable[[int], int] = random.getrandbits,
    ) -> None:
        self._endpoint = endpoint
        self._group = group
        self._sink = sink
        self._ratio = ratio
        self._passes_on = passes_on
        self._new_bits = new_bits

    def begin(self, event: Event) -> OpenSpan:
        """Begin the span of an attempt."""
        origin = event.origin
        parent = None
        if origin.headers:
            parent = read_context(origin.last_header(TRACEPARENT), origin.last_header(TRACESTATE))
        parent = parent or begin_context(event.webhook_id, self._ratio)
        context = parent.child(self._new_bits(_SPAN_BITS) or 1)
        return OpenSpan(context, parent, context.headers() if self._passes_on else (), context.trace_hex)

    def end(
        self,
        span: OpenSpan,
        event: Event,
        number: int,
        request: Request,
        outcome: Outcome,
        judgement: Judgement,
    ) -> None:
        """Export the span of an attempt, if its trace is recorded. ``number`` counts the attempts from 1."""
        if not span.context.sampled:
            return
        answer, began_s, duration_s, _ = outcome
        attributes = self._attributes(event, number, request, answer, judgement)
        error = "" if judgement.verdict is Verdict.DELIVERED else judgement.reason or judgement.verdict.value
        name = f"{request.method} {self._endpoint}"
        trace_id, span_id, *_, state = span.context
        parent_id, ended_s = span.parent.span_id, began_s + duration_s
        self._sink.add(Span(name, trace_id, span_id, parent_id, state, began_s, ended_s, attributes, error))

    def _attributes(
        self,
        event: Event,
        number: int,
        request: Request,
        answer: Response | TransportError,
        judgement: Judgement,
    ) -> dict[str, str | int]:
        """Return the attributes by OpenTelemetry's conventions for HTTP clients and messaging, and ours."""
        (topic, partition), url = event.origin.partition, request.url
        attributes: dict[str, str | int] = {
            "http.request.method": request.method,
            "server.address": url.host,
            "server.port": url.port,
            "url.full": f"{url.origin}/***",
            "messaging.system": "kafka",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(partition),
            "messaging.kafka.offset": event.origin.offset,
            "messaging.consumer.group.name": self._group,
            "messaging.message.id": event.id,
            "hookferry.endpoint": self._endpoint,
            "hookferry.event.type": event.type,
            "hookferry.webhook.id": event.webhook_id,
            "hookferry.attempt": number,
            "hookferry.verdict": judgement.verdict.value,
        }
        if number > 1:
            attributes["http.request.resend_count"] = number - 1
        if isinstance(answer, Response):
            attributes["http.response.status_code"] = answer.status
            if judgement.verdict is not Verdict.DELIVERED:
                attributes["error.type"] = str(answer.status)
        else:
            attributes["error.type"] = answer.fault.value
        return attributes
