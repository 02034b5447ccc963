"""One attempt and what is kept of it: timing, metrics, the log line, the history."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.core.cursor import Cursor
from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.core.signing import Signer
from bridge.core.verdict import DELIVERED, judge
from bridge.errors import TransportError, TransportFault
from bridge.history.attempt import Later
from bridge.model import Event, Request, Response, Url, Verdict
from bridge.pipeline.attempt import EndpointClient
from bridge.pipeline.attempt_log import AttemptLog
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.lane_queue import Delivery
from bridge.pipeline.target import Outcome, Target
from bridge.rendering import Rendered
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from tests.support.counted import counted
from tests.support.fakes import P0, FakeHistory, as_judged, event
from tests.support.simulated import BEGAN_S, LoopClock, simulated

OK = Response(200, (), b"")
RENDERED = Rendered("POST", Url("http", "crm.test", 8080, "/secret"), (), b"body")


class FakeTransport:
    """Answers after two seconds with the answer that it was given."""

    def __init__(self, answer: Response | Exception) -> None:
        self.answer = answer
        self.timeouts: list[float] = []
        self.requests: list[Request] = []

    async def send(self, request: Request, timeout_s: float) -> Response:
        self.timeouts.append(timeout_s)
        self.requests.append(request)
        await asyncio.sleep(2)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None: ...


class FixedRenderer:
    """Renders every event to the same request."""

    def __init__(self, rendered: Rendered) -> None:
        self._rendered = rendered

    def render(self, event: Event) -> Rendered:
        return self._rendered


class FixedSigner(Signer):
    """Signs with one header, the same for every request."""

    def headers(
        self, webhook_id: str, at_s: int, body: bytes, method: str, url: Url
    ) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"a", b"1"),)


def target(**changes: Any) -> Target:
    return replace(
        Target(
            "crm", ((b"X-Key", b"k"),), frozenset({b"x-key"}), 7.0, True, kept_success=100, kept_failure=100
        ),
        **changes,
    )


class Stage:
    """One endpoint's client and log, over a fake transport and history."""

    def __init__(
        self,
        answer: Response | Exception = OK,
        target: Target = target(),  # noqa: B008 - frozen
        rendered: Rendered = RENDERED,
    ) -> None:
        self.transport = FakeTransport(answer)
        self.history = FakeHistory()
        self.metrics = Metrics()
        breaker = Breaker(failures=10, window_s=30, open_s=5, max_open_s=60, concurrency=4)
        self.gate = Gate(RateWindows(()), AdaptiveLimit(64), breaker, retry_after_cap_s=60)
        self.log = AttemptLog(target, self.history, self.metrics.endpoint("crm"))
        self.client = EndpointClient(
            target,
            renderer=FixedRenderer(rendered),
            stored=FixedRenderer(rendered),
            signer=FixedSigner(),
            gate=self.gate,
            transport=self.transport,
            log=self.log,
            clock=LoopClock(),
        )

    async def attempt(self, number: int = 1) -> list[dict[str, object]]:
        """Make one attempt; return its log lines."""
        with capture_logs() as logs:
            await self.client.attempt(delivery(number - 1), as_judged)
            self.log.write_successes()
        return logs  # type: ignore[return-value]

    def record(self, offset: int, answer: Response = OK) -> None:
        """Keep an attempt that took two seconds, without making it."""
        outcome = Outcome(answer, BEGAN_S, 2.0)
        method, url, headers, body = RENDERED
        request = Request(method, url, headers + target().headers, body)
        self.log.record(event("a", offset), 1, request, outcome, judge(answer), 1)

    def sample(self, name: str, **labels: str) -> float:
        return counted(self.metrics, name, endpoint="crm", **labels)


def delivery(attempts: int = 0) -> Delivery:
    """Return the delivery of an event that had so many attempts."""
    cursor: EndpointCursor = Cursor(P0, 0, window=10, window_bytes=1000)
    return Delivery(event("a", 5), cursor, 5, 10, 0, attempts)


@simulated
async def test_an_attempt_is_timed_and_limited_by_the_timeout_of_the_endpoint() -> None:
    stage = Stage()
    assert await stage.client.attempt(delivery(), as_judged) == DELIVERED
    (row,) = stage.history.rows
    assert (row.sent_s, row.answered_s) == (BEGAN_S, BEGAN_S + 2)
    assert stage.transport.timeouts == [7.0]


@simulated
async def test_a_transport_error_is_judged_and_any_other_exception_is_raised() -> None:
    stage = Stage(TransportError(TransportFault.TLS, "crm.test"))
    assert (await stage.client.attempt(delivery(), as_judged)).verdict is Verdict.AGAIN
    stage.transport.answer = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        await stage.client.attempt(delivery(), as_judged)


@simulated
async def test_an_attempt_that_is_cancelled_is_reported_to_the_gate_as_abandoned() -> None:
    stage = Stage(TransportError(TransportFault.READ, "crm.test"))
    for _ in range(10):
        await stage.client.attempt(delivery(), as_judged)
    await asyncio.sleep(5)
    probe = asyncio.ensure_future(stage.client.attempt(delivery(), as_judged))
    await asyncio.sleep(1)
    assert stage.gate.admit(LoopClock().monotonic()) > 0, "one probe at a time"
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert stage.gate.admit(LoopClock().monotonic()) == 0


@simulated
async def test_the_history_has_every_fact_of_an_attempt() -> None:
    stage = Stage(Response(503, ((b"retry-after", b"7"), (b"server", b"x")), b"busy"))
    await stage.attempt(3)
    (row,) = stage.history.rows
    sample = event("a", 5)
    assert row._asdict() == {
        "sent_s": BEGAN_S, "answered_s": BEGAN_S + 2, "event_id": "a", "webhook_id": sample.webhook_id,
        "type": "Created", "entity": "e1", "tenant": None, "topic": "orders", "partition": 0, "offset": 5,
        "event_index": 0, "event_time": sample.time, "appended_ms": sample.record.timestamp_ms,
        "again_id": None, "attempt": 3, "method": "POST", "url": "http://crm.test:8080/***",
        "status": 503, "verdict": "again",
        "reason": "status 503: busy", "body_bytes": 4, "body_sha256": None,
            "body_masked": False, "own_headers": 0, "repeats": None, "origin": None, "origin_ms": None,
            "later": Later(), "lane": event("a", 5).lane,
        "headers": b"a: 1\nX-Key: ***", "body": b"body", "answer_headers": b"retry-after: 7\nserver: x",
        "answer_body": b"busy", "trace_id": None,
    }  # fmt: skip


@simulated
async def test_an_attempt_without_an_answer_is_kept_without_the_parts_of_one() -> None:
    stage = Stage(TransportError(TransportFault.CONNECT, "crm.test"))
    await stage.attempt()
    (row,) = stage.history.rows
    assert (row.status, row.answer_headers, row.answer_body, row.verdict) == (None, None, None, "again")


FAILED = Response(500, (), b"oops")


@pytest.mark.parametrize(
    ("kept", "answer", "body", "answered"),
    [
        ({"kept_success": -1}, OK, None, b""),
        ({"kept_success": -1}, FAILED, b"body", b"oops"),
        ({"kept_success": -1, "kept_failure": -1}, FAILED, None, b""),
        ({"kept_success": 4}, OK, b"body", b""),
        ({"kept_success": 3}, OK, None, b""),
        ({"kept_failure": 3}, FAILED, None, b"oops"),
    ],
)
@simulated
async def test_bodies_are_kept_as_the_settings_say(kept, answer, body, answered) -> None:
    stage = Stage(answer, target=target(**kept))
    await stage.attempt()
    (row,) = stage.history.rows
    assert (row.body, row.answer_body, row.body_bytes) == (body, answered, 4)


@simulated
async def test_of_a_body_that_is_too_large_its_hash_is_kept_and_of_one_that_is_not_wanted_nothing() -> None:
    for limit, digest in ((3, sha256(b"body").hexdigest()), (-1, None), (4, None)):
        stage = Stage(target=target(kept_success=limit))
        await stage.attempt()
        assert stage.history.rows[0].body_sha256 == digest


@simulated
async def test_the_beginning_of_a_long_answer_is_kept() -> None:
    headers = tuple((b"x-%d" % number, b"v" * 100) for number in range(100))
    stage = Stage(Response(500, headers, b"a" * 60_000))
    await stage.attempt()
    (row,) = stage.history.rows
    assert row.answer_body == b"a" * 2048
    assert 3900 < len(row.answer_headers or b"") <= 4096


@simulated
async def test_a_failure_gets_the_time_of_the_next_attempt_and_a_delivery_has_none() -> None:
    stage = Stage(FAILED)
    failed = delivery()
    await stage.client.attempt(failed, as_judged)
    assert failed.later is not None
    failed.later.at_s = 7.5
    assert stage.history.rows[0].next_s == 7.5
    stage.transport.answer = OK
    await stage.client.attempt(failed, as_judged)
    assert (failed.later, stage.history.rows[1].next_s) == (None, None)


@simulated
async def test_a_delivery_is_counted_once_with_its_latency() -> None:
    stage = Stage()
    await stage.attempt(1)
    await stage.attempt(2)
    assert stage.sample("attempts_total", verdict="delivered") == 2
    assert stage.sample("attempts_total", verdict="park") == 0
    assert stage.sample("retries_succeeded_total") == 1
    assert stage.sample("attempt_seconds_sum") == 4
    assert stage.sample("delivery_latency_seconds_sum") == 2 + 4


@simulated
async def test_a_failure_has_no_latency() -> None:
    stage = Stage(Response(400, (), b""))
    await stage.attempt(2)
    assert stage.sample("attempts_total", verdict="park") == 1
    assert stage.sample("delivery_latency_seconds_count") == 0
    assert stage.sample("retries_succeeded_total") == 0


@simulated
async def test_a_failure_is_logged_in_one_line_without_secrets() -> None:
    (line,) = await Stage(TransportError(TransportFault.CONNECT, "crm.test")).attempt(2)
    assert line["event"] == events.DELIVERY_ATTEMPTED
    assert line["log_level"] == "warning"
    assert (line["verdict"], line["attempt"], line["status"], line["place"]) == (
        "again",
        2,
        None,
        "orders-0@5",
    )
    assert line["origin"] == "http://crm.test:8080"
    assert "secret" not in repr(line)


@simulated
async def test_successes_are_logged_only_if_all_attempts_are_to_be_logged() -> None:
    (line,) = await Stage().attempt()
    assert (line["verdict"], line["log_level"]) == ("delivered", "info")
    assert await Stage(target=target(log_successes=False)).attempt() == []
    assert len(await Stage(Response(500, (), b""), target(log_successes=False)).attempt()) == 1


def record_successes(stage: Stage, number: int) -> None:
    for offset in range(number):
        stage.record(offset)


@simulated
async def test_successes_are_written_in_a_batch_after_50_ms_and_their_rows_at_once() -> None:
    stage = Stage()
    record_successes(stage, 3)
    assert len(stage.history.rows) == 3
    assert stage.sample("attempts_total", verdict="delivered") == 0
    with capture_logs() as logs:
        await asyncio.sleep(0.05)
    assert [line["place"] for line in logs] == ["orders-0@0", "orders-0@1", "orders-0@2"]
    assert stage.sample("attempts_total", verdict="delivered") == 3
    record_successes(stage, 1)
    await asyncio.sleep(0.05)
    assert stage.sample("attempts_total", verdict="delivered") == 4


@simulated
async def test_a_full_batch_is_written_at_once_and_no_success_twice() -> None:
    stage = Stage()
    record_successes(stage, 128)
    await asyncio.sleep(0)
    assert stage.sample("attempts_total", verdict="delivered") == 128
    record_successes(stage, 172)
    await asyncio.sleep(1)
    assert stage.sample("attempts_total", verdict="delivered") == 300
    assert stage.sample("attempt_seconds_count") == 300


@simulated
async def test_a_failure_is_written_at_once() -> None:
    stage = Stage()
    with capture_logs() as logs:
        stage.record(5, Response(500, (), b""))
    assert len(logs) == 1
    assert stage.sample("attempts_total", verdict="again") == 1


@simulated
async def test_the_rendered_request_is_sent_and_kept_with_its_secrets_masked() -> None:
    """Method, URL and templated headers come with each event; no secret part of the URL is kept."""
    url = Url("https", "crm.test", 443, "/T0K3N/42")
    rendered = Rendered("PUT", url, ((b"content-type", b"text/plain"), (b"X-Id", b"S3CR3T-42")), b"body")
    secret = target(headers=((b"X-Fixed", b"F1X3D"),), secret_headers=frozenset({b"x-fixed", b"x-id"}))
    stage = Stage(Response(400, (), b""), secret, rendered)
    logs = await stage.attempt()
    assert stage.transport.requests == [
        Request("PUT", url, (*rendered.headers, (b"a", b"1"), (b"X-Fixed", b"F1X3D")), b"body")
    ]
    (row,) = stage.history.rows
    assert (row.method, row.url) == ("PUT", "https://crm.test:443/***")
    assert row.headers == b"content-type: text/plain\nX-Id: ***\na: 1\nX-Fixed: ***"
    assert logs[0]["origin"] == "https://crm.test:443"
    assert not any(text in repr((row, logs)) for text in ("T0K3N", "S3CR3T", "F1X3D"))
