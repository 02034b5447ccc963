"""Answers that complain of the signature are counted per endpoint and logged with the newest key."""

from __future__ import annotations

from structlog.testing import capture_logs

from bridge.core.signature_failure import SignatureFailures
from bridge.model import Response
from bridge.pipeline.signature_watch import SignatureWatch
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.throttle import Throttle

WRONG = Response(401, (), b'{"error": "No matching Signature found"}')


class Stage:
    """The watch of one endpoint, its metric, and a clock."""

    def __init__(self) -> None:
        self.metrics, self.now, self.key = Metrics(), 0.0, "0a1b2c3d4e5f"
        counter = self.metrics.endpoint("crm").signature_failures
        failures = SignatureFailures(frozenset({401, 403}), ("signature", "hmac"))
        throttle = Throttle(60, lambda: self.now)
        self.watch = SignatureWatch("crm", failures, lambda: self.key, counter, throttle)

    @property
    def count(self) -> float | None:
        return self.metrics.registry.get_sample_value(
            "hookferry_signature_failures_total", {"endpoint": "crm"}
        )


def test_the_series_exists_from_the_start() -> None:
    assert Stage().count == 0


def test_every_answer_is_counted_and_one_per_minute_is_logged_with_the_newest_key() -> None:
    stage = Stage()
    with capture_logs() as lines:
        for _ in range(5):
            stage.watch.examine(WRONG)
        stage.now = 61
        stage.key = "60718293a4b5"
        stage.watch.examine(WRONG)
    assert stage.count == 6
    assert [(line["event"], line["endpoint"], line["newest_key"]) for line in lines] == [
        (events.SIGNATURE_REFUSED, "crm", "0a1b2c3d4e5f"),
        (events.SIGNATURE_REFUSED, "crm", "60718293a4b5"),
    ]
    assert "give the receiver this key" in lines[0]["remedy"]


def test_an_endpoint_that_does_not_sign_gets_another_remedy() -> None:
    stage = Stage()
    stage.key = ""
    with capture_logs() as lines:
        stage.watch.examine(Response(401, (), b"missing HMAC header"))
    assert "signs nothing" in lines[0]["remedy"]


def test_other_answers_are_not_counted() -> None:
    stage = Stage()
    with capture_logs() as lines:
        stage.watch.examine(Response(401, (), b"token expired"))
        stage.watch.examine(Response(500, (), b"signature"))
    assert (stage.count, lines) == (0, [])
