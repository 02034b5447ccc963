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
    from bridge.model import Record
    from bridge.settings import RegistrySettings, SourceSettings

_UNREADABLE, _UNKNOWN = "unreadable", "not recognized"


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
    from bridge.cli import inspect_decoding, inspect_records
    from bridge.schemas.folder import read_schema_file

    if (file is None) == (topic is None):
        raise click.UsageError("give either FILE (- for standard input) or --topic")
    known: RegistrySettings | str | None = registry
    source: SourceSettings | None = None
    if file is not None:
        records: Sequence[Record] = [inspect_records.read_file(file, headers, key)]
    else:
        assert topic is not None
        options, source = inspect_records.configured(brokers, path, topic)
        known = registry or getattr(source, "registry", None)
        records = progress.run(inspect_records.read_last(options, topic, count), f"reading {topic}")
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
        guess = inspect_decoding.guess_format(record, schema, str(schema_file), known)
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
    from bridge.cli import inspect_decoding, inspect_report
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
                inspect_decoding.Judged(*pair)
                for pair in zip(records, [()] * len(records), causes, strict=True)
            ]
        elif guess is None:
            report = await inspect_report.report(records[-1], None, ask_registry=ask_registry)
            judged = [
                inspect_decoding.Judged(record, (), explain_undetected(record.value or b""))
                for record in records
            ]
            others = [f"{one.record.place}: not recognized: {one.cause}" for one in judged[:-1]]
            reports.append([*others, *report])
            failed = True
        else:
            report = await inspect_report.report(records[-1], guess, ask_registry=ask_registry)
            judged = await inspect_decoding.judge(records, guess, ask_registry=ask_registry)
            judgement = inspect_report.judgement(judged) if len(records) > 1 else ()
            reports.append([*judgement, *report])  # the source comes last, so that it can be copied
            sources.append(inspect_report.source_of(records[-1], guess))
            failed |= len(records) > 1 and any(one.cause and not one.undecided for one in judged)
        documents += [inspect_report.record_document(one, name) for one in judged]
    counts = {name: len(records) for name, records in groups.items()}
    return _Found(counts, reports, {"records": documents, "sources": sources}, failed)
