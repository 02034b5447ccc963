"""One attempt and what is kept of it: timing, metrics, the log line, the history row."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from bridge.core.verdict import judge
from bridge.errors import TransportError, TransportFault
from bridge.model import Request, Response, Url
from bridge.pipeline.attempt import Deliverer, Outcome, Target
from bridge.rendering import Rendered
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from tests.support.fakes import FakeHistory, event
from tests.support.simulated import BEGAN_S, LoopClock, simulated

OK = Response(200, (), b"")
RENDERED = Rendered("POST", Url("http", "crm.test", 8080, "/secret"), (), b"body")


class FakeTransport:
    """Answers after two seconds with what it was given."""

    def __init__(self, answer: Response | Exception) -> None:
        self.answer = answer
        self.timeouts: list[float] = []

    async def send(self, request: Request, timeout_s: float) -> Response:
        self.timeouts.append(timeout_s)
        await asyncio.sleep(2)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self) -> None: ...


class Stage:
    def __init__(
        self,
        answer: Response | Exception = OK,
        *,
        bodies: bool = True,
        all_logged: bool = True,
    ) -> None:
        self.transport = FakeTransport(answer)
        self.history = FakeHistory()
        self.metrics = Metrics()
        target = Target(
            "crm", ((b"X-Key", b"k"),), frozenset({b"x-key"}), 7.0,
            keep_bodies=bodies, log_successes=all_logged,
        )  # fmt: skip
        self.deliverer = Deliverer(
            target,
            self.transport,
            self.history,
            self.metrics.endpoint("crm"),
            LoopClock(),  # type: ignore[arg-type]
        )

    async def attempt(self, number: int = 1) -> list[dict[str, object]]:
        """One attempt, kept; the log lines of it."""
        request = self.deliverer.request(RENDERED, ((b"a", b"1"),))
        outcome = await self.deliverer.attempt(request)
        with capture_logs() as logs:
            self.deliverer.keep(event("a", 5), number, request, outcome, judge(outcome.answer))
            self.deliverer.tell()
        return logs  # type: ignore[return-value]

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"hookferry_{name}", {"endpoint": "crm", **labels})


@simulated
async def test_an_attempt_is_timed_and_bounded_by_the_endpoints_timeout() -> None:
    stage = Stage()
    outcome = await stage.deliverer.attempt(stage.deliverer.request(RENDERED, ()))
    assert outcome.answer == Response(200, (), b"")
    assert (outcome.at, outcome.duration_s) == (BEGAN_S, 2)
    assert stage.transport.timeouts == [7.0]


@simulated
async def test_a_transport_error_is_an_outcome_and_anything_else_is_ours() -> None:
    error = TransportError(TransportFault.TLS, "crm.test")
    stage = Stage(error)
    assert (await stage.deliverer.attempt(stage.deliverer.request(RENDERED, ()))).answer is error
    stage.transport.answer = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        await stage.deliverer.attempt(stage.deliverer.request(RENDERED, ()))


@simulated
async def test_a_row_tells_all_of_an_attempt() -> None:
    stage = Stage(Response(503, (), b"busy"))
    await stage.attempt(3)
    (row,) = stage.history.rows
    assert row._asdict() == {
        "at_ms": int(BEGAN_S * 1000), "endpoint": "crm", "event_id": "a", "webhook_id": event("a").webhook_id,
        "type": "Created", "entity": "e1", "tenant": None, "topic": "orders", "partition": 0, "offset": 5,
        "attempt": 3, "verdict": "again", "status": 503, "reason": "status 503: busy", "duration_ms": 2000.0,
        "method": "POST", "origin": "http://crm.test:8080", "headers": b"a: 1\nX-Key: ***\n", "body": b"body",
    }  # fmt: skip


@simulated
async def test_without_bodies_none_is_kept() -> None:
    stage = Stage(bodies=False)
    await stage.attempt()
    assert stage.history.rows[0].body is None


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
async def test_one_line_tells_of_an_attempt_and_nothing_secret() -> None:
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
async def test_successes_are_logged_when_all_attempts_are_to_be() -> None:
    (line,) = await Stage().attempt()
    assert (line["verdict"], line["log_level"]) == ("delivered", "info")
    assert await Stage(all_logged=False).attempt() == []
    assert len(await Stage(Response(500, (), b""), all_logged=False).attempt()) == 1


def keep_successes(stage: Stage, number: int) -> None:
    """So many deliveries, kept and not told."""
    request = stage.deliverer.request(RENDERED, ())
    for offset in range(number):
        stage.deliverer.keep(event("a", offset), 1, request, Outcome(OK, BEGAN_S, 2.0), judge(OK))


@simulated
async def test_successes_are_told_together_a_moment_later_and_their_rows_kept_at_once() -> None:
    stage = Stage()
    keep_successes(stage, 3)
    assert len(stage.history.rows) == 3
    assert stage.sample("attempts_total", verdict="delivered") == 0
    with capture_logs() as logs:
        await asyncio.sleep(0.05)
    assert [line["place"] for line in logs] == ["orders-0@0", "orders-0@1", "orders-0@2"]
    assert stage.sample("attempts_total", verdict="delivered") == 3
    keep_successes(stage, 1)
    await asyncio.sleep(0.05)
    assert stage.sample("attempts_total", verdict="delivered") == 4


@simulated
async def test_many_successes_are_told_without_waiting_and_none_twice() -> None:
    stage = Stage()
    keep_successes(stage, 128)
    await asyncio.sleep(0)
    assert stage.sample("attempts_total", verdict="delivered") == 128
    keep_successes(stage, 172)
    await asyncio.sleep(1)
    assert stage.sample("attempts_total", verdict="delivered") == 300
    assert stage.sample("attempt_seconds_count") == 300


@simulated
async def test_a_failure_is_told_at_once() -> None:
    stage = Stage()
    with capture_logs() as logs:
        busy = Response(500, (), b"")
        request = stage.deliverer.request(RENDERED, ())
        stage.deliverer.keep(event("a", 5), 1, request, Outcome(busy, BEGAN_S, 2.0), judge(busy))
    assert len(logs) == 1
    assert stage.sample("attempts_total", verdict="again") == 1


@simulated
async def test_what_was_rendered_for_the_event_is_sent_and_kept_with_its_secrets_masked() -> None:
    """Method, URL and templated headers come with each event; the URL's target is kept nowhere."""
    stage = Stage()
    target = Target("crm", ((b"X-Fixed", b"F1X3D"),), frozenset({b"x-fixed", b"x-id"}), 7.0, True, True)
    deliverer = Deliverer(target, stage.transport, stage.history, stage.metrics.endpoint("crm"), LoopClock())  # type: ignore[arg-type]
    url = Url("https", "crm.test", 443, "/T0K3N/42")
    rendered = Rendered("PUT", url, ((b"content-type", b"text/plain"), (b"X-Id", b"S3CR3T-42")), b"body")
    request = deliverer.request(rendered, ((b"webhook-id", b"evt_1"),))
    assert request == Request(
        "PUT", url,
        (*rendered.headers, (b"webhook-id", b"evt_1"), (b"X-Fixed", b"F1X3D")),
        b"body",
    )  # fmt: skip
    outcome = await deliverer.attempt(request)
    with capture_logs() as logs:
        deliverer.keep(event("a", 5), 1, request, outcome, judge(Response(400, (), b"")))
    (row,) = stage.history.rows
    assert (row.method, row.origin) == ("PUT", "https://crm.test:443")
    assert row.headers == b"content-type: text/plain\nX-Id: ***\nwebhook-id: evt_1\nX-Fixed: ***\n"
    assert logs[0]["origin"] == "https://crm.test:443"
    assert not any(secret in repr((row, logs)) for secret in ("T0K3N", "S3CR3T", "F1X3D"))
