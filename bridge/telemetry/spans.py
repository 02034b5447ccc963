"""A span that has ended, and where it goes.

Invariant: nothing here needs the SDK of OpenTelemetry, which is an extra.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Span(NamedTuple):
    """A span that has ended. Times are in Unix seconds; ``error`` is empty for a success.

    ``state`` is the ``tracestate`` of its trace. ``parent_id`` is 0 for a span without one above it.
    """

    name: str
    trace_id: int
    span_id: int
    parent_id: int
    state: bytes
    began_s: float
    ended_s: float
    attributes: Mapping[str, str | int]
    error: str


class SpanSink(Protocol):
    """Exports spans (``bridge.telemetry.otlp.OtlpSpans``)."""

    def add(self, span: Span) -> None:
        """Queue a span; never blocks, and drops it if the queue is full."""
        ...

    async def close(self) -> None:
        """Export the rest, for a short time."""
        ...
