"""The offsets of many groups, read together from Apache Kafka, are what was committed for each of them."""

from __future__ import annotations

import asyncio

import pytest

from bridge.kafka import many_groups_codec, offsets
from bridge.kafka.client import KafkaOptions
from bridge.kafka.offsets import OffsetStore
from bridge.model import Committed, Partition
from tests.support.kafka import RealKafka

pytestmark = pytest.mark.slow
GROUPS = 40
PARTITIONS = 150
"""More than fit a length of one byte."""


def committed_of(number: int, topic: str) -> dict[Partition, Committed]:
    """Return what group ``number`` commits: nothing, some partitions, or all, with texts of each length."""
    partitions = range(0, PARTITIONS, (number + 1) % 5) if (number + 1) % 5 else ()
    return {
        Partition(topic, one): Committed(1000 * number + one, "ü" * (one % 3) if number % 2 else "m" * 4096)
        for one in list(partitions)[: 20 if number % 2 == 0 else PARTITIONS]
    }


@pytest.mark.parametrize("broker", ["3.0 and later", "before 3.0"])
def test_the_offsets_of_many_groups_are_those_that_each_of_them_committed(
    kafka: RealKafka, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older broker is imitated: it has no version of the request for many groups."""
    if broker == "before 3.0":
        monkeypatch.setattr(many_groups_codec, "_OFFSETS_VERSION", 99)
    else:
        monkeypatch.setattr(offsets, "LeanOffsetFetch", None)
    topic = kafka.fresh_topic("many-groups", PARTITIONS)
    everywhere = [Partition(topic, number) for number in range(PARTITIONS)]
    groups = {f"{topic}.e{number}": committed_of(number, topic) for number in range(GROUPS)}

    async def read_back() -> None:
        store = OffsetStore(KafkaOptions((kafka.bootstrap,)))
        await store.start()
        try:
            assert await store.fetch_all(list(groups), None) == {group: {} for group in groups}
            for group, committed in groups.items():
                if committed:
                    await store.commit(group, committed)
            assert await store.fetch_all(list(groups), everywhere) == groups
            assert await store.fetch_all(list(groups), None) == groups
            assert await store.fetch_all(list(groups), everywhere[:1]) == {
                group: {at: one for at, one in committed.items() if at == everywhere[0]}
                for group, committed in groups.items()
            }
        finally:
            await store.close()

    asyncio.run(read_back())
