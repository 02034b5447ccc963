"""Decide a pod's share of an endpoint's rate: its partitions divided by all partitions.

Invariant: the shares of all pods that have partitions add up to 1. ``RateWindows`` rounds each down to
whole requests, so together the pods never send more than the endpoint's configured rate. They agree
without talking to each other, because all read the same assignment.
"""

from __future__ import annotations


def share(assigned: int, total: int) -> float:
    """Return the share of a pod, more than 0 and at most 1.

    ``assigned``: partitions of this pod. ``total``: partitions of all topics that the group reads
    (Kafka metadata). A pod without partitions sends nothing, and is treated as if it had one.
    ``total`` may be outdated and below ``assigned`` right after partitions were added.
    """
    return min(1.0, max(1, assigned) / max(1, total))
