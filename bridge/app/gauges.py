"""The gauges that are computed when they are scraped: backlogs, limits, dedupe index.

Invariant: a scrape changes nothing and asks no broker.
"""

from __future__ import annotations

from bridge.core.limits import BreakerState
from bridge.model import LimitReason
from bridge.pipeline.backlog import Backlogs
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.storage.dedupe_index import KeyIndex
from bridge.telemetry.metrics import Metrics
from bridge.wiring.path import Path


def watch_path(metrics: Metrics, path: Path, backlogs: Backlogs, index: KeyIndex) -> None:
    """Let the gauges read these parts from now on."""
    metrics.watch(metrics.again_unsettled, backlogs.again_records)
    metrics.watch(metrics.dedupe_keys, lambda: index.keys)
    metrics.watch(metrics.dedupe_bytes, lambda: index.size_bytes)
    for name, dispatcher in path.dispatchers.items():
        watch_endpoint(metrics, name, dispatcher, backlogs)


def watch_endpoint(metrics: Metrics, name: str, dispatcher: EndpointDispatcher, backlogs: Backlogs) -> None:
    """Let the gauges of one endpoint read these parts from now on."""
    metrics.watch(metrics.lag_events, lambda: backlogs.of(name).events, name)
    metrics.watch(metrics.lag_seconds, lambda: backlogs.of(name).age_s, name)
    metrics.watch(metrics.unread, lambda: backlogs.of(name).unread, name)
    for state in BreakerState:
        _watch_state(metrics, name, dispatcher, state)
    for reason in LimitReason:
        _watch_reason(metrics, name, dispatcher, reason)


def _watch_state(metrics: Metrics, name: str, dispatcher: EndpointDispatcher, state: BreakerState) -> None:
    metrics.watch(metrics.breaker_state, lambda: float(dispatcher.gate.state == state), name, state)


def _watch_reason(metrics: Metrics, name: str, dispatcher: EndpointDispatcher, reason: LimitReason) -> None:
    metrics.watch(metrics.limited, lambda: float(reason in dispatcher.limits()), name, reason)
