"""Traces of attempts: what a request carries, what a span says, and that nothing is added without them."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.core.cursor import Cursor
from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.core.signing import IdOnly
from bridge.errors import TransportError, TransportFault
from bridge.model import Request, Resend, Response, Url
from bridge.pipeline.attempt import EndpointClient
from bridge.pipeline.attempt_log import AttemptLog
from bridge.pipeline.attempt_trace import AttemptTracer
from bridge.pipeline.lane_queue import Delivery
from bridge.pipeline.target import Target
from bridge.rendering import Rendered
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.spans import Span
from tests.support.fakes import DECODER, P0, FakeHistory, as_judged, record
from tests.support.simulated import BEGAN_S, LoopClock, simulated

TRACE, ABOVE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OUR_SPAN = 0x51
PARENT = (("traceparent", f"00-{TRACE}-{ABOVE}-01".encode()), ("tracestate", b"vendor=a"))
UNSAMPLED = (("traceparent", f"00-{TRACE}-{ABOVE}-00".encode()),)
TARGET = Target("crm", ((b"X-Key", b"k"),), frozenset({b"x-key"}), 7.0, log_successes=True, kept_success=100)
URL = Url("https", "crm.test", 443, "/secret?key=word")


class Sink:
    """Keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def add(self, span: Span) -> None:
        self.spans.append(span)

    async def close(self) -> None: ...


class Stage:
    """One endpoint with traces (unless ``ratio`` is None), and a receiver with one answer."""

    def __init__(
        self, answer: Response | Exception, ratio: float | None = 1.0, passes_on: bool = True
    ) -> None:
        self.answer = answer
        self.sink, self.history = Sink(), FakeHistory()
        self.requests: list[Request] = []
        breaker = Breaker(failures=10, window_s=30, open_s=5, max_open_s=60, concurrency=4)
        tracer = AttemptTracer(
            "crm", "g.crm", self.sink, ratio=ratio or 0, passes_on=passes_on, new_bits=lambda _: OUR_SPAN
        )
        self.log = AttemptLog(TARGET, self.history, Metrics().endpoint("crm"))
        self.client = EndpointClient(
            TARGET, renderer=self, stored=self, signer=IdOnly(), transport=self, log=self.log,
            clock=LoopClock(),
            gate=Gate(RateWindows(()), AdaptiveLimit(64), breaker, retry_after_cap_s=60),
            tracer=None if ratio is None else tracer,
        )  # fmt: skip

    def render(self, _: object) -> Rendered:
        return Rendered("POST", URL, ((b"content-type", b"application/json"),), b"{}")

    async def send(self, request: Request, timeout_s: float) -> Response:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None: ...

    async def attempt(
        self, headers: Any = PARENT, number: int = 1, resend: Resend | None = None
    ) -> list[Any]:
        """Make an attempt for an event whose record has these headers; return its log lines."""
        event = DECODER.decode(record("a", 5)._replace(headers=headers))[0]
        event.resend = resend
        delivery = Delivery(event, Cursor(P0, 0, window=10, window_bytes=1000), 5, 10, 0, number - 1)
        with capture_logs() as logs:
            await self.client.attempt(delivery, as_judged)
            self.log.write_successes()
        return logs

    def sent(self) -> dict[bytes, bytes]:
        """Return the headers of the last request."""
        return dict(self.requests[-1].headers)


OK, BUSY = Response(200, (), b"ok"), Response(503, (), b"later")


@simulated
async def test_the_trace_of_the_record_continues_in_the_request_the_span_the_log_and_the_history() -> None:
    stage = Stage(BUSY)
    (line,) = await stage.attempt(number=3)
    assert stage.sent()[b"traceparent"] == f"00-{TRACE}-{OUR_SPAN:016x}-01".encode()
    assert stage.sent()[b"tracestate"] == b"vendor=a"
    assert line["trace_id"] == stage.history.rows[0].trace_id == TRACE
    assert b"traceparent: 00-" in stage.history.rows[0].headers
    (span,) = stage.sink.spans
    assert (span.trace_id, span.span_id, span.parent_id) == (int(TRACE, 16), OUR_SPAN, int(ABOVE, 16))
    assert (span.name, span.began_s, span.error) == ("POST crm", BEGAN_S, "status 503: later")
    wanted = {
        "http.request.method": "POST", "http.response.status_code": 503, "error.type": "503",
        "http.request.resend_count": 2, "server.address": "crm.test", "server.port": 443,
        "url.full": "https://crm.test:443/***", "messaging.system": "kafka",
        "messaging.destination.name": "orders", "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 5, "messaging.consumer.group.name": "g.crm", "hookferry.verdict": "again",
    }  # fmt: skip
    assert {name: span.attributes[name] for name in wanted} == wanted
    assert not any("word" in str(value) or "secret" in str(value) for value in span.attributes.values())


@simulated
async def test_a_delivery_has_no_error_and_a_lost_connection_has_no_status() -> None:
    delivered, lost = Stage(OK), Stage(TransportError(TransportFault.TIMEOUT, "crm.test"))
    await delivered.attempt()
    await lost.attempt()
    assert delivered.sink.spans[0].error == ""
    assert "error.type" not in delivered.sink.spans[0].attributes
    assert lost.sink.spans[0].attributes["error.type"] == "timeout"
    assert "http.response.status_code" not in lost.sink.spans[0].attributes


@simulated
async def test_a_record_without_a_trace_begins_one_that_all_its_attempts_share() -> None:
    stage = Stage(BUSY)
    await stage.attempt((), 1)
    await stage.attempt((("traceparent", b"damaged"), ("tracestate", b"x=1")), 2)
    first, second = stage.sink.spans
    assert first.trace_id == second.trace_id
    assert (first.parent_id, second.parent_id) == (0, 0)
    assert b"tracestate" not in stage.sent()


@simulated
async def test_an_event_that_is_sent_again_continues_the_trace_of_its_first_record() -> None:
    stage = Stage(OK)
    origin = record("a", 5)._replace(headers=PARENT)
    await stage.attempt((), resend=Resend(origin, "crm", "again-1"))
    assert stage.sink.spans[0].trace_id == int(TRACE, 16)


@simulated
async def test_a_trace_that_is_not_recorded_is_passed_on_and_logged_without_a_span() -> None:
    for stage, headers in ((Stage(OK), UNSAMPLED), (Stage(OK, ratio=0.0), ())):
        (line,) = await stage.attempt(headers)
        assert stage.sent()[b"traceparent"].endswith(b"-00")
        assert len(line["trace_id"]) == 32
        assert stage.sink.spans == []


@simulated
async def test_a_traceparent_that_the_configuration_sets_is_not_sent_twice() -> None:
    stage = Stage(OK, passes_on=False)
    await stage.attempt()
    assert b"traceparent" not in stage.sent()
    assert stage.sink.spans[0].trace_id == int(TRACE, 16)


@simulated
@pytest.mark.filterwarnings("error")
async def test_without_traces_a_request_a_line_and_a_row_are_as_before() -> None:
    stage = Stage(OK, ratio=None)
    (line,) = await stage.attempt()
    assert b"traceparent" not in stage.sent()
    assert "trace_id" not in line
    assert stage.history.rows[0].trace_id is None
