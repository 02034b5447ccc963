"""``hookferry inspect``: it detects each format, decodes the record, and prints a source that works."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.cli import cli
from bridge.cli.inspect_decoding import guess_format
from bridge.cli.inspect_report import report
from bridge.formats.detect import detect_format
from bridge.settings.models.sources import SOURCE_MODELS
from tests.support.damaged_records import damaged
from tests.support.fineract_records import GOOD
from tests.support.framed_records import FRAMED
from tests.support.records import record
from tests.support.registry import StubRegistry
from tests.support.sample_records import AVRO, BINARY, ENVELOPE, TRAM, UUID

PLAIN = {
    "meta": {"eventId": "e-1", "tenantId": "acme"},
    "eventType": "Paid",
    "data": {"total": 1},
    "aggregateId": 7,
}
ROUTED = ["-H", f"id={UUID}", "-H", "eventType=OrderCreated"]
STRUCTURED = ["-H", "content-type=application/cloudevents+json"]


def inspect(value: bytes, *options: str) -> Result:
    return CliRunner().invoke(cli, ["inspect", "-", *options], input=value, prog_name="hookferry")


def snippet(result: Result) -> dict[str, Any]:
    """Return the printed source, validated by its settings model."""
    text = result.output.partition("\nsources:\n")[2].partition("\nFILE has")[0]
    (source,) = yaml.safe_load(text).values()
    SOURCE_MODELS[source["format"]].model_validate(source | {"topics": tuple(source["topics"])})
    return source


@pytest.mark.parametrize(
    ("value", "options", "format", "shown"),
    [
        (json.dumps(PLAIN).encode(), [], "json", ["e-1", "Paid", "acme", '{"total":1}']),
        (json.dumps(ENVELOPE).encode(), STRUCTURED, "cloudevents", [ENVELOPE["type"]]),
        (b"{}", [f"-H{name}={raw.decode()}" for name, raw in BINARY], "cloudevents", []),
        (GOOD, [], "fineract", ["LoanApprovedBusinessEvent"]),
        (json.dumps(TRAM).encode(), [], "eventuate", ["shop.orders.OrderCreatedEvent", "customerId"]),
        (b'{"id":1}', ROUTED, "debezium", [UUID, "OrderCreated"]),
        (b'"{\\"id\\":1}"', [*ROUTED, "--key", "17"], "debezium", [UUID, "entity:  17", '{"id":1}']),
        (b'{"payload":{"a":1},"eventType":"Paid"}', ROUTED[:2], "debezium", ["Paid", '{"a":1}']),
        (b'{"payload":{"a":1},"type":"Paid"}', ROUTED[:2], "debezium", ["Paid", '{"a":1}']),
        (b'{"orderId":4}', ["-H", "__TypeId__=com.acme.Done"], "modulith", ["com.acme.Done"]),
        (FRAMED[0], [], "confluent", ["id 1; give --registry"]),
        (b"\1" + bytes(16) + b"x", [], "confluent", ["guid 00000000"]),
        (b"\0" + bytes(7) + b"\7x", [], "apicurio", ["global id 7"]),
        (b"x", ["-H", "apicurio.value.contentId=12345678"], "apicurio", ["content id"]),
    ],
)  # fmt: skip
def test_every_format_is_detected_and_decoded(
    value: bytes, options: list[str], format: str, shown: list[str]
) -> None:
    result = inspect(value, *options)
    assert result.exit_code == 0, result.output
    assert f"format:  {format}, because " in result.output
    for text in shown:
        assert text in result.output
    assert snippet(result)["format"] == format


def test_the_schema_is_fetched_from_the_registry_and_the_field_paths_are_found() -> None:
    with StubRegistry() as stub:
        stub.register("paid", json.dumps(AVRO))
        result = inspect(FRAMED[0], "--registry", stub.url)
    assert f"id:      {UUID}" in result.output
    assert '"fee":"2.0000"' in result.output
    source = snippet(result)
    assert (source["id"], source["registry"]) == ("id", {"url": stub.url})
    assert "no id of the producer's" not in result.output


def test_bare_avro_is_read_by_a_schema_file(tmp_path: Path) -> None:
    file = tmp_path / "paid.avsc"
    file.write_text(json.dumps(AVRO))
    result = inspect(FRAMED[0][5:], "--schema-file", str(file))
    assert "shop.Paid" in result.output
    assert snippet(result)["schema_file"] == str(file)
    result = inspect(FRAMED[0][5:-1], "--schema-file", str(file))
    assert "not bare Avro with the schema of" in str(result.exception)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "a tombstone"),
        (b"\xff\xfe\x01", "begins with fffe01"),
        (b"\xc3\x01" + bytes(20), "single-object encoding (c301)"),
        (b'{"before":null,"after":{"id":1},"op":"c","source":{}}', "a change event of Debezium"),
        (b'{"schema":{"type":"struct"},"payload":{"before":null,"after":{},"op":"c"}}', "a change event of"),
        (b"[1]", "not an object that contains an id and a type"),
        (b'{"a":1}', "not an object that contains an id and a type"),
    ],
)
def test_an_unknown_format_is_reported_with_the_reason(value: bytes, why: str) -> None:
    result = inspect(value)
    assert result.exit_code == 1
    assert "not recognized" in result.output
    assert why in result.output


def test_a_mistake_on_the_command_line_is_answered_with_its_remedy(tmp_path: Path) -> None:
    runner = CliRunner()
    assert "give either FILE" in runner.invoke(cli, ["inspect"]).output
    assert "give either FILE" in runner.invoke(cli, ["inspect", "x", "--topic", "t"]).output
    assert "is not NAME=VALUE" in inspect(b"{}", "-H", "oops").output
    missing = runner.invoke(cli, ["inspect", str(tmp_path / "none")])
    assert "cannot be read" in str(missing.exception)


def test_a_record_of_an_outbox_topic_is_debezium_only_with_a_further_sign() -> None:
    plain = record(b'{"id":"1","type":"T"}')
    routed = plain._replace(partition=plain.partition._replace(topic="outbox.event.order"))
    for one, format in ((plain, "json"), (routed, "json"), (routed._replace(value=b'"{}"'), "debezium")):
        guess = detect_format(one)
        assert guess is not None
        assert guess.format == format


HEADERS = [
    ("id", UUID.encode()), ("eventType", b"Paid"), ("__TypeId__", b"\xff"), ("ce_specversion", b"1.0"),
    ("content-type", b"application/cloudevents"), ("apicurio.value.contentId", b"1"),
    ("__value_schema_id", b"\1"),
]  # fmt: skip
JSONS: tuple[Any, ...] = (PLAIN, ENVELOPE, TRAM, json.dumps(PLAIN))
CORPUS = [*FRAMED, GOOD, *(json.dumps(one).encode() for one in JSONS)]


@settings(deadline=None, max_examples=400)
@given(damaged(*CORPUS), st.lists(st.sampled_from(HEADERS), max_size=2), st.none() | st.binary(max_size=9))
def test_any_bytes_give_a_report_and_every_printed_source_is_valid(
    value: bytes, headers: list[tuple[str, bytes]], key: bytes | None
) -> None:
    one = record(value, headers=tuple(headers), key=key)
    guess = guess_format(one, None, "", None)
    text = "\n".join(asyncio.run(report(one, guess, ask_registry=False)))
    assert text.startswith("topic-3@17: ")
    if guess is not None:
        (source,) = yaml.safe_load(text.partition("\nsources:\n")[2]).values()
        SOURCE_MODELS[source["format"]].model_validate(source | {"topics": tuple(source["topics"])})
