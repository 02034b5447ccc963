"""A fake of the control topic as far as the path needs it: where endpoints have begun, which ones stopped.

``FakeControl`` outlives every process; each process opens its own view, as it reads the topic at its start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from bridge.core.beginning import Beginning, Beginnings, read_beginning
from bridge.errors import KafkaUnavailable
from bridge.model import Partition
from tests.support.fakes import Log


class FakeControl:
    """The records of the topic, in order. ``trouble``: errors of the next writes, one each."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes]] = []
        self.stopped: dict[str, str] = {}
        self.trouble: deque[str] = deque()

    def open(self) -> ControlView:
        """Read the topic, as a process does at its start."""
        return ControlView(self)

    def forget(self) -> None:
        """Lose every record, as if the bridge had never run with this release."""
        self.records.clear()


class ControlView:
    """What one process has read of the topic."""

    def __init__(self, topic: FakeControl) -> None:
        self._topic = topic
        self.beginnings = Beginnings()
        for endpoint, value in topic.records:
            self.beginnings.put(endpoint, read_beginning(value))

    async def remember(self, beginnings: Mapping[str, Beginning]) -> None:
        for endpoint, added in beginnings.items():
            self.beginnings.note(endpoint, added)
        unwritten = self.beginnings.unwritten(beginnings)
        if unwritten and self._topic.trouble:
            raise KafkaUnavailable(self._topic.trouble.popleft())
        self._topic.records += [(endpoint, known.to_bytes()) for endpoint, known in unwritten.items()]
        self.beginnings.written(unwritten)

    async def stop(self, endpoint: str, reason: str) -> None:
        self._topic.stopped[endpoint] = reason


class FakeLogs:
    """The source topics before any partition is assigned (``new_endpoints.Logs``), over a ``Log``."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def bounds(self, topics: Collection[str]) -> dict[Partition, tuple[int, int]]:
        return {each: self._log.bounds(each) for each in self._log.records if each.topic in topics}

    async def offsets_at(self, partitions: Collection[Partition], timestamp_ms: int) -> dict[Partition, int]:
        return {}

    async def topic_ids(self, topics: Collection[str]) -> Mapping[str, str | None]:
        return await self._log.look(topics) or {}
