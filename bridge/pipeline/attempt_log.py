"""What is kept of an attempt: an entry of the history, metrics, and the canonical log line.

Metrics and log lines of successes are written in batches: that costs a third of writing each, and
most attempts succeed. Invariant: what is kept contains no secret of the request; ``Target`` masks them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import repeat
from operator import itemgetter, sub, truediv
from typing import TypeAlias, cast

import structlog

from bridge.core.verdict import Judgement
from bridge.errors import TransportError
from bridge.history.attempt import Later
from bridge.history.pool import ATTEMPT_BYTES
from bridge.history.row import Common, Entry, Row
from bridge.model import Event, Request, Response, Url, Verdict
from bridge.pipeline.lane_queue import Delivery
from bridge.pipeline.shown_answers import ShownAnswers, recurs
from bridge.pipeline.target import NO_BODY, KeepsAttempts, Outcome, Target
from bridge.rendering import Headers, Rendered
from bridge.telemetry import events
from bridge.telemetry.logs import Lines
from bridge.telemetry.metrics import EndpointMetrics, status_class
from bridge.telemetry.scrub import in_force

_BATCH_AFTER_S = 0.05
_BATCH_SIZE = 128
"""Successes that are written at once: writing these takes about 0.3 ms, in which nothing else runs."""
_LINE = b": ".join
"""Makes a line of a header: name and value."""


_TOLD = itemgetter(
    *map(
        Entry._fields.index,
        ("sent_s", "answered_s", "appended_ms", "attempt", "common", "type", "webhook_id", "entity", "topic",
         "partition", "offset", "trace_id"),
    )
)  # fmt: skip
"""Returns what metrics and log lines tell of a success."""
_STATUS_OF = itemgetter(Common._fields.index("status"))
_LATER = Common._fields.index("later")
_LINES = Entry._fields.index("headers")
_SHOWN = ("status", "attempt", "duration_ms", "type", "webhook_id", "entity", "place")
"""The fields of the log line of a success; the id of its trace follows if there is one."""


def _row(
    event: Event, at: float, answered_s: float, number: int, body_bytes: int, trace_id: str | None,
    lines: bytes, kept: bytes | None, common: Row, size_bytes: int,
) -> Row:  # fmt: skip
    """Return the values of an ``Entry``."""
    (topic, partition), offset, appended_ms = event.record[:3]
    return (
        at, answered_s, event.id, event.webhook_id, event.type, event.entity, event.tenant,
        topic, partition, offset, event.index, event.time, appended_ms, number, body_bytes, trace_id,
        event.lane, lines, kept, common, size_bytes,
    )  # fmt: skip


_Usual: TypeAlias = tuple[Response | TransportError, str, Url, int, Judgement, int]
"""What most of ``Common`` follows from: answer, method, URL, number of own headers, judgement, and the
version of the secrets that are masked."""


class AttemptLog:
    """Keeps the attempts of one endpoint.

    Invariant: an attempt is added to the history before its event can settle, and the history is
    written before a cursor is committed. ``on_delivered`` is called with the size of each batch of successes.
    """

    def __init__(
        self,
        target: Target,
        history: KeepsAttempts,
        metrics: EndpointMetrics,
        on_delivered: Callable[[int], None] | None = None,
    ) -> None:
        self._target = target
        self._history = history
        self._metrics = metrics
        self._on_delivered = on_delivered
        self._log = structlog.get_logger().bind(endpoint=target.endpoint)
        facts = {"endpoint": target.endpoint, "verdict": "delivered"}
        self._lines = Lines(events.DELIVERY_ATTEMPTED, _SHOWN, **facts)
        self._traced_lines = Lines(events.DELIVERY_ATTEMPTED, (*_SHOWN, "trace_id"), **facts)
        self._successes: list[Row] = []
        self._masks_bodies = target.body_secret is not None or target.scrub_bodies
        self._keeps_bodies = target.kept_success > NO_BODY
        most = NO_BODY if self._masks_bodies else target.kept_success
        self._usual_bytes = most if self._keeps_bodies else math.inf
        self._constant_begins = -len(target.headers) or None
        constant_lines = map(_LINE, target.masked(target.headers) + target.added)
        self._constant_lines = b"".join(b"\n" + line for line in constant_lines)
        constant = {name.lower() for name, _ in target.headers}
        self._secret_in_rendered = not target.secret_headers <= constant
        self._answers = ShownAnswers(in_force.head, time.monotonic)
        self._url: Url | None = None
        self._shown_url = ""
        self._usual: _Usual | None = None
        self._common: Row = ()
        self._common_bytes = 0

    def record(
        self, event: Event, number: int, request: Request, outcome: Outcome, judgement: Judgement, own: int
    ) -> Later | None:
        """Keep an attempt; ``number`` counts from 1. The first ``own`` headers are those that were rendered.

        Add it to the history before returning. Log a failure immediately, a success with its batch. Return
        where the time of the next attempt belongs, which the history writes later; None for a success.
        """
        answer, at, duration_s, trace_id = outcome
        method, url, headers, body = request
        body_bytes, kept = len(body), body if self._keeps_bodies else None
        usual = answer, method, url, own, judgement, in_force.version
        if usual != self._usual or body_bytes > self._usual_bytes or event.resend is not None:
            kept = self._look_at(event, usual, body)
        common = self._common
        rendered = headers[: self._constant_begins]
        if self._secret_in_rendered:
            rendered = self._target.masked(rendered)
        lines = b"\n".join(map(_LINE, rendered)) + self._constant_lines
        size_bytes = self._common_bytes + len(lines) + (len(kept) if kept else 0)
        row = _row(event, at, at + duration_s, number, body_bytes, trace_id, lines, kept, common, size_bytes)
        self._history.add(row)
        if (later := common[_LATER]) is not None:
            self._record_failure(event, Entry(*row), Common(*common))
            return cast("Later", later)
        successes = self._successes
        successes.append(row)
        if (waiting := len(successes)) == 1:
            asyncio.get_running_loop().call_later(_BATCH_AFTER_S, self.write_successes)
        elif waiting == _BATCH_SIZE:
            asyncio.get_running_loop().call_soon(self.write_successes)
        return None

    def record_all(
        self,
        sent: Sequence[tuple[Delivery, Rendered, Judgement]],
        method: str,
        url: Url,
        headers: Headers,
        outcome: Outcome,
    ) -> None:
        """Keep the attempts of one request with several events, each with its own body; see ``record``.

        ``headers`` follow those that were rendered for the event. Successes that are alike share what the
        first of them is found to have.
        """
        at, answered_s, trace_id = outcome.at, outcome.at + outcome.duration_s, outcome.trace_id
        alike: list[Row] = []
        shared: tuple[Headers, Judgement] | None = None
        lines, common, shared_bytes, keeps, most = b"", self._common, 0, self._keeps_bodies, self._usual_bytes
        for delivery, (_, _, own, body), judgement in sent:
            event, body_bytes = delivery.event, len(body)
            if shared == (own, judgement) and body_bytes <= most and event.resend is None:
                kept, size_bytes = (body, shared_bytes + body_bytes) if keeps else (None, shared_bytes)
                number = delivery.attempts
                alike.append(
                    _row(event, at, answered_s, number, body_bytes, trace_id, lines, kept, common, size_bytes)
                )
                continue
            self._add_successes(alike)
            request = Request(method, url, own + headers, body)
            delivery.later = self.record(event, delivery.attempts, request, outcome, judgement, len(own))
            alike, shared = [], None
            if self._usual is not None:  # it was a success, and those like it have the same in common
                shared, lines, common = (own, judgement), self._successes[-1][_LINES], self._common
                shared_bytes = self._common_bytes + len(lines)
        self._add_successes(alike)

    def _add_successes(self, rows: list[Row]) -> None:
        """Keep successes as ``record`` does, after one that was recorded in this turn of the loop."""
        self._history.add_all(rows)
        before = len(self._successes)
        self._successes += rows
        if before < _BATCH_SIZE <= before + len(rows):
            asyncio.get_running_loop().call_soon(self.write_successes)

    def write_successes(self) -> None:
        """Write metrics and log lines of the successes so far. A timer calls it as well."""
        successes, self._successes = self._successes, []
        if not successes:
            return
        if self._on_delivered is not None:
            self._on_delivered(len(successes))
        sent_s, answered_s, appended_ms, attempts, commons, types, ids, entities, *source, traces = zip(
            *map(_TOLD, successes), strict=True
        )
        seconds = [*map(sub, answered_s, sent_s)]
        statuses = [*map(_STATUS_OF, commons)]
        metrics = self._metrics
        if retried := len(attempts) - attempts.count(1):
            metrics.retries_succeeded.inc(retried)
        metrics.attempt_seconds.observe_all(seconds)
        metrics.latency_seconds.observe_all([*map(sub, answered_s, map(truediv, appended_ms, repeat(1000)))])
        for status, number in Counter(statuses).items():
            metrics.attempts[Verdict.DELIVERED, status_class(status)].inc(number)
        if self._target.log_successes:
            durations_ms = [int(second * 1e6) / 1000 for second in seconds]
            places = [f"{topic}-{number}@{offset}" for topic, number, offset in zip(*source, strict=True)]
            columns = [statuses, attempts, durations_ms, types, ids, entities, places]
            if traces[0] is None:
                self._lines.write(answered_s, columns)
            else:  # then each has a trace
                self._traced_lines.write(answered_s, [*columns, traces])

    def _record_failure(self, event: Event, attempt: Entry, common: Common) -> None:
        seconds = attempt.answered_s - attempt.sent_s
        self._metrics.attempts[Verdict(common.verdict), status_class(common.status)].inc()
        self._metrics.attempt_seconds.observe(seconds)
        origin = "" if self._url is None else self._url.origin
        self._log.warning(
            events.DELIVERY_ATTEMPTED, verdict=common.verdict,
            status=common.status, attempt=attempt.attempt,
            duration_ms=round(seconds * 1000, 3), type=event.type,
            webhook_id=event.webhook_id, entity=event.entity, place=event.record.place,
            reason=common.reason, origin=origin,
            **({} if attempt.trace_id is None else {"trace_id": attempt.trace_id}),
        )  # fmt: skip

    def _look_at(self, event: Event, usual: _Usual, body: bytes) -> bytes | None:
        """Find out what an attempt has in common with those like it. Return its body as it may be kept.

        Remember that for the next attempt, if it follows from ``usual`` alone.
        """
        target, (answer, method, url, own, judgement, version) = self._target, usual
        if url is not self._url:
            self._url, self._shown_url = url, target.shown(event, url)
        later = None if judgement.verdict is Verdict.DELIVERED else Later()
        most = target.kept_success if later is None else target.kept_failure
        kept = digest = status = answer_lines = answer_body = again_id = repeats = origin = origin_ms = None
        size_bytes, is_usual = ATTEMPT_BYTES, later is None and len(body) <= self._usual_bytes
        if len(body) <= most:
            kept = target.shown_body(body) if self._masks_bodies else body
        elif most > NO_BODY:
            digest = sha256(target.shown_body(body)).hexdigest()
        if isinstance(answer, Response):
            status = answer.status
            answer_lines, answer_body = shown = self._answers.keep(
                answer, most > NO_BODY, later is None, version
            )
            size_bytes += len(answer_lines) + len(answer_body)
            is_usual = is_usual and recurs(answer.body, shown)
        if (resend := event.resend) is not None:
            again_id, repeats = resend.again_id, resend.repeats or None
            origin, origin_ms = resend.origin.place, resend.origin.timestamp_ms
        self._common = (
            method, self._shown_url, status, judgement.verdict.value, judgement.reason, digest,
            kept is not None and kept != body, own, again_id, repeats, origin, origin_ms,
            answer_lines, answer_body, later,
        )  # fmt: skip
        self._common_bytes = size_bytes
        self._usual = usual if is_usual and resend is None else None
        return kept
