"""Step 10, the verdict: what an answer, or the lack of one, means for a delivery.

Takes a response or a transport error, gives a ``Judgement``. Rule floor, pure.
"""

from __future__ import annotations

from typing import NamedTuple

from bridge.errors import TransportError
from bridge.model import Response, Verdict

RETRIED_STATUSES = frozenset({408, 425, 429})
GONE = 410
_SHOWN_BYTES = 200


class Judgement(NamedTuple):
    """A verdict and, where it is not ``delivered``, its reason for a person."""

    verdict: Verdict
    reason: str = ""


DELIVERED = Judgement(Verdict.DELIVERED)


def judge(outcome: Response | TransportError) -> Judgement:
    """Only 2xx is success; 408, 425, 429, 5xx and no answer at all are tried again; the rest parks.

    A redirect is a failure that is never followed, and is tried again: it is the address that is
    wrong, not the event. 410 asks for no further events at all (both: Standard Webhooks 1.0.0).
    """
    if isinstance(outcome, TransportError):
        return Judgement(Verdict.AGAIN, str(outcome))
    status = outcome.status
    if 200 <= status < 300:
        return DELIVERED
    if 300 <= status < 400:
        return Judgement(
            Verdict.AGAIN, f"status {status}: redirects are not followed; set the endpoint's final url"
        )
    said = _beginning(outcome.body)
    if status >= 500 or status in RETRIED_STATUSES:
        return Judgement(Verdict.AGAIN, f"status {status}{said}")
    if status == GONE:
        return Judgement(Verdict.OFF, f"status {status}{said}")
    return Judgement(Verdict.PARK, f"status {status}{said}")


def _beginning(body: bytes) -> str:
    text = body[:_SHOWN_BYTES].decode("utf-8", "replace")
    shown = "".join(char if char.isprintable() else " " for char in text).strip()
    return f": {shown}" if shown else ""
