"""The parts of a replay that differ from those of live deliveries: cursors, fence, limit, and switches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from bridge.clock import Clock
from bridge.core.dedupe import Stretch
from bridge.core.jobs import Job
from bridge.core.limits import ParkLimit
from bridge.core.memory_budget import MemoryBudget
from bridge.core.replay import mark_of
from bridge.model import Committed, Partition
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.commits import Commits
from bridge.pipeline.cursor_loader import Loaded
from bridge.pipeline.cursor_start import Continued, Started, build_cursor, read_commit
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.settings import EndpointSettings
from bridge.storage.journal import Journal
from bridge.wiring.edges import PathEdges
from bridge.wiring.endpoints import build_cursor_policy
from bridge.wiring.path import Path


class NotedLimit(ParkLimit):
    """The limit on dead letters, of the replay alone. It notes that it was exceeded."""

    def __init__(self, endpoint: EndpointSettings) -> None:
        limit = endpoint.park_limit
        assert limit != "off", "there is a limit"
        super().__init__(events=limit.events, share=limit.share, window_s=limit.window_s)
        self.is_exceeded = False

    def exceeded(self, now: float, cause: str) -> str:
        """Count an event that is to be parked. Return "" if it may be, else why not and what to do."""
        reason = super().exceeded(now, cause)
        self.is_exceeded = self.is_exceeded or bool(reason)
        return reason


class ReplayFence:
    """The fence of a replay's commits: the live cursors' own, which moves no offset of a replay."""

    def __init__(self, live: Commits, holds_lease: Callable[[], bool]) -> None:
        self._live = live
        self.holds_lease = holds_lease

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        """Commit the live member's offsets. Raises ``CommitError`` if this process is no member any more."""
        await self._live.pass_fence()


class OwnOffsets:
    """The store of cursors, for the group of a replay: that of its endpoint, and the mark."""

    def __init__(self, edges: PathEdges, mark: str) -> None:
        self._offsets = edges.offsets
        self._mark = mark

    async def fetch(self, group: str, partitions: Collection[Partition] | None) -> dict[Partition, Committed]:
        """Return what is committed. Raises ``CommitError``."""
        return await self._offsets.fetch(f"{group}.{self._mark}", partitions)

    async def commit(self, group: str, offsets: Mapping[Partition, Committed]) -> Collection[Partition]:
        """Commit; return the partitions that a missing right refuses. Raises ``CommitError``."""
        return await self._offsets.commit(f"{group}.{self._mark}", offsets)


class ReplayLoader:
    """Builds the cursors of a run: where the replay stopped, or at its beginning."""

    def __init__(
        self,
        job: Job,
        mine: Mapping[Partition, Stretch],
        endpoint: EndpointSettings,
        *,
        group: str,
        journal: Journal,
        budget: MemoryBudget,
        edges: PathEdges,
    ) -> None:
        self._name = job.endpoint or ""
        self._mine = mine
        self._policy = build_cursor_policy(endpoint)
        self._group = f"{group}.{self._name}"
        self._journal = journal
        self._share = budget.share(self._name)
        self._edges = edges
        self._offsets = OwnOffsets(edges, mark_of(job))

    async def load(self) -> Loaded:
        """Return the cursors. Raises ``CommitError`` and ``KafkaUnavailable``."""
        partitions = list(self._mine)
        topic_ids = await self._edges.look_at_topics(frozenset(each.topic for each in partitions)) or {}
        commits = await self._offsets.fetch(self._group, partitions)
        async with self._edges.open_side_reader() as reader:
            firsts = await reader.begins(partitions)
        journaled = self._journal.read()
        loaded = Loaded({}, {}, topic_ids, {})
        for partition, (start, end) in self._mine.items():
            committed = commits.get(partition)
            cursor = build_cursor(
                self._name,
                self._policy,
                self._share,
                partition,
                (min(firsts[partition], end), end),
                Started(start, "a replay") if committed is None else Continued(read_commit(committed)),
                journaled.settled(self._name, partition, committed),
            )
            loaded.cursors[partition] = {self._name: cursor}
            loaded.committed[cursor] = committed
        return loaded


class LiveMirror:
    """Applies to a run what switches the live deliveries of its endpoint, and adapts its memory."""

    def __init__(
        self,
        name: str,
        path: Path,
        dispatcher: EndpointDispatcher,
        budget: MemoryBudget,
        checkpoints: Checkpoints,
        clock: Clock,
    ) -> None:
        self._name = name
        self._path = path
        self._dispatcher = dispatcher
        self._budget = budget
        self._checkpoints = checkpoints
        self._clock = clock

    def apply(self) -> None:
        """Look at the live endpoint. Call it several times a second."""
        live = self._path.dispatchers.get(self._name)
        is_on = live is not None and live.on  # a reload may have removed the endpoint
        if is_on != self._dispatcher.on:
            self._dispatcher.turn(is_on, self._clock.time())
        if live is not None:
            self._dispatcher.switch_types(self._path.router.off_pattern(self._name))
        self._budget.adapt(self._clock.monotonic(), ())
        self._checkpoints.reopen_pressed(self._name)
