"""Carry events: run the tasks of a bridge that has joined its group, until it is stopped.

Invariant: reading ends first. The workers, the history and the control topic go on until the assignment
has drained.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from bridge import __version__
from bridge.app.garbage import keep_what_is_built
from bridge.app.in_force import InForce
from bridge.app.observers import Observers
from bridge.app.reloading import Reloads
from bridge.app.status import Status
from bridge.app.stop import StopRequest
from bridge.core.topic_selection import TopicSelection
from bridge.history.writer import History
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_topic import ControlTopic
from bridge.kafka.group_reader import Reader
from bridge.kafka.matched_topics import MatchedTopics
from bridge.kafka.topics import TopicAdmin
from bridge.pipeline.changed_cursors import endpoints_per_commit
from bridge.pipeline.moving import CursorMover
from bridge.pipeline.replay.carrier import Bridge
from bridge.pipeline.replay.replays import Replays
from bridge.settings import Settings
from bridge.telemetry import events
from bridge.wiring.kafka import again_topic

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrying:
    """The parts that work while events are carried. ``reloads`` is None for settings that never change."""

    settings: Settings
    options: KafkaOptions
    selection: TopicSelection
    stop: StopRequest
    status: Status
    control: ControlTopic
    replays: Replays
    mover: CursorMover
    in_force: InForce
    reader: Reader
    history: History
    reloads: Reloads | None
    replaying: Bridge
    observers: Observers

    async def run(self) -> None:
        """Run all tasks until stopped. The workers outlive the reader, so that it can drain."""
        path = self.in_force.path
        keep_what_is_built()
        _log.info(
            events.BRIDGE_STARTED,
            version=__version__,
            group=self.settings.group,
            topics=self.selection.written,
            endpoints=sorted(path.dispatchers),
        )
        async with asyncio.TaskGroup() as tasks:
            background = self._start(tasks)
            streams = self.history.start(tasks)  # the list gets the streams of endpoints that a reload adds
            self.in_force.start(tasks)
            await path.pipeline.run()
            await self.history.close()
            self.in_force.stop()
            for task in [*background, *streams]:
                task.cancel()
        _log.info(events.BRIDGE_DRAINED)

    def _start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start what works next to the path."""
        path = self.in_force.path
        moves = self.mover.run(path.pipeline.assignment, path.checkpoints, path.commits)
        matched = MatchedTopics(
            lambda: TopicAdmin(self.options),
            self.selection,
            again_topic(self.settings),
            lambda: self.reader.member.topics,
        )
        return [
            tasks.create_task(self._stop_reading(), name="stop"),
            tasks.create_task(self.control.follow(), name="control"),
            tasks.create_task(self.control.write_pending(), name="control writes"),
            tasks.create_task(self._commit_periodically(), name="commit"),
            tasks.create_task(self.status.log_changes(), name="readiness"),
            tasks.create_task(matched.run(), name="topics"),
            *([tasks.create_task(self.reloads.run(), name="reloads")] if self.reloads else ()),
            tasks.create_task(self.replays.run(self.replaying), name="replays"),
            tasks.create_task(moves, name="moved cursors"),
            *self.observers.start(tasks),
        ]

    async def _stop_reading(self) -> None:
        await self.stop.wait()
        self.status.stop()
        _log.info(events.BRIDGE_STOPPING, drain_timeout_s=self.settings.drain_timeout_s)
        self.in_force.path.pipeline.stop()

    async def _commit_periodically(self) -> None:
        interval_s = self.settings.commit_interval_s
        while True:
            await asyncio.sleep(interval_s)
            await self.in_force.path.commits.try_commit(endpoints_per_commit(interval_s))
