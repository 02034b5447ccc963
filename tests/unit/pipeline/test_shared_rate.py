"""Two pods and one endpoint: the assignment sets each pod's share of the endpoint's rate."""

from __future__ import annotations

import asyncio

from bridge.model import Partition
from tests.support.fakes import TOPIC, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated

PARTITIONS = [Partition(TOPIC, number) for number in range(4)]
COUNT, SECONDS = 8, 10.0
EVENTS_EACH = 200


class Group:
    """Pods of one group over one log, and the instants at which the receiver got a request."""

    def __init__(self) -> None:
        log = Log(*PARTITIONS)
        for number in range(EVENTS_EACH):
            for partition in PARTITIONS:
                name = f"{partition.number}-{number}"
                log.add(name, entity=name, partition=partition)
        self.world = World({"crm": Plan(rate=(f"{COUNT}/{SECONDS:.0f}s",), window=1000)}, log=log)
        self.world.receiver.answer = self._answer
        self.received: list[float] = []

    def pod(self, *partitions: Partition) -> Process:
        return Process(self.world, *partitions)

    async def _answer(self, sent: Sent) -> int:
        self.received.append(asyncio.get_running_loop().time())
        return 200

    def most_in_a_window(self, start: float, end: float) -> int:
        instants = [at for at in self.received if start <= at < end]
        return max(sum(at <= other < at + SECONDS - 1e-6 for other in instants) for at in instants)


@simulated
async def test_two_pods_with_uneven_partitions_stay_within_the_rate_of_the_endpoint() -> None:
    group = Group()
    pods = [group.pod(*PARTITIONS[:3]).start(), group.pod(PARTITIONS[3]).start()]
    await asyncio.sleep(100)
    assert group.most_in_a_window(0, 100) <= COUNT
    assert len(group.received) >= 0.9 * COUNT * 100 / SECONDS
    for pod in pods:
        await pod.stop()


@simulated
async def test_a_rebalance_moves_the_share_with_the_partitions() -> None:
    """From two pods to one that has everything, and its full rate; the other one sends nothing."""
    group = Group()
    staying, leaving = group.pod(*PARTITIONS[:1]).start(), group.pod(*PARTITIONS[1:]).start()
    await asyncio.sleep(100)
    await leaving.revoke()
    await staying.revoke()
    staying.reader.assign(*PARTITIONS)
    await asyncio.sleep(100)
    assert group.most_in_a_window(0, 100) <= COUNT
    assert group.most_in_a_window(100 + SECONDS, 200) == COUNT
    for pod in (staying, leaving):
        await pod.stop()
