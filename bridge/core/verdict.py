"""Step 10, the verdict: what an answer, or the lack of one, means for a delivery and its endpoint.

Takes a response or a transport error, gives a ``Judgement``. Rule floor, pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from bridge.core.retry_after import parse_retry_after
from bridge.errors import TransportError
from bridge.model import AnswerKind, Response, Verdict

RETRIED_STATUSES = frozenset({408, 425, 429})
OVERLOADED_STATUSES = frozenset({502, 503, 504})
_SHOWN_BYTES = 200


class Judgement(NamedTuple):
    """A verdict and, where it is not ``delivered``, its reason for a person.

    ``kind`` is what the answer says about the endpoint as a whole, ``retry_after_s`` how long it
    asks to be left alone; with kind ``ok``, until its next request is welcome. ``off`` with kind
    ``ok`` is a 2xx that asks for no more: its own event was taken and is settled.
    """

    verdict: Verdict
    reason: str = ""
    kind: AnswerKind = "other"
    retry_after_s: float | None = None


DELIVERED = Judgement(Verdict.DELIVERED, kind="ok")
OwnVerdict = Callable[[Response, Judgement], Judgement]
"""What a kind of receiver means by an answer, given what it means by status and headers alone."""


def by_status(response: Response, judgement: Judgement) -> Judgement:
    """The judgement by status and headers alone."""
    return judgement


def judge(
    outcome: Response | TransportError, now_epoch_s: float = math.inf, own: OwnVerdict = by_status
) -> Judgement:
    """Only 2xx is success; 408, 425, 429, 5xx and no answer at all are tried again; the rest parks.

    A redirect is a failure that is never followed (Standard Webhooks 1.0.0), and is tried again:
    it is the address that is wrong, not the event. 410 turns the endpoint off. The response
    header ``webhook-delivery`` lets a receiver say ``abort-message`` (park this one, which failed)
    or ``disable`` (endpoint off). ``now_epoch_s`` is needed to read a
    ``Retry-After`` that is a date; without it a date asks for nothing. ``own`` has the last word
    about an answer.
    """
    if isinstance(outcome, TransportError):
        return Judgement(Verdict.AGAIN, str(outcome), "failed")
    judgement = _by_status(outcome, now_epoch_s)
    return judgement if own is by_status else own(outcome, judgement)


def _by_status(outcome: Response, now_epoch_s: float) -> Judgement:
    status, wish = outcome.status, b""
    for name, value in outcome.headers:
        if name == b"webhook-delivery":
            wish = value.strip().lower()
            break
    if 200 <= status < 300 and wish != b"disable":
        return DELIVERED
    kind = _kind(status)
    if wish == b"disable":
        return Judgement(Verdict.OFF, f"status {status}: the receiver asked to disable the endpoint", kind)
    judgement = _failure(status, _beginning(outcome.body))
    if judgement.verdict is Verdict.AGAIN:
        judgement = judgement._replace(kind=kind, retry_after_s=_retry_after_s(outcome, now_epoch_s))
    if wish == b"abort-message" and judgement.verdict is not Verdict.OFF:
        reason = f"{judgement.reason} (the receiver asked to abort this message)"
        judgement = judgement._replace(verdict=Verdict.PARK, reason=reason)
    return judgement


def _failure(status: int, said: str) -> Judgement:
    if status == 410:
        return Judgement(Verdict.OFF, f"status 410: the endpoint is gone{said}")
    if 300 <= status < 400:
        reason = f"status {status}: redirects are not followed; set the endpoint's final url"
        return Judgement(Verdict.AGAIN, reason)
    again = status >= 500 or status in RETRIED_STATUSES
    return Judgement(Verdict.AGAIN if again else Verdict.PARK, f"status {status}{said}")


def _kind(status: int) -> AnswerKind:
    if 200 <= status < 300:
        return "ok"
    if status == 429:
        return "throttled"
    if status in OVERLOADED_STATUSES:
        return "unavailable"
    return "failed" if status >= 500 else "other"


def _retry_after_s(response: Response, now_epoch_s: float) -> float | None:
    value = response.header(b"retry-after")
    return parse_retry_after(value, now_epoch_s) if value is not None else None


def _beginning(body: bytes) -> str:
    text = body[:_SHOWN_BYTES].decode("utf-8", "replace")
    shown = "".join(char if char.isprintable() else " " for char in text).strip()
    return f": {shown}" if shown else ""
