"""``hookferry inspect``: detect the format of records, show one decoded, print a source to start with."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli import progress
from bridge.cli.output import Output, output_option, show
from bridge.cli.run import config_option

if TYPE_CHECKING:
    from bridge.formats.avro.schema import AvroSchema
    from bridge.formats.detect import Guess
    from bridge.kafka.client import KafkaOptions
    from bridge.kafka.side_reader import SideReader
    from bridge.model import Partition, Record
    from bridge.settings import RegistrySettings, SourceSettings

_MAX_BYTES = 104_857_600
_FARTHEST = 10_000
"""How many offsets of a partition are searched for its last records."""
_UNREADABLE, _UNKNOWN = "unreadable", "not recognized"
_STALLED_S = 5.0
"""How long to wait for the next records of a partition that its broker may not be able to read."""


@click.command(short_help="Detect the format of records, and show one decoded.")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--topic", "-t", metavar="NAME", help="Read the last records of this topic instead of FILE.")
@click.option(
    "--count",
    "-n",
    metavar="N",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="Number of records to read from each partition.",
)
@click.option(
    "--brokers",
    metavar="HOST:PORT,…",
    help="Read from these brokers, without encryption or login, and without a configuration.",
)
@click.option(
    "--header",
    "-H",
    "headers",
    multiple=True,
    metavar="NAME=VALUE",
    help="A header of the record in FILE; repeatable.",
)
@click.option("--key", metavar="TEXT", help="The key of the record in FILE.")
@click.option(
    "--registry",
    metavar="URL",
    help="Schema registry to decode with; default: the one configured for the topic.",
)
@click.option(
    "--schema-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Decode the records as bare Avro with this .avsc file.",
)
@output_option
@config_option
def inspect(
    file: Path | None,
    topic: str | None,
    count: int,
    brokers: str | None,
    headers: tuple[str, ...],
    key: str | None,
    registry: str | None,
    schema_file: Path | None,
    path: Path,
    output: Output,
) -> None:
    """Detect the format of records, show one decoded, and print a source to start with.

    FILE contains the value of one record as it is in Kafka; - is standard input. With --topic, reads from
    the brokers of the configuration, or from --brokers, and commits nothing. All records that were read are
    decoded with the printed source. Exits with 1 if a record has no known format, or is not decoded.
    """
    from bridge.cli import inspect_report
    from bridge.schemas.folder import read_schema_file

    if (file is None) == (topic is None):
        raise click.UsageError("give either FILE (- for standard input) or --topic")
    known: RegistrySettings | str | None = registry
    source: SourceSettings | None = None
    if file is not None:
        records: Sequence[Record] = [_from_file(file, headers, key)]
    else:
        assert topic is not None
        options, source = _configured(brokers, path, topic)
        known = registry or getattr(source, "registry", None)
        records = progress.run(_read_last(options, topic, count), f"reading {topic}")
    folder = getattr(source, "schemas", None)
    schema: AvroSchema | None = read_schema_file(schema_file) if schema_file else None
    groups: dict[str, list[Record]] = {}
    guesses: dict[str, Guess | None] = {}
    notes = []
    for record in records:
        if record.damage is not None:
            groups.setdefault(_UNREADABLE, []).append(record)
            notes.append(f"{record.place}: cannot be read: {record.damage.cause}; {record.damage.remedy}\n")
            continue
        guess = inspect_report.guess_format(record, schema, str(schema_file), known)
        if guess is not None and guess.format == "fineract" and folder is not None:
            guess.settings["schemas"] = str(folder)
        name = guess.format if guess else _UNKNOWN
        groups.setdefault(name, []).append(record)
        guesses[name] = guess  # the newest of each format
    found = progress.run(_judge_all(groups, guesses, ask_registry=known is not None), "decoding")
    show(output, found.document, lambda: [*notes, *found.lines(len(records))])
    if output is Output.TABLE and file is not None and not headers and groups.keys() & {_UNKNOWN, "json"}:
        click.echo(
            "FILE has no record headers. Debezium, modulith and binary cloudevents are detected by their"
            " headers: add them with -H."
        )
    if found.failed or groups.keys() == {_UNREADABLE}:
        sys.exit(ExitCode.FAILURE)


class _Found(NamedTuple):
    """What was found in all records: how many of each format, a report of each format, and a document."""

    counts: dict[str, int]
    reports: list[list[str]]
    document: dict[str, Any]
    failed: bool

    def lines(self, records: int) -> Iterator[str]:
        """Yield the lines for people."""
        if records > 1:
            counts = ", ".join(f"{number} {name}" for name, number in self.counts.items())
            yield f"{records} records: {counts}\n"
        for report in self.reports:
            yield "\n".join(report) + "\n"
        if len(self.counts.keys() - {_UNREADABLE, _UNKNOWN}) > 1:
            yield "The topic has several formats. A source reads one of them: the others would be parked.\n"


async def _judge_all(
    groups: Mapping[str, Sequence[Record]], guesses: Mapping[str, Guess | None], *, ask_registry: bool
) -> _Found:
    """Report on the newest record of each format, and judge all of them by the source that is printed."""
    from bridge.cli import inspect_report
    from bridge.formats.detect import explain_undetected

    reports, documents, sources, failed = (
        list[list[str]](),
        list[dict[str, Any]](),
        list[dict[str, Any]](),
        False,
    )
    for name, records in groups.items():
        guess = guesses.get(name)
        if name == _UNREADABLE:
            causes = [record.damage.cause if record.damage else "" for record in records]
            judged = [
                inspect_report.Judged(*pair)
                for pair in zip(records, [()] * len(records), causes, strict=True)
            ]
        elif guess is None:
            report = await inspect_report.report(records[-1], None, ask_registry=ask_registry)
            judged = [
                inspect_report.Judged(record, (), explain_undetected(record.value or b""))
                for record in records
            ]
            others = [f"{one.record.place}: not recognized: {one.cause}" for one in judged[:-1]]
            reports.append([*others, *report])
            failed = True
        else:
            report = await inspect_report.report(records[-1], guess, ask_registry=ask_registry)
            judged = await inspect_report.judge(records, guess, ask_registry=ask_registry)
            judgement = inspect_report.judgement(judged) if len(records) > 1 else ()
            reports.append([*judgement, *report])  # the source comes last, so that it can be copied
            sources.append(inspect_report.source_of(records[-1], guess))
            failed |= len(records) > 1 and any(one.cause and not one.undecided for one in judged)
        documents += [one.as_json(name) for one in judged]
    counts = {name: len(records) for name, records in groups.items()}
    return _Found(counts, reports, {"records": documents, "sources": sources}, failed)


def _from_file(file: Path, headers: Sequence[str], key: str | None) -> Record:
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


def _configured(brokers: str | None, path: Path, topic: str) -> tuple[KafkaOptions, SourceSettings | None]:
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


async def _read_last(options: KafkaOptions, topic: str, count: int) -> list[Record]:
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
