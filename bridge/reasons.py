"""Why an event is parked, and why an endpoint gets fewer requests: the kinds that metrics count.

Invariant: each is a label value, so there are few, and a rename is a change for operators.
"""

from __future__ import annotations

from enum import StrEnum


class ParkReason(StrEnum):
    """Why an event is parked, as metrics count it."""

    REFUSED = "refused"
    """The answer of the receiver was final."""
    RETRIES_USED_UP = "retries_used_up"
    UNRENDERABLE = "unrenderable"
    """A template, a filter or a field failed, so it is not known what to send."""
    HELD = "held"
    """It must not overtake a parked event of its lane."""
    LEFT_OVER = "left_over"
    """An earlier process had decided to park it, and ended before it could."""
    UNDECODABLE = "undecodable"


class LimitReason(StrEnum):
    """What limits the requests to an endpoint now."""

    OFF = "off"
    BREAKER = "breaker"
    TOO_MANY_REQUESTS = "too_many_requests"
    """429 lowered the rate."""
    BUSY = "busy"
    """502, 503 or 504 lowered the concurrency."""
    RETRY_AFTER = "retry_after"
    """The receiver asked for a pause."""
    CONFIGURED_RATE = "configured_rate"
    """The configured ``rate`` is used up for the moment."""
