"""The steps of a start that need the broker: reach it, check the topics, create its own, open the clients.

Invariant: a broker that does not answer delays a step and never fails it. A stop ends the step at once, and
what was opened until then is closed by the stack.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

from bridge.app.beginner import EndpointBeginner
from bridge.app.internal_topics import ensure_control_topic, ensure_internal_topics
from bridge.app.status import Status
from bridge.app.stop import StopRequest
from bridge.core.beginning import Beginnings
from bridge.core.topic_selection import TopicSelection
from bridge.errors import CommitError, KafkaUnavailable
from bridge.kafka.client import KafkaOptions, start_when_reachable
from bridge.kafka.control_topic import ControlTopic
from bridge.kafka.fetch_budget import FetchBudget
from bridge.kafka.group_reader import Reader
from bridge.kafka.membership import Membership
from bridge.kafka.offsets import OffsetStore
from bridge.kafka.producer import DurableProducer
from bridge.kafka.topic_ids import TopicIds
from bridge.kafka.topic_setup import wait_for_topics
from bridge.kafka.topics import TopicAdmin
from bridge.pipeline.outage import OutageBackoff
from bridge.settings import Settings
from bridge.telemetry.metrics import Metrics
from bridge.wiring.kafka import control_topic


class Clients(NamedTuple):
    """The clients of the path: the member of the group, which has not joined it yet, and the writers."""

    reader: Reader
    writer: DurableProducer
    """Of dead letters and holds."""
    offsets: OffsetStore
    """Of the cursors."""
    beginner: EndpointBeginner


@dataclass(frozen=True, kw_only=True)
class BrokerStart:
    """Starts what needs the broker. All methods raise ``Stopped`` when a stop comes first."""

    settings: Settings
    options: KafkaOptions
    selection: TopicSelection
    stop: StopRequest
    status: Status
    control: ControlTopic
    beginnings: Beginnings
    topic_ids: TopicIds
    fetch: FetchBudget
    metrics: Metrics
    drain: Callable[[], Awaitable[None]]
    """Called when the group revokes partitions."""

    async def open(
        self, stack: AsyncExitStack, own_files: Callable[[str | None], None], membership: Membership
    ) -> Clients:
        """Wait for the broker and the source topics, create the internal topics, and open the clients.

        ``own_files`` is called with the cluster id before anything else is read.
        """

        async def identify_cluster() -> None:
            own_files(await admin.cluster_id())

        options, settings = self.options, self.settings
        admin = TopicAdmin(options)
        stack.push_async_callback(admin.close)
        self.status.enter(f"no broker at {', '.join(options.bootstrap_servers)} has answered yet")
        await self.reach(admin.start)
        await self.reach(identify_cluster)
        self.status.enter(f"reading {control_topic(settings.group)}")
        await self.reach(lambda: ensure_control_topic(admin, settings))
        await self.stop.unless_requested(self.control.load_with_retry())
        reader = Reader(options, membership, self.drain, self.fetch, self.metrics.rebalance_seconds.observe)
        stack.push_async_callback(reader.member.stop)  # also if a stop comes before it joins the group
        offsets = OffsetStore(options, may_commit=reader.member.holds_lease)
        stack.push_async_callback(offsets.close)
        stack.push_async_callback(self.topic_ids.close)
        await self.reach(offsets.start)
        await self.reach(self.topic_ids.start)
        beginner = EndpointBeginner(
            options, self.topic_ids, offsets, self.beginnings, self.control.remember, self.selection
        )
        await self.stop.unless_requested(self._begin_new_endpoints(beginner, admin))
        await self._await_topics(admin)
        writer = DurableProducer(options, "dead letters and holds")
        stack.push_async_callback(writer.close)
        await self.reach(writer.start)
        return Clients(reader, writer, offsets, beginner)

    async def join_group(self, stack: AsyncExitStack, reader: Reader) -> None:
        """Join the group; the first assignment follows."""
        stack.push_async_callback(reader.member.stop)
        self.status.enter(f"waiting for the first assignment of group {self.settings.group}")
        await self.reach(reader.member.start)

    async def reach(self, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Repeat ``start`` until the broker is reachable."""
        await self.stop.unless_requested(start_when_reachable(start, self.options.bootstrap_servers))

    async def _begin_new_endpoints(self, beginner: EndpointBeginner, admin: TopicAdmin) -> None:
        """Begin new endpoints before the topics are complete: what appears later is read from its start."""
        outage = OutageBackoff()
        while True:
            try:
                await beginner.once(admin, self.settings)
                return
            except (KafkaUnavailable, CommitError) as exc:
                await outage.wait(exc)

    async def _await_topics(self, admin: TopicAdmin) -> None:
        """Wait until the topics of the sources exist, and create the bridge's own."""
        if not self.selection.patterns:  # with patterns, a topic that is missing does not stop the others
            names = self.selection.names
            self.status.enter(f"waiting until all topics exist: {', '.join(names)}")
            await self.stop.unless_requested(wait_for_topics(admin, names))
        self.status.enter("creating its own topics")
        await self.reach(lambda: ensure_internal_topics(admin, self.settings))
