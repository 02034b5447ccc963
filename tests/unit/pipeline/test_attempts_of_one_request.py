"""What is kept of the events of one request is what is kept of each of them alone."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from bridge.core.batches import FOLLOWS, NAMED
from bridge.core.cursor import Cursor
from bridge.core.verdict import DELIVERED, Judgement
from bridge.model import Request, Resend, Response, Url, Verdict
from bridge.pipeline.attempt_log import AttemptLog
from bridge.pipeline.lane_queue import Delivery
from bridge.pipeline.target import Outcome, Target
from bridge.rendering import Headers, Rendered
from bridge.telemetry.metrics import Metrics
from tests.support.attempt_targets import every_target, targets
from tests.support.fakes import P0, FakeHistory, event
from tests.support.simulated import simulated

URL = Url("https", "crm.test", 443, "/a")
OWN_HEADERS = ((b"X-Key", b"s3cr3t"),)
SIGNED = ((b"webhook-id", b"batch_1"), *OWN_HEADERS)
JSON: Headers = ((b"content-type", b"application/json"),)
REFUSED = Judgement(Verdict.AGAIN, "status 503", "unavailable")
ACCEPTED_AND_OFF = Judgement(Verdict.OFF, "status 202", "ok")


class Sent(NamedTuple):
    """An event of the request."""

    body: bytes
    headers: Headers
    judgement: Judgement
    attempts: int
    again: bool


BODIES = [b"{}", b'{"a":1}', b'{"long":"%b"}' % (b"x" * 50)]
OTHER_HEADERS: list[Headers] = [((b"X-Token", b"t0ken"),), ()]
FAILED = [NAMED, FOLLOWS, REFUSED, ACCEPTED_AND_OFF]
SENT = st.builds(
    Sent,
    st.sampled_from(BODIES),
    st.sampled_from([JSON, JSON, JSON, *OTHER_HEADERS]),
    st.sampled_from([DELIVERED, DELIVERED, DELIVERED, *FAILED]),
    st.integers(1, 3),
    st.sampled_from([False, False, False, True]),
)
USUAL = Sent(b"{}", JSON, DELIVERED, 1, again=False)
DIFFERENT = [
    *(USUAL._replace(body=body) for body in BODIES[1:]),
    *(USUAL._replace(headers=headers) for headers in OTHER_HEADERS),
    *(USUAL._replace(judgement=judgement) for judgement in FAILED),
    USUAL._replace(attempts=2),
    USUAL._replace(again=True),
]


def delivery_of(offset: int, sent: Sent) -> Delivery:
    made = event(f"id-{offset}", offset)
    if sent.again:
        made.resend = Resend(made.record, "crm", f"again-{offset}")
    cursor = Cursor(P0, 0, window=100, window_bytes=1 << 20)
    return Delivery(made, cursor, offset, 1, 0, attempts=sent.attempts)


@simulated
async def compare(target: Target, requests: list[list[Sent]]) -> None:
    together, metrics, alone_metrics = FakeHistory(), Metrics(), Metrics()
    log = AttemptLog(target, together, metrics.endpoint("crm"))
    expected, alone = [], AttemptLog(target, FakeHistory(), alone_metrics.endpoint("crm"))
    for number, request in enumerate(requests):
        outcome = Outcome(Response(200 + number % 2, (), b"ok"), 1e9 + number, 0.25)
        deliveries = [delivery_of(offset, sent) for offset, sent in enumerate(request)]
        parts = [Rendered("POST", URL, sent.headers, sent.body) for sent in request]
        judgements = [sent.judgement for sent in request]
        with capture_logs():
            log.record_all([*zip(deliveries, parts, judgements, strict=True)], "POST", URL, SIGNED, outcome)
            for delivery, sent in zip(deliveries, request, strict=True):
                whole = Request("POST", URL, sent.headers + SIGNED, sent.body)
                arguments = (
                    delivery.event, sent.attempts, whole, outcome, sent.judgement, len(sent.headers),
                )  # fmt: skip
                alone.record(*arguments)
                history = FakeHistory()
                later = AttemptLog(target, history, Metrics().endpoint("crm")).record(*arguments)
                expected += history.rows
                assert (delivery.later is None) == (later is None)
    with capture_logs():
        log.write_successes()
        alone.write_successes()
    assert together.rows == expected
    assert attempts_in(metrics) == attempts_in(alone_metrics)


def attempts_in(metrics: Metrics) -> list[bytes]:
    """Return the samples that count attempts."""
    lines = generate_latest(metrics.registry).splitlines()
    return [line for line in lines if line.startswith(b"hookferry_attempts_total")]


@given(targets(OWN_HEADERS), st.lists(st.lists(SENT, min_size=1, max_size=8), min_size=1, max_size=3))
def test_what_is_kept_of_a_request_is_what_is_kept_of_each_event_alone(
    target: Target, requests: list[list[Sent]]
) -> None:
    compare(target, requests)


@pytest.mark.parametrize("different", DIFFERENT)
def test_one_event_that_differs_from_the_others_is_kept_with_each_target(different: Sent) -> None:
    """The test above finds most of these only now and then."""
    for target in every_target(OWN_HEADERS):
        if target.kept_failure == 20:
            compare(target, [[USUAL, USUAL, different, USUAL]])


@simulated
async def test_many_successes_of_one_request_are_counted_without_waiting_for_a_timer() -> None:
    metrics = Metrics()
    log = AttemptLog(every_target(OWN_HEADERS)[0], FakeHistory(), metrics.endpoint("crm"))
    deliveries = [delivery_of(offset, USUAL) for offset in range(130)]
    sent = [(delivery, Rendered("POST", URL, JSON, b"{}"), DELIVERED) for delivery in deliveries]
    with capture_logs() as lines:
        log.record_all(sent, "POST", URL, SIGNED, Outcome(Response(200, (), b"ok"), 1e9, 0.25))
        await asyncio.sleep(0)
    assert len(lines) == 130
