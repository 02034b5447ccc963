"""The whole path in this process, without Kafka and without a network, for the benchmarks of an event's CPU.

The program's own wiring builds it from settings, with the real files on disk. Invariant: only Kafka and the
transport are fakes, so what is measured is what the program runs.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from bridge.clock import SystemClock
from bridge.core.memory_budget import divide
from bridge.dead_letters.hold import Holds
from bridge.http import Transport
from bridge.kafka.producer import NewRecord
from bridge.kafka.record_size import HISTORY_CODEC, batch_bytes
from bridge.model import Batch, Partition, Record, Request, Response
from bridge.settings import Settings, load
from bridge.storage.journal import Journal
from bridge.telemetry.metrics import Metrics
from bridge.wiring.decoders import build_decoders
from bridge.wiring.edges import PathEdges
from bridge.wiring.path import build_history, build_index, build_path, build_window
from tests.support.fake_control import FakeControl
from tests.support.fake_group import FakeOffsets, FakeReader
from tests.support.fakes import FakeParkedRecords, FakeParking, FakeRegister, Log
from tests.support.path import learns_nothing
from tests.support.produce import outbox_events

PARTITIONS = [Partition("orders", number) for number in range(4)]
BATCH = 250
ENTITIES = 400
SETTINGS = """\
group: g
kafka: {{bootstrap_servers: ["k:9092"]}}
sources:
  orders:
    {{topics: [orders], format: json, id: id, type: type, time: createdAt, entity: entity, data: payload}}
endpoints:
  crm:
    url: https://receiver.example/hooks
    secrets: ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    start: earliest
    concurrency: 64
{batch}state_dir: {folder}
"""
BATCHES = "    batch: {max_events: 100}\n"
OK = Response(200, ((b"content-type", b"text/plain"), (b"content-length", b"2")), b"ok")


class Answers:
    """A transport whose receiver takes everything, one turn of the loop later."""

    async def send(self, request: Request, timeout_s: float) -> Response:
        await asyncio.sleep(0)
        return OK

    async def close(self) -> None:
        return


class Compressed:
    """A producer that compresses each record as the real one does, and forgets it."""

    async def write(self, record: NewRecord) -> None:
        await batch_bytes(HISTORY_CODEC, record.key, record.value, record.headers)


class BacklogReader(FakeReader):
    """A member of the group that gives the backlog in batches, a partition at a time."""

    def __init__(self) -> None:
        super().__init__(Log(*PARTITIONS))
        self._batches: list[Batch] = []
        self._ends: dict[Partition, int] = dict.fromkeys(PARTITIONS, 0)
        self._times = 0

    def produce(self, events: int) -> list[Batch]:
        """Return so many new events, spread over the partitions by their entities."""
        records: dict[Partition, list[Record]] = {partition: [] for partition in PARTITIONS}
        self._times += 1
        for event in outbox_events(events, entities=ENTITIES, seed=self._times):
            partition = PARTITIONS[int(event.entity[1:]) % len(PARTITIONS)]
            offset = self._ends[partition]
            self._ends[partition] = offset + 1
            records[partition].append(
                Record(partition, offset, int(time.time() * 1000), event.key, event.value)
            )
        return [
            (partition, of_partition[at : at + BATCH])
            for at in range(0, events, BATCH)
            for partition, of_partition in records.items()
            if of_partition[at : at + BATCH]
        ]

    def add(self, batches: Sequence[Batch]) -> None:
        """Let these be read after what is there."""
        self._batches += batches

    async def read(self, full: Collection[Partition], timeout_s: float) -> Sequence[Batch]:
        for place, (partition, records) in enumerate(self._batches):
            if partition not in full:
                await asyncio.sleep(0)
                del self._batches[place]
                return [(partition, records)]
        await asyncio.sleep(0.01)
        return []

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        return {partition: (0, self._ends[partition]) for partition in partitions}


class WholePath:
    """The path with one endpoint, as the program builds it; ``deliver`` sends events through it."""

    def __init__(self, settings: Settings, transport: Transport | None = None) -> None:
        self.reader = BacklogReader()
        self._delivered = 0
        metrics, decoders = Metrics(), build_decoders(settings)
        self._history = build_history(settings, Compressed(), metrics, divide(1 << 30))
        self._index = build_index(settings)
        window = build_window(settings, self._index, decoders, self._no_reader)
        edges = PathEdges(
            reader=self.reader,
            member=self.reader,
            open_side_reader=self._no_reader,
            offsets=FakeOffsets(),
            look_at_topics=Log().look,
            beginnings=(control := FakeControl().open()).beginnings,
            remember=control.remember,
            stop_endpoint=control.stop,
            dead_letters=FakeParking(),
            parked_before=FakeParkedRecords(FakeParking()),
            hold_register=FakeRegister(),
            load_holds=self._no_holds,
            transports=dict.fromkeys(settings.endpoints, transport or Answers()),
            history=self._history,
            journal=Journal(settings.state_dir),
            flush=self._flush,
            window=window,
            side_window=lambda: window,
            learn=learns_nothing,
            turn_off=lambda endpoint, reason: None,
            metrics=metrics,
            clock=SystemClock(),
        )
        path = build_path(settings, decoders, Holds(), edges)
        self.checkpoints, self.commits = path.checkpoints, path.commits
        self.pipeline, self.dispatchers = path.pipeline, path.dispatchers

    async def deliver(self, produced: Sequence[Batch]) -> None:
        """Return when these events of the reader are settled and committed, too."""
        self.reader.add(produced)
        self._delivered += sum(len(records) for _, records in produced)
        committed = 0
        while committed < self._delivered:
            await asyncio.sleep(0.05)
            await self.commits.commit()
            committed = sum(cursor.lowest_unsettled for cursor in self.checkpoints.all())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry events until the end of the block."""
        self.reader.assign(*PARTITIONS)
        async with asyncio.TaskGroup() as tasks:
            streams = self._history.start(tasks)
            for dispatcher in self.dispatchers.values():
                dispatcher.start(tasks)
            carrying = tasks.create_task(self.pipeline.run())
            yield
            self.pipeline.stop()
            await carrying
            await self._history.close()
            for dispatcher in self.dispatchers.values():
                dispatcher.stop()
            for task in streams:
                task.cancel()

    async def _flush(self) -> None:
        self._index.flush()
        await self._history.flush()

    async def _no_holds(self, partitions: Collection[Partition]) -> None:
        return

    def _no_reader(self) -> NoReturn:
        raise AssertionError("the window starts at the beginning of the log")


@asynccontextmanager
async def path(*, batches: bool = False) -> AsyncIterator[WholePath]:
    """A path that is warm: its caches are filled. ``batches``: up to 100 events in a request."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bridge.yaml")
        file.write_text(SETTINGS.format(folder=folder, batch=BATCHES if batches else ""))
        built = WholePath(load(file, {}))
        async with built.running():
            await built.deliver(built.reader.produce(1000))
            yield built
