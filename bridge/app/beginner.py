"""Begin endpoints that are new, at the start of the process and when a reload adds some."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bridge.app.internal_topics import ensure_internal_topics
from bridge.clock import SystemClock
from bridge.core.beginning import Beginning, Beginnings
from bridge.core.topic_selection import TopicSelection
from bridge.errors import ConfigError
from bridge.kafka.client import KafkaOptions
from bridge.kafka.offsets import OffsetStore
from bridge.kafka.side_reader import SideReader
from bridge.kafka.source_logs import SourceLogs
from bridge.kafka.topic_ids import TopicIds
from bridge.kafka.topics import TopicAdmin
from bridge.settings import Settings
from bridge.wiring.path import build_new_endpoints
from bridge.wiring.topics import build_selection


class EndpointBeginner:
    """Decides where new endpoints begin, and returns once the control topic has it.

    Every method raises ``KafkaUnavailable`` and ``CommitError``, and may be called again after that.
    """

    def __init__(
        self,
        options: KafkaOptions,
        topic_ids: TopicIds,
        offsets: OffsetStore,
        beginnings: Beginnings,
        remember: Callable[[Mapping[str, Beginning]], Awaitable[None]],
        selection: TopicSelection,
    ) -> None:
        self._options = options
        self._topic_ids = topic_ids
        self._offsets = offsets
        self._beginnings = beginnings
        self._remember = remember
        self._selection = selection

    async def once(self, admin: TopicAdmin, settings: Settings) -> None:
        """Begin the endpoints of ``settings`` that have no beginning; ``admin`` is started."""
        clock = SystemClock()
        new = build_new_endpoints(settings, self._offsets, self._beginnings, self._remember, clock)
        if new.unknown():
            async with SourceLogs(admin, self._topic_ids, SideReader(self._options)) as logs:
                await new.begin(self._selection.select(await admin.names()), logs)

    async def topics(self, settings: Settings) -> None:
        """Return once the topics that ``settings`` name exist and ``<group>.again`` has enough partitions.

        Raises ``ConfigError`` for one that does not exist.
        """
        admin = TopicAdmin(self._options)
        try:
            await admin.start()
            missing = sorted(set(build_selection(settings).names) - await admin.names())
            if missing:
                problem = "does not exist; create it, then reload the configuration"
                raise ConfigError([f'sources: topic "{name}" {problem}' for name in missing])
            await ensure_internal_topics(admin, settings)
        finally:
            await admin.close()

    async def added(self, settings: Settings) -> None:
        """Begin endpoints that a reload adds, over a separate connection."""
        admin = TopicAdmin(self._options)
        try:
            await admin.start()
            await self.once(admin, settings)
        finally:
            await admin.close()
