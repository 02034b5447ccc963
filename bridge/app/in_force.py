"""The configuration in force, and how a running process takes over another one.

Everything is built and read first, while the other parts are in use. Then the parts are swapped between two
turns of the loop, by steps that only assign. Invariant: either all of a configuration is in force or nothing
of it, and no delivery is lost or repeated by the change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial

import structlog

from bridge.app.prepared import OpenTransports, Prepared, prepare
from bridge.app.switching import Switching
from bridge.app.transports import Transports
from bridge.errors import CommitError, KafkaUnavailable
from bridge.model import Partition
from bridge.pipeline.cursor_loader import Loaded
from bridge.pipeline.outage import OutageBackoff
from bridge.settings import Settings
from bridge.settings.changes import SettingsChange
from bridge.telemetry import events
from bridge.wiring.edges import PathEdges
from bridge.wiring.path import Path

_log = structlog.get_logger()
_WAIT_S = 0.05
"""Between two looks whether the assignment has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the change of a configuration reaches besides the path.

    ``begin_new_endpoints`` records where endpoints begin that are new. ``load_holds_of`` reads the held lanes
    of endpoints that deliver nothing yet. ``adopt_names`` is called with the configuration that is in force
    from now on, for the parts that hold names of endpoints. ``endpoint_came`` and ``endpoint_left`` are
    called with a name, ``changed`` after each change: replays begin again with it.
    """

    open_transports: OpenTransports
    begin_new_endpoints: Callable[[Settings], Awaitable[None]]
    load_holds_of: Callable[[Collection[str], Collection[Partition]], Awaitable[None]]
    prepare_topics: Callable[[Settings], Awaitable[None]] | None = None
    """Return once the topics of these settings can be read. Raises ``ConfigError`` if one does not exist."""
    subscribe: Callable[[Settings], None] = lambda settings: None
    """Join the group again soon, with the topics of these settings."""
    run_aside: Callable[[Callable[[], Prepared]], Awaitable[Prepared]] = asyncio.to_thread
    """Run a function in a thread, so that deliveries go on meanwhile."""
    adopt_names: Callable[[Settings], None] = lambda settings: None
    endpoint_came: Callable[[str], None] = lambda endpoint: None
    endpoint_left: Callable[[str], None] = lambda endpoint: None
    changed: Callable[[], None] = lambda: None


class InForce:
    """The settings that the path works with."""

    def __init__(
        self,
        settings: Settings,
        path: Path,
        edges: PathEdges,
        transports: Transports,
        switching: Switching,
        around: Surroundings,
    ) -> None:
        self.settings = settings
        self.path = path
        self._edges = edges
        self._transports = transports
        self._switching = switching
        self._around = around
        self._tasks: asyncio.TaskGroup | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Let all endpoints start workers."""
        self._tasks = tasks
        for dispatcher in self.path.dispatchers.values():
            dispatcher.start(tasks)

    def stop(self) -> None:
        """Cancel the workers of all endpoints."""
        for dispatcher in self.path.dispatchers.values():
            dispatcher.stop()

    async def take_over(self, settings: Settings, change: SettingsChange) -> None:
        """Return once these settings are in force: added endpoints deliver, removed ones have gone.

        Raises ``ConfigError``, ``KafkaUnavailable`` and ``CommitError``; nothing has changed then.
        """
        prepared = await self._prepare(settings, change)
        if change.topics and self._around.prepare_topics is not None:
            await self._around.prepare_topics(settings)
        if change.added:
            await self._around.begin_new_endpoints(settings)
        while True:
            assignment, loaded = await self._load(prepared)
            if self.path.pipeline.settled and assignment == self._assignment:
                self._swap(prepared, loaded)
                self._around.changed()
                break
        await self._admit(change.added, loaded)
        await asyncio.gather(*(self._dismiss(name) for name in sorted(change.removed)))

    async def _prepare(self, settings: Settings, change: SettingsChange) -> Prepared:
        """Build all parts in a thread: templates and filters take time."""
        names = sorted(change.added | change.delivery)
        streams = {name: self._edges.history.stream(name) for name in names}
        bound = {name: self._edges.metrics.endpoint(name) for name in names}
        build = partial(prepare, settings, change, self.path, self._edges, self._around.open_transports)
        return await self._around.run_aside(partial(build, streams, bound))

    @property
    def _assignment(self) -> tuple[int, frozenset[Partition]]:
        return self._edges.reader.epoch, frozenset(self.path.checkpoints.cursors)

    async def _load(self, prepared: Prepared) -> tuple[tuple[int, frozenset[Partition]], Loaded]:
        """Load the cursors of the added endpoints in the assigned partitions."""
        pipeline, edges = self.path.pipeline, self._edges
        while not pipeline.settled:  # noqa: ASYNC110 - the end of a rebalance has no event of its own
            await asyncio.sleep(_WAIT_S)
        assignment = self._assignment
        partitions = assignment[1]
        if not prepared.change.added or not partitions:
            return assignment, Loaded({}, {}, {}, {})
        topics = frozenset(partition.topic for partition in partitions)
        topic_ids = await edges.look_at_topics(topics) or {}
        bounds = await edges.reader.bounds(partitions)
        loaded = await prepared.loader.load(bounds, topic_ids)
        await self._around.load_holds_of(prepared.change.added, partitions)
        for endpoint, reason in loaded.stopped.items():
            await edges.stop_endpoint(endpoint, reason)
        return assignment, loaded

    def _swap(self, prepared: Prepared, loaded: Loaded) -> None:
        """Put the new parts in the place of the old. Nothing is awaited, read, or built here."""
        path, change, settings = self.path, prepared.change, prepared.settings
        path.router.adopt(prepared.router)
        for name, parts in prepared.parts.items():
            path.dispatchers[name].adopt(parts)
        for dispatcher in prepared.dispatchers.values():
            path.pipeline.admit(dispatcher)
        for name in change.removed:
            path.pipeline.let_go(name)
        for name in change.cursors:
            policy = prepared.policies[name]
            for cursor in path.checkpoints.of(name):
                cursor.set_bounds(policy.window, policy.window_bytes)
        path.loader.adopt(prepared.policies)
        self._transports.adopt(prepared.transports, self.settings)
        self.settings = settings
        self._around.adopt_names(settings)
        self._switching.adopt(settings.endpoints, change.added)
        if change.topics:
            self._around.subscribe(settings)
        path.checkpoints.add(loaded)

    async def _admit(self, added: Collection[str], loaded: Loaded) -> None:
        """Let added endpoints deliver, once their first positions are committed and remembered."""
        if not added:
            return
        path, edges, outage = self.path, self._edges, OutageBackoff()
        while True:
            try:
                await path.commits.commit_new()
                await edges.remember(path.loader.beginnings_in(loaded))
                break
            except (KafkaUnavailable, CommitError) as exc:
                await outage.wait(exc)
        for name in sorted(added):
            path.dispatchers[name].set_share(edges.reader.share)
            self._around.endpoint_came(name)
            assert self._tasks is not None, "start() comes first"
            path.dispatchers[name].start(self._tasks)
            path.pipeline.start_catch_up(name)

    async def _dismiss(self, name: str) -> None:
        """End an endpoint: its requests in flight finish, within the deadline of a drain; its cursor stays.

        What was queued is read again if the endpoint returns.
        """
        path, dispatcher = self.path, self.path.dispatchers[name]
        try:
            async with asyncio.timeout(self.settings.drain_timeout_s):
                await dispatcher.drain()
                while not await path.commits.try_commit():  # noqa: ASYNC110 - each try is a request
                    await asyncio.sleep(_WAIT_S)
        except TimeoutError:
            remedy = "these events are sent again if the endpoint is configured again"
            _log.warning(
                events.ENDPOINT_LEFT_WORK, endpoint=name, unfinished=dispatcher.in_flight, remedy=remedy
            )
        dispatcher.stop()
        dispatcher.forget()
        await path.pipeline.dismiss(name)
        self._transports.retire(name, self.settings.drain_timeout_s)
        self._around.endpoint_left(name)
