"""What the tests of the path configure: a plan for each endpoint, and the settings made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from bridge.settings import EndpointSettings, JsonSource, KafkaSettings, LogSettings, Settings
from tests.support.fakes import (
    TOPIC,
)

MONTH_S = 2_592_000
"""The largest ``retry.max_age_s``: attempts count, not time."""

_BATCH = ("max_events", "max_bytes", "max_wait_s", "as")
_UNHURRIED = {"failures": 1000, "window_s": 60, "open_s": 1, "max_open_s": 10}
"""A breaker that opens only after a thousand failures."""


@dataclass(frozen=True)
class Plan:
    """One endpoint's settings."""

    patterns: tuple[str, ...] = ("*",)
    when: str | None = None
    start: str = "earliest"
    on_lost_offset: str = "earliest"
    window: int = 100
    concurrency: int = 4
    base_s: float = 1.0
    max_attempts: int = 5
    max_age_s: float = 10_000.0
    retry_on: tuple[int, ...] = ()
    on_park: str = "continue"
    park_limit: str | tuple[int, float, float] = "off"
    """Events, share and window (seconds); "off" unless the limit is what a test is about."""
    rate: tuple[str, ...] = ()
    batch: tuple[int, int, float, str] | None = None
    """``max_events``, ``max_bytes``, ``max_wait_s`` and ``as``; None for one event per request."""


def settings_of(plans: Mapping[str, Plan], drain_timeout_s: float = 20.0) -> Settings:
    """Return the settings of a bridge with these endpoints; the topic is ``TOPIC``, the group ``g``."""
    return Settings(
        group="g",
        kafka=KafkaSettings(bootstrap_servers=("kafka.test:9092",)),
        sources={"orders": JsonSource(format="json", topics=(TOPIC,), id="id", type="type", entity="entity")},
        endpoints={name: _endpoint(plan) for name, plan in plans.items()},
        drain_timeout_s=drain_timeout_s,
        log=LogSettings(attempts="failures"),
    )


def _park_limit(plan: Plan) -> str | dict[str, float]:
    if isinstance(plan.park_limit, str):
        return plan.park_limit
    return dict(zip(("events", "share", "window_s"), plan.park_limit, strict=True))


@cache
def _endpoint(plan: Plan) -> EndpointSettings:
    return EndpointSettings.model_validate(
        {
            "url": "http://crm.test/hooks",
            "events": plan.patterns,
            "when": plan.when,
            "start": plan.start,
            "on_lost_offset": plan.on_lost_offset,
            "window": plan.window,
            "window_bytes": 1 << 20,
            "concurrency": plan.concurrency,
            "timeout_s": 5.0,
            "on_park": plan.on_park,
            "park_limit": _park_limit(plan),
            "rate": plan.rate,
            "batch": plan.batch and dict(zip(_BATCH, plan.batch, strict=True)),
            "retry": {
                "base_s": plan.base_s,
                "cap_s": 60,
                "max_attempts": plan.max_attempts,
                "max_age_s": plan.max_age_s,
                "retry_on": plan.retry_on,
                "retry_after_cap_s": 60,
            },
            "breaker": _UNHURRIED,
        }
    )
