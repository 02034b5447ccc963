"""Settings of what follows when attempts fail: retries, the breaker, the limit on dead letters. Pure models.

Invariant: every delay and every count has an upper bound.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from bridge.settings.models.base import Seconds, Section, Whole, mistake

_RETRIED_FIRST, _RETRIED_LAST = 400, 499


def _retried_status(status: int) -> int:
    if not _RETRIED_FIRST <= status <= _RETRIED_LAST:
        raise mistake(
            f"is not between {_RETRIED_FIRST} and {_RETRIED_LAST}",
            "remove it: 2xx is delivered, and 3xx and 5xx are retried anyway",
        )
    if status == 410:
        raise mistake("is 410, which turns the endpoint off and is never retried", "remove it")
    return status


def _no_duplicates(statuses: tuple[int, ...]) -> tuple[int, ...]:
    for place, status in enumerate(statuses):
        if status in statuses[:place]:
            raise mistake(f"contains {status} more than once", "list each status once")
    return statuses


RetriedStatus = Annotated[
    Whole,
    AfterValidator(_retried_status),
    WithJsonSchema({"type": "integer", "minimum": _RETRIED_FIRST, "maximum": _RETRIED_LAST}),
]


class RetrySettings(Section):
    """When a failed attempt is repeated, and when the event is parked."""

    base_s: Seconds = Field(
        default=1.0,
        ge=0.01,
        le=3600,
        description="Upper bound of the first delay, in seconds. It doubles with every attempt, up to"
        " cap_s; the delay itself is random below the bound, so that many retries do not arrive at once.",
    )
    cap_s: Seconds = Field(
        default=600.0,
        ge=0.01,
        le=86_400,
        description="The bound of the delay never grows above this, in seconds. A long cap spares an"
        " endpoint that is down; a short one finds out sooner that it is back.",
    )
    retry_after_cap_s: Seconds = Field(
        default=86_400.0,
        ge=1,
        le=2_592_000,
        description="The longest wait, in seconds, that a receiver can demand with a Retry-After header;"
        " a longer one is shortened to this. A wait that is longer than the own delay is honored. On 429,"
        " 502, 503 and 504 the whole endpoint waits.",
    )
    max_attempts: Whole = Field(
        default=20,
        ge=1,
        le=1000,
        description="Attempts in all; after the last one fails, the event is parked. Attempts are counted"
        " across restarts. With the default delays, 20 attempts take about an hour.",
    )
    max_age_s: Seconds = Field(
        default=259_200.0,
        ge=1,
        le=2_592_000,
        description="Seconds after the first failed attempt at which the event is parked, however few"
        " attempts it had. Time during which the endpoint was switched off does not count. The default is"
        " three days.",
    )
    retry_on: Annotated[tuple[RetriedStatus, ...], AfterValidator(_no_duplicates)] = Field(
        default=(),
        max_length=99,
        description="Statuses from 400 to 499 that are retried where the event would be parked, such as"
        " [404] during deployments or [401, 403] during key changes. 408, 425, 429 and 5xx are retried"
        " anyway, unless the preset parks them; listing 408, 425 or 429 is allowed. An answer that turns the"
        " endpoint off still does; 410 always does and is refused here.",
    )


class BreakerSettings(Section):
    """When to stop sending to an endpoint that is down, and when to probe it."""

    failures: Whole = Field(
        default=10,
        ge=1,
        le=10_000,
        description="Failures within window_s that stop sending: a 5xx, no connection, or no answer in"
        " time. They must also be at least half of all answers in window_s, so that one bad entity does not"
        " stop the endpoint. As many failures in a row as concurrency stop it as well. 502, 503 and 504 count"
        " only while no other request is in flight; otherwise the receiver is busy, and less is sent.",
    )
    window_s: Seconds = Field(
        default=30.0, ge=1, le=3600, description="Time over which failures are counted, in seconds."
    )
    open_s: Seconds = Field(
        default=5.0,
        ge=0.1,
        le=3600,
        description="Seconds without requests before a single request probes the endpoint. While probes"
        " fail, the time is a quarter of the outage so far, at least open_s and at most max_open_s.",
    )
    max_open_s: Seconds = Field(
        default=300.0, ge=0.1, le=86_400, description="The longest time between two probes, in seconds."
    )


class ParkLimitSettings(Section):
    """How many events may be parked for one cause before the endpoint is turned off."""

    events: Whole = Field(
        default=100,
        ge=1,
        le=1_000_000,
        description="Events that may be parked for one cause within window_s, in each pod. The next one turns"
        " the endpoint off, if the parked events are also more than share of all. After status 401, 403 or"
        " 407, ten in a row without a delivery are enough.",
    )
    share: Seconds = Field(
        default=0.5,
        ge=0,
        le=0.99,
        description="Part of the events settled within window_s that may be parked for one cause.",
    )
    window_s: Seconds = Field(
        default=60.0, ge=1, le=86_400, description="Time over which both are counted, in seconds."
    )


PARK_LIMIT_TAGS = ("off", "numbers")
"""What pydantic inserts into the path of an error in ``park_limit``."""


def _off(value: object) -> object:
    """Accept the ``off`` of YAML, which is false there."""
    if value is False or value == "off":
        return "off"
    if not isinstance(value, dict | ParkLimitSettings):
        raise mistake("is neither off nor a mapping", "write off, or events, share and window_s")
    return value


def _park_limit_tag(value: object) -> str:
    return "off" if value == "off" else "numbers"


ParkLimit = Annotated[
    Annotated[
        Annotated[ParkLimitSettings, Tag("numbers")] | Annotated[Literal["off"], Tag("off")],
        Discriminator(_park_limit_tag),
    ],
    BeforeValidator(_off),
]
