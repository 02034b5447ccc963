"""Remember which topics were created or grown a moment ago, until every broker has learned of them.

Upstream: no issue found. A topic that was just created is unknown for a moment to a broker other than the one
that was asked to create it, and even to that one while it opens the files of other new topics. aiokafka 0.14
logs that at ERROR. A member that joins its group in this moment assigns the group without the topic, and the
group rebalances ten seconds later, at the next look at the metadata. Remove the filter when aiokafka logs
that at INFO, and the rest when a member waits before it joins.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer

_METADATA_LOGGER = logging.getLogger("aiokafka.cluster")
_SPREADS_S = 10.0
"""How long brokers may take to learn of a new topic."""
_AGAIN_S = 0.1


class NewTopics(logging.Filter):
    """The topics that are new, with the partitions that they have.

    As a filter of aiokafka's log, it drops "Topic … not found in cluster metadata" for them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: monotonic seconds."""
        super().__init__()
        self._clock = clock
        self._created: dict[str, tuple[float, int]] = {}  # at, partitions

    def expect(self, topic: str, partitions: int = 1) -> None:
        """Note that a topic has this many partitions since right now. Only internal and source topics do."""
        self._created[topic] = self._clock(), partitions
        _METADATA_LOGGER.addFilter(self)

    def among(self, topics: Collection[str]) -> Mapping[str, int]:
        """Return the least number of partitions of those of these topics that are new."""
        known_since = self._clock() - _SPREADS_S
        return {
            topic: partitions
            for topic, (created_at, partitions) in self._created.items()
            if topic in topics and created_at >= known_since
        }

    async def seen_by(self, consumer: AIOKafkaConsumer, topics: Collection[str], *, all_topics: bool) -> None:
        """Return when a started consumer knows the new ones of its topics, or when they are no longer new.

        ``all_topics``: it asks for the metadata of all topics, as one with a pattern does.
        """
        client: Any = consumer._client
        while any(
            len(client.cluster.partitions_for_topic(topic) or ()) < partitions
            for topic, partitions in self.among(topics).items()
        ):
            client.set_topics([] if all_topics else topics)
            await client.force_metadata_update()
            await asyncio.sleep(_AGAIN_S)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if aiokafka's line is to be logged."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        return len(arguments) != 1 or not self.among([str(arguments[0])])


new_topics = NewTopics()
"""Those of the process: aiokafka's logger is shared by all clients."""
