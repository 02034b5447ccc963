"""Count the events of a part of the log that an endpoint, or a replay to it, selects.

Invariant: nothing is committed, at most a given number of records is read, and a record that cannot be
decoded counts as none: the bridge parked it when it first read it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.core.dedupe import Stretch, claims_of
from bridge.core.routing import Candidate, Router
from bridge.errors import DecodeError, FilterError, RecordsDeleted, RegistryUnavailable, SchemaNeeded
from bridge.kafka.side_reader import SideReader
from bridge.model import Event, Partition, Record, RedriveMark
from bridge.schemas.registry.learn import Registries
from bridge.settings import Settings
from bridge.wiring.decoders import build_decoders, build_registries
from bridge.wiring.kafka import build_kafka_options
from bridge.wiring.topics import TopicDecoders

DEFAULT_SCAN = 100_000
IsSettled = Callable[[Partition, int], bool]


@dataclass(slots=True)
class Selected:
    """The events that were counted: by type, and how many need their filter corrected (``faulty``).

    ``exact`` is False if the log has more records than were read.
    """

    by_type: Counter[str] = field(default_factory=Counter)
    faulty: int = 0
    exact: bool = True

    @property
    def events(self) -> int:
        """Return the number of all events."""
        return self.by_type.total()


async def count_selected(
    settings: Settings,
    router: Router[str],
    stretches: Mapping[Partition, Stretch],
    *,
    scan: int = DEFAULT_SCAN,
    is_settled: IsSettled = lambda partition, offset: False,
    step: Callable[[int], None] = lambda records: None,
) -> Selected:
    """Read these offsets, and count the events that the router's only endpoint gets.

    A repetition counts once if its first record is in the stretch too. ``is_settled`` returns True for
    records to leave out. ``step`` is called with numbers of records read. Raises ``ConfigError``,
    ``KafkaUnavailable``.
    """
    decoders = build_decoders(settings)
    registries = build_registries(settings.sources, decoders.by_source)
    counter = _SelectedCounter(router, decoders, registries, is_settled)
    left = scan
    try:
        async with SideReader(build_kafka_options(settings.kafka)) as reader:
            for partition, (start, end) in sorted(stretches.items()):
                if left <= 0:
                    counter.selected.exact = False
                    break
                left = await _read(reader, partition, Stretch(start, end), counter, left, step)
    finally:
        await registries.close()
    return counter.selected


async def _read(
    reader: SideReader,
    partition: Partition,
    stretch: Stretch,
    counter: _SelectedCounter,
    left: int,
    step: Callable[[int], None],
) -> int:
    """Count one partition; return how many records may still be read."""
    begins = (await reader.begins([partition]))[partition]
    try:
        async for records in reader.stretch(partition, max(stretch.start, begins), stretch.end):
            await counter.take(records[:left])
            step(min(len(records), left))
            if len(records) > left:
                counter.selected.exact = False
                return 0
            left -= len(records)
    except RecordsDeleted:  # retention was faster: what it deleted is not sent either
        counter.selected.exact = False
    return left


class _SelectedCounter:
    """Decodes and routes records, as the path does."""

    def __init__(
        self, router: Router[str], decoders: TopicDecoders, registries: Registries, is_settled: IsSettled
    ) -> None:
        self.selected = Selected()
        self._router = router
        self._decoders = decoders
        self._registries = registries
        self._is_settled = is_settled
        self._seen: set[tuple[Partition, int, int]] = set()

    async def take(self, records: Sequence[Record]) -> None:
        """Count the events of these records."""
        for record in records:
            if record.damage is not None or self._is_settled(record.partition, record.offset):
                continue
            decoded = await self._decode(record)
            for event, claim in zip(decoded, claims_of([(record, decoded)]), strict=True):
                key = (record.partition, claim.key_high, claim.key_low)
                if key not in self._seen and isinstance(event, Event):
                    self._seen.add(key)
                    self._count(event)

    async def _decode(self, record: Record) -> Sequence[Event | RedriveMark]:
        try:
            return await decode_or_learn(record, self._decoders, self._registries)
        except RegistryUnavailable:
            self.selected.exact = False
            return ()

    def _count(self, event: Event) -> None:
        for candidate in self._router.route(event).candidates:
            if self._passes(candidate, event):
                self.selected.by_type[event.type] += 1

    def _passes(self, candidate: Candidate[str], event: Event) -> bool:
        """Return True if the event is sent, or parked because the filter cannot be evaluated."""
        try:
            return candidate.passes is None or candidate.passes(event)
        except (DecodeError, FilterError):
            self.selected.faulty += 1
            return True


async def decode_or_learn(
    record: Record, decoders: TopicDecoders, registries: Registries
) -> Sequence[Event | RedriveMark]:
    """Return the events of a record, with schemas that are read as they are needed; none if it is damaged.

    Raises ``RegistryUnavailable``.
    """
    while True:
        try:
            return decoders[record.partition.topic].decode(record)
        except SchemaNeeded as needed:
            await registries.learn(needed)
        except DecodeError:
            return ()  # it is parked, for no endpoint in particular
