"""Decide what an answer, or the lack of one, means: delivered, retry, park, or endpoint off.

Invariant: only a 2xx counts as delivered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from bridge.core.retry_after import parse_retry_after
from bridge.errors import TransportError, TransportFault
from bridge.model import AnswerKind, Response, Verdict

RETRIED_STATUSES = frozenset({408, 425, 429})
OVERLOADED_STATUSES = frozenset({502, 503, 504})
_SHOWN_BYTES = 200
"""Bytes of a body that a reason shows."""


class Judgement(NamedTuple):
    """A verdict and, unless it is ``delivered``, its reason for a person.

    ``kind`` describes the endpoint as a whole. ``retry_after_s`` is the pause that the receiver
    requested; with kind ``ok``, the event was delivered and the pause applies to the next request.
    Verdict ``off`` with kind ``ok`` is a 2xx that ends the subscription: its own event is settled.
    ``counts`` is False for a retry that uses up neither attempts nor time: the cause is not the event.
    """

    verdict: Verdict
    reason: str = ""
    kind: AnswerKind = "other"
    retry_after_s: float | None = None
    counts: bool = True


DELIVERED = Judgement(Verdict.DELIVERED, kind="ok")
OwnVerdict = Callable[[Response, Judgement], Judgement]
"""A receiver's own rule: return the judgement of an answer, given the one by status and headers."""


def by_status(response: Response, judgement: Judgement) -> Judgement:
    """Return the judgement by status and headers unchanged: the receiver has no rule of its own."""
    return judgement


def judge(
    outcome: Response | TransportError,
    now_epoch_s: float = math.inf,
    own: OwnVerdict = by_status,
    retry_on: frozenset[int] = frozenset(),
) -> Judgement:
    """Return the judgement of one attempt.

    - 2xx: delivered.
    - No access token: retry, without limit. An outage of a token server must not park events.
    - 408, 425, 429, 5xx and no answer: retry.
    - A redirect: retry, and never follow it (Standard Webhooks 1.0.0). The address is wrong, not the
      event.
    - 410: the endpoint goes off.
    - Any other status: park, or retry if ``retry_on`` contains it.

    The response header ``webhook-delivery`` overrides this: ``abort-message`` parks an event that
    failed, and ``disable`` turns the endpoint off. ``now_epoch_s`` is needed for a ``Retry-After``
    that is a date; without it, a date gives no pause. ``own`` is applied to answers only, and
    ``retry_on`` after it: it turns only ``park`` into a retry, whether ``own`` or the status decided so.
    An endpoint that goes off and a message that the receiver aborts are unaffected.
    """
    if isinstance(outcome, TransportError):
        counts = outcome.fault is not TransportFault.TOKEN
        return Judgement(Verdict.AGAIN, str(outcome), "failed", counts=counts)
    if own is by_status and 200 <= outcome.status < 300 and outcome.header(b"webhook-delivery") is None:
        return DELIVERED  # what most answers mean
    judgement = _by_status(outcome, now_epoch_s)
    if own is not by_status:
        judgement = own(outcome, judgement)
    if judgement.verdict is Verdict.PARK and outcome.status in retry_on:
        return _retried(judgement, outcome, now_epoch_s)
    return judgement


def _retried(parked: Judgement, response: Response, now_epoch_s: float) -> Judgement:
    """Return the retry instead of a park for a status in ``retry_on``."""
    if (response.header(b"webhook-delivery") or b"").strip().lower() == b"abort-message":
        return parked
    status = response.status
    reason = f"{parked.reason} (retried: retry.retry_on contains {status})"
    return Judgement(Verdict.AGAIN, reason, _kind(status), retry_after_s(response, now_epoch_s))


def _by_status(response: Response, now_epoch_s: float) -> Judgement:
    status, request = response.status, b""
    for name, value in response.headers:
        if name == b"webhook-delivery":
            request = value.strip().lower()
            break
    if 200 <= status < 300 and request != b"disable":
        return DELIVERED
    kind = _kind(status)
    if request == b"disable":
        return Judgement(Verdict.OFF, f"status {status}: the receiver asked to disable the endpoint", kind)
    judgement = _failure(status, _shown(response.body))
    if judgement.verdict is Verdict.AGAIN:
        judgement = judgement._replace(kind=kind, retry_after_s=retry_after_s(response, now_epoch_s))
    if request == b"abort-message" and judgement.verdict is not Verdict.OFF:
        reason = f"{judgement.reason} (the receiver asked to abort this message)"
        judgement = judgement._replace(verdict=Verdict.PARK, reason=reason)
    return judgement


def _failure(status: int, shown: str) -> Judgement:
    if status == 410:
        return Judgement(Verdict.OFF, f"status 410: the endpoint is gone{shown}")
    if 300 <= status < 400:
        reason = f"status {status}: redirects are not followed; set the endpoint's final url"
        return Judgement(Verdict.AGAIN, reason)
    again = status >= 500 or status in RETRIED_STATUSES
    return Judgement(Verdict.AGAIN if again else Verdict.PARK, f"status {status}{shown}")


def _kind(status: int) -> AnswerKind:
    if 200 <= status < 300:
        return "ok"
    if status == 429:
        return "throttled"
    if status in OVERLOADED_STATUSES:
        return "unavailable"
    return "failed" if status >= 500 else "other"


def retry_after_s(response: Response, now_epoch_s: float) -> float | None:
    """Return the pause that an answer requests, in seconds; None if it requests none."""
    value = response.header(b"retry-after")
    return parse_retry_after(value, now_epoch_s) if value is not None else None


def _shown(body: bytes) -> str:
    """Return the beginning of a body as one printable line, to append to a reason."""
    text = body[:_SHOWN_BYTES].decode("utf-8", "replace")
    printable = "".join(char if char.isprintable() else " " for char in text).strip()
    return f": {printable}" if printable else ""
