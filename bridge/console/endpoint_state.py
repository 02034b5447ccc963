"""Put together what the console shows of one endpoint, from its settings, switch, lag and pods. Pure.

Invariant: of a URL only scheme and host are shown, because paths may be secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.console.state_views import EndpointState, PodRow
from bridge.console.store.endpoint_stats import EndpointStats
from bridge.core.lag import Backlog
from bridge.core.switches import Switch
from bridge.settings.models.endpoints import EndpointSettings


def endpoint_state(
    name: str,
    settings: EndpointSettings | None,
    switch: Switch,
    stats: EndpointStats,
    lag: Backlog | None,
    pods: Sequence[PodRow],
    now_s: float,
) -> EndpointState:
    """Return one endpoint as it is now. ``settings``: None if it was removed; ``lag``: if it is unknown.

    ``now_s``: Unix seconds.
    """
    breaker, limit, slow = _reported(name, pods)
    oldest_s = None if lag is None or lag.oldest_ms is None else now_s - lag.oldest_ms / 1000
    return EndpointState(
        name=name,
        url="" if settings is None else _shown_url(settings.url.get_secret_value()),
        preset=None if settings is None or settings.preset is None else str(settings.preset),
        configured=settings is not None,
        on=switch.on,
        since=switch.since,
        by=switch.by,
        why=switch.reason,
        lag_events=None if lag is None else lag.events,
        lag_bound="exact" if lag is None else lag.bound,
        oldest_s=None if oldest_s is None else max(0.0, oldest_s),
        attempts_per_s=stats.attempts_per_s,
        delivered_per_s=stats.delivered_per_s,
        success_rate=stats.success_rate,
        latency_p50_s=stats.latency_p50_s,
        latency_p99_s=stats.latency_p99_s,
        breaker=breaker,
        limit=limit,
        slow_because=slow,
        points=stats.points,
    )


def _shown_url(url: str) -> str:
    """Return scheme and host of a URL: paths may be secret."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    return f"{scheme}://{host}" if rest else url


def _reported(name: str, pods: Sequence[PodRow]) -> tuple[str | None, str | None, str | None]:
    """Return the breaker of the pod where it is worst, the limits of all together, and why one is slow."""
    reports = [report for pod in pods if isinstance(report := _endpoints(pod).get(name), Mapping)]
    if not reports:
        return None, None, None
    order = ("open", "half-open", "closed")
    breakers = [str(report.get("breaker", "closed")) for report in reports]
    breaker = next((word for word in order if word in breakers), "closed")
    rates = [float(rate) for report in reports if isinstance(rate := report.get("rate_per_s"), int | float)]
    limit = f"{sum(rates):.3g} requests/s" if rates else None
    slow = next((str(report["slow"]) for report in reports if report.get("slow")), None)
    return breaker, limit, slow


def _endpoints(pod: PodRow) -> Mapping[str, object]:
    endpoints = pod.details.get("endpoints")
    return endpoints if isinstance(endpoints, Mapping) else {}
