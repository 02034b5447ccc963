"""The W3C Trace Context of an event: read it from the record, and continue it in a request. Pure.

Source: W3C Recommendation "Trace Context" (2021-11-23), sections 3.2 and 3.3. Invariant: a damaged
``traceparent`` never spoils a delivery; the event begins a new trace.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED, _RANDOM = 1, 2
_MOST_STATE_BYTES = 512
"""A ``tracestate`` up to this size must be passed on (3.3.1.5); a larger one is dropped."""
_STATE = re.compile(rb"[\x20-\x7e\t]*")
_LOW_BITS = 1 << 64


class TraceContext(NamedTuple):
    """One position in a trace: the trace, the span in it, and whether its spans are recorded."""

    trace_id: int
    span_id: int
    sampled: bool
    random: bool = False
    state: bytes = b""

    @property
    def trace_hex(self) -> str:
        """The id of the trace as it is written everywhere."""
        return f"{self.trace_id:032x}"

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the headers that continue the trace in a request."""
        flags = (_SAMPLED if self.sampled else 0) | (_RANDOM if self.random else 0)
        parent = f"00-{self.trace_id:032x}-{self.span_id:016x}-{flags:02x}".encode()
        own = ((TRACEPARENT.encode(), parent),)
        return (*own, (TRACESTATE.encode(), self.state)) if self.state else own

    def child(self, span_id: int) -> TraceContext:
        """Return the position of a span below this one; it is recorded if this one is."""
        return self._replace(span_id=span_id)


def read_context(traceparent: bytes | None, tracestate: bytes | None) -> TraceContext | None:
    """Return the context that a record carries; None without a valid one.

    A version above 00 may have more fields, and is read as far as 00 goes (3.2.4).
    """
    match = _FORM.fullmatch((traceparent or b"").strip())
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    trace_id, span_id, bits = int(trace, 16), int(span, 16), int(flags, 16)
    if version == b"ff" or (version == b"00" and more) or not trace_id or not span_id:
        return None
    state = (tracestate or b"").strip()
    if len(state) > _MOST_STATE_BYTES or not _STATE.fullmatch(state):
        state = b""
    return TraceContext(trace_id, span_id, bool(bits & _SAMPLED), bool(bits & _RANDOM), state)


def begin_context(webhook_id: str, ratio: float) -> TraceContext:
    """Return the context of an event whose record has none.

    The trace id is a hash of the id of the web hook: all attempts, at all endpoints and in all processes,
    share one trace, and so does the decision to record it. ``ratio``: the share that is recorded. The span
    id is 0: there is no span above.
    """
    trace_id = int.from_bytes(sha256(b"hookferry trace " + webhook_id.encode()).digest()[:16]) or 1
    return TraceContext(trace_id, 0, trace_id % _LOW_BITS < ratio * _LOW_BITS)
