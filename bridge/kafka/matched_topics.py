"""Follow the topics that patterns match: report each change, and let ``<group>.again`` grow with them.

The client itself subscribes and joins the group again (``topic_patterns``). Nothing here stops the path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog

from bridge.core.topic_selection import TopicSelection
from bridge.errors import BrokerError, KafkaUnavailable
from bridge.kafka.topic_setup import ensure_partitions, missing_topics_reporter
from bridge.kafka.topics import TopicAdmin
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_LOOK_S = 2.0
"""Between two looks at the client's subscription, which cost no request."""


class MatchedTopics:
    """Compares the topics that the group reads with the settings.

    Each change is logged once. A name or pattern without a topic does not stop the others.
    """

    def __init__(
        self,
        open_admin: Callable[[], TopicAdmin],
        selection: TopicSelection,
        again: str,
        topics: Callable[[], Collection[str]],
    ) -> None:
        """``open_admin`` returns an admin client that is not started.

        ``again``: the topic of events that are sent again. ``topics`` returns what the group reads now.
        """
        self._open_admin = open_admin
        self._selection = selection
        self._again = again
        self._topics = topics
        self._known: frozenset[str] = frozenset()
        self._awaited: list[str] | None = None
        self._report_missing = missing_topics_reporter()
        self._throttle = Throttle()

    async def run(self) -> None:
        """Look until cancelled; returns at once if no source has a pattern."""
        while self._selection.patterns:
            if self._topics():  # none before the first look at the cluster
                await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Report what changed since the last call."""
        topics = self._selection.select(self._topics())
        self._report_waiting(topics)
        added, removed = topics - self._known, self._known - topics
        if removed:
            _log.warning(
                events.TOPICS_VANISHED,
                topics=sorted(removed),
                cause="they no longer exist: what was not delivered from them is lost",
                remedy="none needed if you deleted them; the other topics are read on",
            )
            self._known -= removed
        if added and await self._prepare(topics):
            sources = {topic: self._selection.source_of(topic) for topic in sorted(added)}
            _log.info(events.TOPICS_MATCHED, topics=sources)
            self._warn_of_several(added)
            self._known |= added

    def _report_waiting(self, topics: Collection[str]) -> None:
        awaited = self._selection.awaited(topics)
        if awaited and awaited != self._awaited:
            _log.info(
                events.TOPICS_AWAITED,
                patterns=awaited,
                remedy="none needed if the topics appear later; else correct `topics` of the source",
            )
        self._awaited = awaited
        self._report_missing(sorted(set(self._selection.names) - set(topics)))

    async def _prepare(self, topics: Collection[str]) -> bool:
        """Give ``<group>.again`` enough partitions; return False if the broker did not answer."""
        admin = self._open_admin()
        try:
            await admin.start()
            left_out = self._selection.left_out(await admin.names())
            await ensure_partitions(admin, self._again, like=topics)
        except BrokerError as exc:
            if self._throttle.allows(events.KAFKA_UNREACHABLE):
                _log.warning(
                    events.KAFKA_UNREACHABLE, cause=exc.cause, remedy="none needed: it is tried again"
                )
            return False
        except KafkaUnavailable as exc:
            if self._throttle.allows(events.TOPIC_TOO_SMALL):
                _log.error(
                    events.TOPIC_TOO_SMALL,
                    cause=str(exc),
                    remedy="add them: until then, parked events of the new partitions cannot be sent again",
                )
        else:
            self._report_left_out(left_out)
        finally:
            await admin.close()
        return True

    def _report_left_out(self, topics: Collection[str]) -> None:
        others = [topic for topic in topics if not topic.startswith(self._again.removesuffix("again"))]
        if others and self._throttle.allows(tuple(others)):
            _log.info(
                events.TOPICS_LEFT_OUT,
                topics=others,
                cause="a pattern matches them, but they are named as topics that Hookferry writes",
                remedy="name each of them in `topics` if a source is to read it",
            )

    def _warn_of_several(self, topics: Collection[str]) -> None:
        for topic in sorted(topics):
            takers = self._selection.takers(topic)
            if len(takers) > 1:
                _log.warning(
                    events.TOPIC_AMBIGUOUS,
                    topic=topic,
                    source=takers[0],
                    also_matched_by=takers[1:],
                    remedy=f'exclude it from the other sources ("!{topic}"), or name it in the right one',
                )
