"""CPU time of decoding, compared with only fastavro and json: ``python -m tests.bench.decode``.

Uses Fineract's own records if its files are present (``HOOKFERRY_SHARED``), else those of the demo; and the
largest payload of each release with every field set or null. Prints a table without limits.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import orjson
from fastavro import schemaless_reader

from bridge.demo.fineract_wire import SCHEMAS, encode_envelope, encode_key, encode_single_object
from bridge.formats.avro.schema_set import Schema, SchemaSet
from bridge.formats.avro.single_object import HEADER_BYTES, read
from bridge.formats.fineract import Envelope, FineractDecoder, read_envelope
from bridge.formats.fineract.bulk import BULK_HEADERS
from bridge.model import Record
from bridge.rendering import to_json
from bridge.schemas.folder import read_folder
from tests.support.avro_values import filled
from tests.support.records import record

ROUNDS, REPEATS = 5, 500
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


def cpu_us(work: Callable[[], object]) -> float:
    """Return the lowest CPU time of several rounds, in microseconds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(REPEATS):
            work()
        best = min(best, time.process_time() - began)
    return best / REPEATS * 1e6


def measure(case: Case, decoder: FineractDecoder) -> list[str]:
    """Return a row of the table."""
    data = read_envelope(case.record.value or b"").data

    def whole() -> None:
        for event in decoder.decode(case.record):
            event.payload()

    payloads = [event.payload() for event in decoder.decode(case.record)]
    body = to_json(payloads)
    row = [len(case.record.value or b""), cpu_us(lambda: decoder.decode(case.record)), cpu_us(whole)]
    if case.schema is not None:
        schema = case.schema
        assert read(data, schema, "") == schemaless_reader(BytesIO(data[HEADER_BYTES:]), schema.parsed, None)
        row.append(cpu_us(lambda: schemaless_reader(BytesIO(data[HEADER_BYTES:]), schema.parsed, None)))
    else:
        row.append(float("nan"))
    row += [
        cpu_us(lambda: to_json(payloads)),
        cpu_us(lambda: json.loads(body)),
        cpu_us(lambda: orjson.loads(body)),
    ]
    return [case.label, *(f"{number:,.1f}" if isinstance(number, float) else str(number) for number in row)]


def main() -> None:
    """Measure and print the table."""
    shared = (
        Path(os.environ.get("HOOKFERRY_SHARED", Path(__file__).parents[2].parent / "shared")) / "fineract"
    )
    there = (shared / "sample-records.json").is_file()
    samples = json.loads((shared / "sample-records.json").read_text()) if there else []
    schemas = read_folder(shared / "schemas" if there else SCHEMAS)
    decoder = FineractDecoder("bank", schemas, max_value_bytes=LIMIT)
    heads = (
        "µs CPU per record",
        "bytes",
        "envelope",
        "+ payload",
        "fastavro payload",
        "to JSON",
        "json.loads",
        "orjson.loads",
    )
    rows = [heads, *(measure(case, decoder) for case in cases(schemas, samples))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        first, *others = row
        print(
            first.ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)),
            sep="  ",
        )


if __name__ == "__main__":
    main()
