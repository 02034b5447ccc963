"""Spans arrive at a collector that decodes the protobuf; if it fails, nothing waits for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable

from structlog.testing import capture_logs

from bridge.telemetry import events
from bridge.telemetry.otlp import MOST_WAITING, Collector, OtlpSpans
from bridge.telemetry.spans import Span
from tests.support.otlp_collector import attributes_of, collecting

SPAN = Span(
    "POST crm", (7 << 64) | 9, 0x51, 0x33, b"vendor=a", 1_800_000_000.25, 1_800_000_001.0,
    {"http.response.status_code": 503, "hookferry.endpoint": "crm"}, "status 503",
)  # fmt: skip
WITHOUT_PARENT = SPAN._replace(parent_id=0, state=b"", error="")


def spans_to(url: str, counts: Counter[str], timeout_s: float = 5.0) -> OtlpSpans:
    """Return the export of spans to a URL, which counts the outcomes."""
    collector = Collector(url, {"x-key": "word"}, "loans", timeout_s)
    return OtlpSpans(collector, "1.2.3", lambda outcome, number: counts.update({outcome: number}))


async def wait_for(condition: Callable[[], object]) -> None:
    """Return when the condition holds; the test's own timeout bounds it."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_span_arrives_as_it_was_with_service_and_login() -> None:
    counts: Counter[str] = Counter()
    with collecting() as collector:
        spans = spans_to(collector.url, counts)
        spans.add(SPAN)
        spans.add(WITHOUT_PARENT)
        await spans.close()
        first, second = sorted(collector.spans, key=lambda span: -len(span.parent_span_id))
        assert (first.name, first.kind) == ("POST crm", 3)
        assert first.trace_id == SPAN.trace_id.to_bytes(16)
        assert (first.span_id, first.parent_span_id) == ((0x51).to_bytes(8), (0x33).to_bytes(8))
        assert first.trace_state == "vendor=a"
        assert round((first.end_time_unix_nano - first.start_time_unix_nano) / 1e6) == 750
        assert attributes_of(first) == SPAN.attributes
        assert (first.status.code, first.status.message) == (2, "status 503")
        assert (second.parent_span_id, second.status.code) == (b"", 0)
        resource = collector.resources[0]
        assert (resource["service.name"], resource["service.version"]) == ("loans", "1.2.3")
        assert collector.headers[0]["x-key"] == "word"
    assert counts == {"exported": 2}


async def test_a_collector_that_refuses_is_logged_once_and_its_return_too() -> None:
    counts: Counter[str] = Counter()
    with collecting() as collector, capture_logs() as logs:
        collector.status = 400
        spans = spans_to(collector.url, counts)
        for _ in range(2):
            before = counts["dropped"]
            spans.add(SPAN)
            await wait_for(lambda before=before: counts["dropped"] > before)
        collector.status = 200
        spans.add(SPAN)
        await wait_for(lambda: counts["exported"] == 1)
        await spans.close()
    assert [line["event"] for line in logs] == [events.TRACING_FAILED, events.TRACING_RECOVERED]
    assert counts == {"exported": 1, "dropped": 2}
    assert "word" not in str(logs)


async def test_outcomes_are_counted_in_the_event_loop_because_counters_have_no_lock() -> None:
    threads: set[int] = set()
    with collecting() as collector:
        spans = OtlpSpans(
            Collector(collector.url, {}, "loans", 5.0), "1.2.3", lambda *_: threads.add(threading.get_ident())
        )
        spans.add(SPAN)
        await spans.close()
    assert threads == {threading.get_ident()}


async def test_while_the_collector_hangs_the_queue_is_bounded_and_adding_costs_nothing() -> None:
    counts: Counter[str] = Counter()
    with collecting() as collector:
        collector.held.clear()
        spans = spans_to(collector.url, counts, timeout_s=60)
        with capture_logs() as logs:
            for _ in range(MOST_WAITING + 500):
                spans.add(WITHOUT_PARENT)
        assert counts["dropped"] == 500
        assert logs == []
        began = time.monotonic()
        await spans.close()
        assert time.monotonic() - began < 30, "a stop does not wait for a collector that hangs"
