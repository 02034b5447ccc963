"""The requests of one path, and the evaluation: totals, order, overlaps, repeats.

Pure, without sockets. The terms of the report:

- *accepted*: answered with 2xx. *retry*: an id arrives again before it was accepted, which is correct.
  *repeat*: an id arrives again after it was accepted, which is a duplicate for the receiver.
- *inversion*: an event is accepted for the first time after a later event of its entity.
- *overlap*: two requests about one entity are in flight at the same time.
"""

from __future__ import annotations

from array import array
from collections import Counter
from math import ceil
from typing import Any, NamedTuple

LIST_BOUND = 200  # maximum number of listed repeats, inversions and overlaps


class Arrival(NamedTuple):
    """One request as received."""

    arrived_ns: int
    webhook_id: str | None
    entity: str | None
    seq: int | None
    produced_ns: int | None
    headers: list[tuple[bytes, bytes]]
    body: bytes
    method: str = "POST"


class PathLog:
    """The requests of one path; ``record_bound`` of them are kept completely, the others are counted."""

    def __init__(self, record_bound: int) -> None:
        self.record_bound = record_bound
        self.records: list[tuple[Arrival, list[int]]] = []
        self.requests = 0
        self.without_id = 0
        self.statuses: Counter[str] = Counter()
        self.accepted_at: dict[str, int] = {}  # webhook id -> first accepted; 0: seen, not accepted
        self.accepted = 0
        self.retries = 0
        self.repeats = 0
        self.repeat_list: list[dict[str, Any]] = []
        self.last_seq: dict[str, int] = {}
        self.inversions = 0
        self.inversion_list: list[dict[str, Any]] = []
        self.overlaps = 0
        self.overlap_list: list[dict[str, Any]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.arrivals_ns = array("q")  # of the first request of each id
        self.latencies_ns = array("q")

    def arrived(self, arrival: Arrival) -> list[int] | None:
        """Record a request; return the place for its status if it is kept completely."""
        self.requests += 1
        self.in_flight += 1
        if self.in_flight > self.most_in_flight:
            self.most_in_flight = self.in_flight
        webhook_id = arrival.webhook_id
        if webhook_id is None:
            self.without_id += 1
        else:
            before = self.accepted_at.get(webhook_id)
            if before is None:
                self.accepted_at[webhook_id] = 0
                self.arrivals_ns.append(arrival.arrived_ns)
                if arrival.produced_ns is not None:
                    self.latencies_ns.append(arrival.arrived_ns - arrival.produced_ns)
            elif before == 0:
                self.retries += 1
            else:
                self.repeats += 1
                if len(self.repeat_list) < LIST_BOUND:
                    self.repeat_list.append(
                        {"id": webhook_id, "accepted_ns": before, "again_ns": arrival.arrived_ns}
                    )
        if len(self.records) < self.record_bound:
            status: list[int] = []
            self.records.append((arrival, status))
            return status
        return None

    def overlapped(self, arrival: Arrival, other: Arrival) -> None:
        """Record that ``other`` about the same entity was still in flight."""
        self.overlaps += 1
        if len(self.overlap_list) < LIST_BOUND:
            self.overlap_list.append(
                {
                    "entity": arrival.entity,
                    "seq": arrival.seq,
                    "with_seq": other.seq,
                    "ns": arrival.arrived_ns,
                }
            )

    def ended(self, arrival: Arrival, status: int | None) -> None:
        """Record the answer; ``None`` if the connection closed without one."""
        self.in_flight -= 1
        self.statuses[str(status) if status else "none"] += 1
        if status is None or not 200 <= status < 300:
            return
        webhook_id = arrival.webhook_id
        if webhook_id is None or self.accepted_at.get(webhook_id):
            return
        self.accepted_at[webhook_id] = arrival.arrived_ns
        self.accepted += 1
        entity, seq = arrival.entity, arrival.seq
        if entity is None or seq is None:
            return
        last = self.last_seq.get(entity, -1)
        if seq > last:
            self.last_seq[entity] = seq
        else:
            self.inversions += 1
            if len(self.inversion_list) < LIST_BOUND:
                self.inversion_list.append({"entity": entity, "seq": seq, "after_seq": last})

    def report(self) -> dict[str, Any]:
        """Return the totals for JSON; the module docstring defines the terms."""
        return {
            "requests": self.requests,
            "distinct": len(self.accepted_at),
            "accepted": self.accepted,
            "without_id": self.without_id,
            "retries": self.retries,
            "repeats": self.repeats,
            "repeat_list": self.repeat_list,
            "inversions": self.inversions,
            "inversion_list": self.inversion_list,
            "overlaps": self.overlaps,
            "overlap_list": self.overlap_list,
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "statuses": dict(self.statuses),
            "entities": self.last_seq,
            "rate_middle": middle_rate(self.arrivals_ns),
            "latency_ms": {
                f"p{share:g}": percentile(self.latencies_ns, share) / 1e6 for share in (50, 99, 99.9)
            },
        }


def middle_rate(arrivals_ns: array[int]) -> float:
    """Return events per second over the middle 80 % of the arrivals, without start and end effects."""
    count = len(arrivals_ns)
    if count < 100:
        return 0.0
    first, last = count // 10, count - count // 10 - 1
    return (last - first) / max(1, arrivals_ns[last] - arrivals_ns[first]) * 1e9


def percentile(values: array[int], share: float) -> int:
    """Return the percentile ``share`` by nearest rank; 0 without values."""
    if not values:
        return 0
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * share / 100) - 1)]
