"""Count the events that wait for each endpoint: read what is not settled, decode it, and route it.

The offsets between a cursor and the end of the log also hold events that the endpoint does not select,
repetitions, tombstones, and the marks of transactions. Invariant: nothing is committed, and at most a given
number of records is read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bridge.core.lag import Backlog, CursorLag
from bridge.core.switches import off_for
from bridge.errors import (
    ConfigError,
    RecordsDeleted,
    RegistryUnavailable,
)
from bridge.kafka.side_reader import SideReader
from bridge.model import Partition, Record
from bridge.settings import uses
from bridge.settings.load import read, read_for
from bridge.wiring.counting import decode_or_learn
from bridge.wiring.decoders import build_decoder, build_registries
from bridge.wiring.endpoints import build_router
from bridge.wiring.event_counter import EventCounter
from bridge.wiring.kafka import again_topic, build_kafka_options
from bridge.wiring.topics import TopicDecoders, build_selection

if TYPE_CHECKING:
    from bridge.core.switches import EventTypes, Switches
    from bridge.schemas.registry.learn import Registries
    from bridge.settings import Settings

Note = Callable[[str], None]
"""Called with a line for a person: why a part of the lag is in offsets."""


class Bar(Protocol):
    """Shows how much of a stretch was read (``bridge.cli.progress``)."""

    def step(self, number: int) -> None:
        """Go on by so many records."""
        ...


class NoBar:
    """Shows nothing."""

    def step(self, number: int) -> None:
        """Ignore the step."""


class Decoding(NamedTuple):
    """The settings, and the decoders of the sources that can be decoded on this machine."""

    settings: Settings
    decoders: TopicDecoders


async def count_events(
    decoding: Decoding | None,
    rows: Sequence[CursorLag],
    event_types: Switches[EventTypes],
    scan: int,
    begin_bar: Callable[[int], Bar] = lambda total: NoBar(),
) -> list[CursorLag]:
    """Return the rows with their backlogs. Raises ``KafkaUnavailable``.

    Rows that cannot be counted (a registry's login that is not set here, no ``scan``) have their offsets.
    """
    waiting = [row for row in rows if row.configured and row.offsets] if scan else []
    if decoding is None or not waiting:
        return [_with_offsets(row) for row in rows]
    settings, decoders = decoding
    sources = build_selection(settings)
    waiting = [
        row for row in waiting if sources.source_of(row.partition.topic) in (None, *decoders.by_source)
    ]
    router = build_router(settings)
    router.turn_off({name: off_for(event_types, name) for name in settings.endpoints})
    counter = EventCounter(router, waiting)
    finished = await _read(settings, decoders, counter, waiting, scan, begin_bar)
    counted = {(row.endpoint, row.partition) for row in waiting}
    return [
        row._replace(backlog=counter.backlog(row, "exact" if row.partition in finished else "at least"))
        if (row.endpoint, row.partition) in counted
        else _with_offsets(row)
        for row in rows
    ]


def build_decoding(path: Path, environ: Mapping[str, str], note: Note) -> Decoding | None:
    """Return what decodes the records that wait; ``note`` gets what keeps some sources from it.

    Return None if the filters of the endpoints cannot be read.
    """
    settings, problems = read_for(path, environ, uses.SWITCHING)
    if settings is None:
        note(f"LAG is in offsets: {problems[0]}")
        return None
    wrong: dict[str, str] = {}
    for problem in read(path, environ).problems:
        if problem.path[:1] == ("sources",) and len(problem.path) > 1:
            wrong.setdefault(str(problem.path[1]), str(problem))
    by_source = {}
    for name, source in settings.sources.items():
        try:
            if name not in wrong:
                by_source[name] = build_decoder(name, source)
        except ConfigError as exc:
            wrong[name] = exc.problems[0]
    for name, problem_text in wrong.items():
        note(f"LAG of source {name} is in offsets: {problem_text}")
    usable = settings.model_copy(update={"sources": {name: settings.sources[name] for name in by_source}})
    decoders = TopicDecoders(
        by_source, build_selection(usable), again=again_topic(settings), endpoints=settings.endpoints
    )
    return Decoding(settings, decoders)


def _with_offsets(row: CursorLag) -> CursorLag:
    if row.offsets is None:
        return row
    return row._replace(backlog=Backlog(row.offsets, "exact" if not row.offsets else "at most"))


async def _read(
    settings: Settings,
    decoders: TopicDecoders,
    counter: EventCounter,
    rows: Sequence[CursorLag],
    scan: int,
    begin_bar: Callable[[int], Bar],
) -> set[Partition]:
    """Feed the counter; return the partitions that were read to their end."""
    sources = {name: settings.sources[name] for name in decoders.by_source}
    registries = build_registries(sources, decoders.by_source)
    finished: set[Partition] = set()
    stretches = _stretches(rows)
    total = sum(min(end - start, scan) for start, end in stretches.values())
    bar = begin_bar(min(total, scan))
    try:
        async with SideReader(build_kafka_options(settings.kafka)) as reader:
            begins = await reader.begins(list(stretches))
            for partition, (start, end) in sorted(
                stretches.items(), key=lambda item: item[1][1] - item[1][0]
            ):
                if not scan:
                    break
                left = scan
                try:
                    async for records in reader.stretch(partition, max(start, begins[partition]), end):
                        for record in records[:left]:
                            await _take(counter, record, decoders, registries)
                        left -= len(records)
                        bar.step(len(records))
                        if left < 0:
                            break
                except RecordsDeleted:
                    continue
                if left >= 0:
                    finished.add(partition)
                scan = max(0, left)
    finally:
        await registries.close()
    return finished


def _stretches(rows: Collection[CursorLag]) -> dict[Partition, tuple[int, int]]:
    """Return what to read of each partition: from its lowest cursor to the end of the log."""
    stretches: dict[Partition, tuple[int, int]] = {}
    for row in rows:
        assert row.committed is not None
        assert row.log_end is not None
        start, end = stretches.get(row.partition, (row.committed, row.log_end))
        stretches[row.partition] = min(start, row.committed), max(end, row.log_end)
    return stretches


async def _take(
    counter: EventCounter, record: Record, decoders: TopicDecoders, registries: Registries
) -> None:
    if not counter.needs(record) or not _has(decoders, record.partition.topic):
        return  # settled everywhere, or no source reads this topic any more
    try:
        decoded = await decode_or_learn(record, decoders, registries)
    except RegistryUnavailable:
        counter.take_unknown(record)
    else:
        counter.take(record, decoded)


def _has(decoders: TopicDecoders, topic: str) -> bool:
    return topic in decoders or decoders.original(topic) is not None
