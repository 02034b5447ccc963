"""Read the records that ``hookferry inspect`` looks at: one from a file, or the last ones of a topic.

Invariant: nothing is committed, and a partition that cannot be read leaves out only its own records.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli import progress

if TYPE_CHECKING:
    from bridge.kafka.client import KafkaOptions
    from bridge.kafka.side_reader import SideReader
    from bridge.model import Partition, Record
    from bridge.settings import SourceSettings

_MAX_BYTES = 104_857_600
_FARTHEST = 10_000
"""How many offsets of a partition are searched for its last records."""
_STALLED_S = 5.0
"""How long to wait for the next records of a partition that its broker may not be able to read."""


def read_file(file: Path, headers: Sequence[str], key: str | None) -> Record:
    """Return a record with the content of a file as its value. Raises ``HookferryError``."""
    from bridge.errors import HookferryError
    from bridge.model import Partition, Record

    pairs = []
    for text in headers:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--header")
        pairs.append((name, value.encode()))
    try:
        with click.open_file(str(file), "rb") as stream:
            raw: bytes = stream.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise HookferryError(
            f"{file}: cannot be read: {exc.strerror}; give a file that contains the value of one record"
        ) from exc
    if len(raw) > _MAX_BYTES:
        raise HookferryError(
            f"{file}: is larger than {_MAX_BYTES} bytes; give a file that contains the value of one record"
        )
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in file.stem.lower()).strip("-.") or "events"
    return Record(Partition(name, 0), 0, 0, key.encode() if key else None, raw, tuple(pairs))


def configured(brokers: str | None, path: Path, topic: str) -> tuple[KafkaOptions, SourceSettings | None]:
    """Return how to reach the brokers, and the source that reads the topic, if any."""
    from bridge.cli.terminal import read_settings
    from bridge.kafka.client import KafkaOptions
    from bridge.settings import uses
    from bridge.wiring.kafka import build_kafka_options
    from bridge.wiring.topics import build_selection

    if brokers:
        return KafkaOptions(tuple(part.strip() for part in brokers.split(",") if part.strip())), None
    name = build_selection(read_settings(path)).source_of(topic)
    settings = read_settings(path, uses.reading(name))
    return build_kafka_options(settings.kafka), None if name is None else settings.sources[name]


async def read_last(options: KafkaOptions, topic: str, count: int) -> list[Record]:
    """Read the last records of every partition, oldest first; report a partition that cannot be read.

    Raises ``KafkaUnavailable``, also if no partition can be read.
    """
    from bridge.errors import HookferryError, KafkaUnavailable, RecordsDeleted
    from bridge.kafka.session import AdminSession
    from bridge.kafka.side_reader import SideReader
    from bridge.settings.problem import nearest

    async with AdminSession(options) as visit:
        ends = await visit.log_ends([topic])
        if not ends:
            guess = nearest(topic, await visit.topics())
            hint = f'did you mean "{guess}"?' if guess else "check the name and the ACLs"
            raise HookferryError(f"topic {topic!r} does not exist, or this login may not read it; {hint}")
    last: list[Record] = []
    failures: list[HookferryError] = []
    async with SideReader(options) as reader:
        begins = await reader.begins(list(ends))
        for partition, end in ends.items():
            try:
                last += await _last_of(reader, partition, begins[partition], end, count)
            except (KafkaUnavailable, RecordsDeleted) as exc:
                failures.append(exc)
                progress.clear()
                click.echo(f"{partition}: is left out: {exc}\n", err=True)
    if failures and not last:
        raise failures[0]
    if not last:
        raise HookferryError(
            f"topic {topic!r} has no records yet, or none in the last {_FARTHEST} offsets; publish an event"
            " and try again"
        )
    return sorted(last, key=lambda record: record.timestamp_ms)


async def _last_of(
    reader: SideReader, partition: Partition, begin: int, end: int, count: int
) -> list[Record]:
    """Return the last records of one partition; look back over offsets that hold none of use.

    These are tombstones, and the markers and aborted records of transactions.
    """
    from bridge.formats.detect import detect_format

    last: list[Record] = []
    start, farthest = end, max(begin, end - max(count, _FARTHEST))
    width = count
    while len(last) < count and start > farthest:
        stop, start = start, max(farthest, start - width)
        earlier = [
            record
            async for records in reader.stretch(partition, start, stop, _STALLED_S)
            for record in records
            if record.damage is not None or record.value is not None or detect_format(record)
        ]
        last = (earlier + last)[-count:]
        width *= 4
    return last
