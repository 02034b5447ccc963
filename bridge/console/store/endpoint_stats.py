"""What happened at each endpoint in the last hour, by minutes that the intake counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bridge.console.state_views import Point
from bridge.console.store.database import Database
from bridge.console.store.intake import latency_s

HOUR_MINUTES = 60


class EndpointStats(NamedTuple):
    """The last hour of one endpoint. Rates are per second; latencies are from append to 2xx, in seconds."""

    points: Sequence[Point] = ()
    attempts_per_s: float | None = None
    delivered_per_s: float | None = None
    success_rate: float | None = None
    latency_p50_s: float | None = None
    latency_p99_s: float | None = None


async def read_stats(database: Database, now_s: float) -> dict[str, EndpointStats]:
    """Return the last hour of every endpoint that had an attempt in it. Raises ``StoreUnavailable``."""
    end = int(now_s // 60)
    begin = end - HOUR_MINUTES + 1
    counts: defaultdict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    latencies: defaultdict[str, dict[int, Counter[int]]] = defaultdict(dict)
    for endpoint, minute, attempts, delivered in await database.fetch(
        "SELECT endpoint, minute, attempts, delivered FROM minutes WHERE minute BETWEEN ? AND ?", (begin, end)
    ):
        counts[endpoint][minute] = attempts, delivered
    for endpoint, minute, bucket, number in await database.fetch(
        "SELECT endpoint, minute, bucket, number FROM latencies WHERE minute BETWEEN ? AND ?", (begin, end)
    ):
        latencies[endpoint].setdefault(minute, Counter())[bucket] += number
    return {
        endpoint: _stats(range(begin, end + 1), minutes, latencies[endpoint])
        for endpoint, minutes in counts.items()
    }


def _stats(
    minutes: Sequence[int], counts: Mapping[int, tuple[int, int]], latencies: Mapping[int, Counter[int]]
) -> EndpointStats:
    all_latencies: Counter[int] = Counter()
    points = []
    for minute in minutes:
        attempts, delivered = counts.get(minute, (0, 0))
        buckets = latencies.get(minute, Counter())
        all_latencies += buckets
        points.append(Point(minute * 60.0, attempts, delivered, quantile_s(buckets, 0.5)))
    attempts = sum(one for one, _ in counts.values())
    delivered = sum(one for _, one in counts.values())
    recent = [counts.get(minute, (0, 0)) for minute in minutes[-6:-1]]
    return EndpointStats(
        points,
        sum(one for one, _ in recent) / (60 * len(recent)),
        sum(one for _, one in recent) / (60 * len(recent)),
        delivered / attempts if attempts else None,
        quantile_s(all_latencies, 0.5),
        quantile_s(all_latencies, 0.99),
    )


def quantile_s(buckets: Mapping[int, int], part: float) -> float | None:
    """Return a quantile of latencies by bucket, in seconds; None without any. It is within 19 %."""
    total = sum(buckets.values())
    if not total:
        return None
    reached = 0
    for bucket in sorted(buckets):
        reached += buckets[bucket]
        if reached >= part * total:
            return latency_s(bucket)
    return None
