"""The share of a rate: pods together never send more than the endpoint's rate."""

from __future__ import annotations

from bisect import bisect_right

import pytest

from bridge.core.limits import RateWindows
from bridge.core.share import share
from bridge.kafka.assignor import assign_by_number

COUNT, SECONDS = 12, 10.0
"""The endpoint's rate: 12 requests in any 10 s."""


class Pod:
    """A pod that always has something to send, if it has partitions."""

    def __init__(self, assigned: int, total: int) -> None:
        self._windows = RateWindows([(COUNT, SECONDS)], share(assigned, total))
        self._assigned = assigned
        self.sent: list[float] = []

    def rebalance(self, assigned: int, total: int) -> None:
        self._assigned = assigned
        self._windows.set_share(share(assigned, total))

    def run(self, start: float, end: float) -> None:
        at = start
        while self._assigned and at < end:
            wait_s = self._windows.wait_s(at)
            if wait_s:
                at += wait_s
            else:
                self._windows.spend(at)
                self.sent.append(at)


def most_in_a_window(sent: list[float]) -> int:
    """Return the most requests in any half-open stretch of ``SECONDS``."""
    ordered = sorted(sent)
    return max(
        (index + 1 - bisect_right(ordered, at - SECONDS + 1e-9) for index, at in enumerate(ordered)),
        default=0,
    )


@pytest.mark.parametrize("partitions", [1, 2, 5, 12, 17])
@pytest.mark.parametrize("pods", [1, 2, 3, 5, 8])
def test_the_shares_of_all_pods_with_partitions_add_up_to_the_whole(partitions: int, pods: int) -> None:
    """By the assignment that the group really makes, pods without partitions among them."""
    topics = {"orders": range(partitions), "g.again": range(partitions)}
    members = {f"pod-{number}": ("orders", "g.again") for number in range(pods)}
    counts = [sum(map(len, assigned.values())) for assigned in assign_by_number(members, topics).values()]
    shares = [share(count, 2 * partitions) for count in counts if count]
    assert sum(shares) == pytest.approx(1.0)


@pytest.mark.parametrize("partitions", [(1, 1), (6, 6), (11, 1), (7, 5), (10, 2), (12, 0)])
def test_two_pods_together_stay_within_the_rate(partitions: tuple[int, int]) -> None:
    pods = [Pod(assigned, sum(partitions)) for assigned in partitions]
    for pod in pods:
        pod.run(0, 200)
    together = [at for pod in pods for at in pod.sent]
    assert most_in_a_window(together) <= COUNT
    assert len(together) >= 0.9 * COUNT * 200 / SECONDS, "and use most of it"


@pytest.mark.parametrize(
    ("before", "after"), [((12, 0), (6, 6)), ((9, 3), (3, 9)), ((6, 6), (0, 12)), ((11, 1), (12, 0))]
)
def test_after_a_rebalance_two_pods_together_stay_within_the_rate(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    """A window that contains the rebalance may contain both shares: pods do not share what they sent."""
    pods = [Pod(assigned, 12) for assigned in before]
    for pod, assigned in zip(pods, after, strict=True):
        pod.run(0, 103)
        pod.rebalance(assigned, 12)
        pod.run(max([103.0, *pod.sent[-1:]]), 200)
    together = [at for pod in pods for at in pod.sent]
    for pod in pods:
        assert most_in_a_window(pod.sent) <= COUNT, "one pod never exceeds the rate"
    assert most_in_a_window([at for at in together if at < 103]) <= COUNT
    assert most_in_a_window([at for at in together if at >= 103]) <= COUNT
    assert most_in_a_window(together) <= 2 * COUNT


def test_a_pod_without_partitions_has_a_share_that_rate_windows_accept() -> None:
    RateWindows([(COUNT, SECONDS)]).set_share(share(0, 12))
    assert share(0, 0) == 1.0


def test_more_partitions_than_the_metadata_lists_are_the_whole_rate() -> None:
    assert share(4, 2) == 1.0
