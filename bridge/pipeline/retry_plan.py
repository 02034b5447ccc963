"""Decide what follows a failed attempt, and note it at the cursor, from which the next process goes on.

Invariant: a failure that counts is noted before the event is tried again or parked.
"""

from __future__ import annotations

from bridge.clock import Clock
from bridge.core.backoff import RetrySchedule
from bridge.core.completion_map import NO_ANSWER, Failures
from bridge.core.verdict import Judgement
from bridge.model import Verdict
from bridge.pipeline.lane_queue import Delivery
from bridge.reasons import ParkReason
from bridge.telemetry.metrics import EndpointMetrics


class RetryPlan:
    """What follows the failed attempts of one endpoint."""

    def __init__(self, schedule: RetrySchedule, metrics: EndpointMetrics, clock: Clock) -> None:
        self._schedule = schedule
        self._metrics = metrics
        self._clock = clock
        self._on_since = 0.0

    def use(self, schedule: RetrySchedule) -> None:
        """Plan with this schedule from now on."""
        self._schedule = schedule

    def begin(self, since_s: float) -> None:
        """Let the time before ``since_s`` (Unix seconds) not count against ``max_age_s``."""
        self._on_since = since_s

    def plan(self, delivery: Delivery, judgement: Judgement) -> Judgement:
        """Plan the next attempt. Return ``park`` if its event has used up attempts or time."""
        if not delivery.cursor.live:
            return judgement
        if not judgement.counts:
            delivery.retry_s = self._schedule.delay_s(delivery.attempts)
            return judgement
        now = self._clock.time()
        if delivery.first_failed_at is None:
            delivery.first_failed_at = now
            self._metrics.retries_needed.inc()
        note = Failures(delivery.attempts, int(delivery.first_failed_at))
        delivery.cursor.record_failure(delivery.offset, note, delivery.part)
        age_s = now - max(delivery.first_failed_at, self._on_since)
        retry = self._schedule.next_retry(delivery.attempts, age_s, judgement.retry_after_s)
        delivery.retry_s = retry.delay_s
        if retry.delay_s is not None:
            return judgement
        delivery.park_reason = ParkReason.RETRIES_USED_UP
        cause = f"{retry.reason}; the last: {judgement.reason}"
        return judgement._replace(verdict=Verdict.PARK, reason=cause)

    def note_refusal(self, delivery: Delivery) -> None:
        """Record that the event is not sent again, however long its dead letter takes: it may outlast us."""
        first_at_s = int(delivery.first_failed_at or self._clock.time())
        note = Failures(delivery.attempts, first_at_s, delivery.status or NO_ANSWER)
        delivery.cursor.record_failure(delivery.offset, note, delivery.part)
