"""The gauges that are computed when they are scraped: backlogs, limits, dedupe index.

Invariant: a scrape changes nothing and sends no request.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.core.limits import BreakerState
from bridge.pipeline.backlog import Backlogs
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.reasons import LimitReason
from bridge.storage.dedupe_index import KeyIndex
from bridge.telemetry.metrics import Metrics
from bridge.wiring.path import Path


def watch_path(metrics: Metrics, path: Path, backlogs: Backlogs, index: KeyIndex) -> None:
    """Let the gauges read these parts from now on."""
    metrics.watch(metrics.again_unsettled, backlogs.again_records)
    metrics.watch(metrics.dedupe_keys, lambda: index.keys)
    metrics.watch(metrics.dedupe_bytes, lambda: index.size_bytes)
    for name in path.dispatchers:
        watch_endpoint(metrics, name, path.dispatchers, backlogs)


def watch_endpoint(
    metrics: Metrics, name: str, dispatchers: Mapping[str, EndpointDispatcher], backlogs: Backlogs
) -> None:
    """Let the gauges of one endpoint read these parts from now on; 0 while it has no dispatcher."""
    metrics.watch(metrics.lag_events, lambda: backlogs.of(name).events, name)
    metrics.watch(metrics.lag_seconds, lambda: backlogs.of(name).age_s, name)
    metrics.watch(metrics.unread, lambda: backlogs.of(name).unread, name)

    def watch_state(state: BreakerState) -> None:
        def read() -> float:
            dispatcher = dispatchers.get(name)
            return float(dispatcher is not None and dispatcher.gate.state == state)

        metrics.watch(metrics.breaker_state, read, name, state)

    def watch_reason(reason: LimitReason) -> None:
        def read() -> float:
            dispatcher = dispatchers.get(name)
            return float(dispatcher is not None and reason in dispatcher.limits())

        metrics.watch(metrics.limited, read, name, reason)

    for state in BreakerState:
        watch_state(state)
    for reason in LimitReason:
        watch_reason(reason)
