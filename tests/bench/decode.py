"""CPU time of decoding, compared with only fastavro and json: ``python -m tests.bench.decode``.

Uses Fineract's own records if its files are present (``HOOKFERRY_SHARED``), else those of the demo; and the
largest payload of each release with every field set or null: all of it, and the ten fields of ``ASKED``.
Prints a table without limits. ``--widest`` prints the widest of these payloads as JSON, for ``make bench``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from fastavro import schemaless_reader

from bridge.demo.fineract_wire import SCHEMAS, encode_envelope, encode_key, encode_single_object
from bridge.formats.avro.schema_set import Schema, SchemaSet
from bridge.formats.avro.single_object import HEADER_BYTES
from bridge.formats.fineract import Envelope, FineractDecoder, read_envelope
from bridge.formats.fineract.bulk import BULK_HEADERS
from bridge.model import FieldSet, Record
from bridge.rendering import to_json
from bridge.schemas.folder import read_folder
from tests.support.avro_values import filled
from tests.support.records import record

REPEATS = 100
ASKED: FieldSet = frozenset(
    {
        ("id",), ("accountNo",), ("clientId",), ("clientName",), ("principal",), ("status", "code"),
        ("currency", "code"), ("summary", "totalOutstanding"), ("timeline", "expectedMaturityDate"),
        ("externalId",),
    }
)  # fmt: skip
"""What a filter and a template for people read of a loan."""
LOAN = "org.apache.fineract.avro.loan.v1.LoanAccountDataV1"
LIMIT = 1 << 20


class Case(NamedTuple):
    """A record, and the schema of its payload; None for a bulk record."""

    label: str
    record: Record
    schema: Schema | None


def cases(schemas: SchemaSet, samples: list[dict[str, str]]) -> Iterator[Case]:
    """Return the measured records."""
    for sample in samples:
        sample_record = record(bytes.fromhex(sample["value_hex"]), key=bytes.fromhex(sample["key_hex"]))
        data = read_envelope(sample_record.value or b"").data
        bulk = data[:HEADER_BYTES] in BULK_HEADERS
        yield Case(
            sample["label"], sample_record, None if bulk else schemas.by_fingerprint[data[2:HEADER_BYTES]]
        )
    for schema in schemas.named(LOAN) or schemas.by_fingerprint.values():
        for full in (False, True):
            data = encode_single_object(
                schema.parsed, schema.fingerprint, filled(schema.parsed, schema.named, full)
            )
            envelope = Envelope(
                7, "server-1", "LoanApprovedBusinessEvent", "Loan", "2026-06-29T08:15:30.123456",
                "2026-06-29",
                "default", "abda146d-68b5-48ca-b527-16d2b7c5daef", schema.name, data,
            )  # fmt: skip
            kind, count = schema.name.rpartition(".")[2], len(schema.parsed["fields"])
            label = f"{kind}, {count} fields {'set' if full else 'null'}"
            yield Case(label, record(encode_envelope(envelope), key=encode_key(42)), schema)


def cpu_us(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Return the lowest CPU time of each, in microseconds, of several rounds in turns."""
    best = [float("inf")] * len(works)
    for _ in range(rounds):
        for place, work in enumerate(works):
            began = time.process_time()
            for _ in range(REPEATS):
                work()
            best[place] = min(best[place], time.process_time() - began)
    return [one / REPEATS * 1e6 for one in best]


def measure(
    case: Case, decoder: FineractDecoder, partial: FineractDecoder, rounds: int
) -> tuple[int, list[float]]:
    """Return how many values the payload has, and the CPU of each step in microseconds."""
    data = read_envelope(case.record.value or b"").data

    def whole() -> None:
        for event in decoder.decode(case.record):
            event.payload()

    def ten_fields() -> None:
        for event in partial.decode(case.record):
            event.data(ASKED)

    def fastavro() -> None:
        if case.schema is not None:
            schemaless_reader(BytesIO(data[HEADER_BYTES:]), case.schema.parsed, None)

    payloads = [event.payload() for event in decoder.decode(case.record)]
    body = to_json(payloads)
    if case.schema is not None:
        assert payloads == [schemaless_reader(BytesIO(data[HEADER_BYTES:]), case.schema.parsed, None)]
    times = cpu_us(
        rounds,
        lambda: decoder.decode(case.record), whole, ten_fields, fastavro,
        lambda: to_json(payloads), lambda: json.loads(body), lambda: orjson.loads(body),
    )  # fmt: skip
    if case.schema is None:
        times[3] = float("nan")
    return sum(map(_values, payloads)), times


def row(case: Case, values: int, times: list[float]) -> list[str]:
    """Return a row of the table."""
    return [case.label, str(len(case.record.value or b"")), str(values), *(f"{one:,.1f}" for one in times)]


def widest(measured: list[tuple[Case, int, list[float]]]) -> dict[str, Any]:
    """Return the case with the most values, and the CPU of all of it, of ten fields, and of fastavro."""
    case, values, times = max(measured, key=lambda one: one[1])
    return {
        "label": case.label, "values": values,
        "whole_us": times[1], "ten_fields_us": times[2], "fastavro_us": times[3],
    }  # fmt: skip


def _values(document: object) -> int:
    """Return the number of values, without the lists and objects that contain them."""
    if isinstance(document, dict | list):
        return sum(map(_values, document.values() if isinstance(document, dict) else document))
    return 1


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--widest", action="store_true")
    options = parser.parse_args()
    shared = (
        Path(os.environ.get("HOOKFERRY_SHARED", Path(__file__).parents[2].parent / "shared")) / "fineract"
    )
    there = (shared / "sample-records.json").is_file()
    samples = json.loads((shared / "sample-records.json").read_text()) if there else []
    schemas = read_folder(shared / "schemas" if there else SCHEMAS)
    decoder = FineractDecoder("bank", schemas, max_value_bytes=LIMIT)
    partial = FineractDecoder("bank", schemas, max_value_bytes=LIMIT, asked=lambda type_: ASKED)
    heads = (
        "µs CPU per record",
        "bytes",
        "values",
        "envelope",
        "+ payload",
        "+ ten fields",
        "fastavro payload",
        "to JSON",
        "json.loads",
        "orjson.loads",
    )
    measured = [
        (case, *measure(case, decoder, partial, options.rounds))
        for case in cases(schemas, [] if options.widest else samples)
    ]
    if options.widest:
        print(json.dumps(widest(measured)))
        return
    rows = [heads, *(row(*one) for one in measured)]
    widths = [max(len(one[column]) for one in rows) for column in range(len(heads))]
    for first, *others in rows:
        print(
            first.ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)),
            sep="  ",
        )


if __name__ == "__main__":
    main()
