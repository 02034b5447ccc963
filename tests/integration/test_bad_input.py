"""An undecodable record never stops its partition and is never lost, whatever its bytes are."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import orjson

from bridge.demo.fineract_wire import SCHEMAS, encode_envelope, encode_key, encode_single_object
from bridge.formats.fineract import Envelope
from bridge.schemas.folder import read_folder
from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import GroupRow, RealKafka
from tests.support.raw_records import Parked, Raw, publish, read_parked
from tests.support.receiver import Receiver
from tests.support.watch import log_counts, quick_config, wait_settled

Bridges = Callable[..., BridgeProcess]
LOAN = "org.hookferry.demo.v1.LoanEventDataV1"


class Bad(NamedTuple):
    """A record that cannot become a request: parts of its cause and remedy, and which endpoint parks it."""

    value: bytes
    cause: str
    remedy: str
    endpoint: str | None = None


def order(number: int, **changes: object) -> dict[str, object]:
    event = {"id": f"o-{number}", "type": "OrderPlaced", "entity": f"e{number}", "payload": {"seq": number}}
    return {name: value for name, value in (event | changes).items() if value is not None}


BAD_JSON = {
    "not JSON": Bad(b"\x00\x01 not json", "the value is not JSON", "check sources.orders.format"),
    "nothing": Bad(b"", "the value is not JSON", "check sources.orders.format"),
    "cut off": Bad(orjson.dumps(order(9))[:-3], "the value is not JSON", "check sources.orders.format"),
    "encoded twice": Bad(
        orjson.dumps(orjson.dumps(order(9)).decode()), "encoded twice", "expand.json.payload=true"
    ),
    "no id": Bad(orjson.dumps(order(9, id=None)), "has no id at 'id'", "correct sources.orders.id"),
    "no type": Bad(orjson.dumps(order(9, type=None)), "has no type at 'type'", "correct sources.orders.type"),
    "5 MB": Bad(
        orjson.dumps(order(9, payload="x" * 5_000_000)),
        "the limit is 1048576",
        "raise sources.orders.max_value_bytes",
    ),
}


def loan(number: int, **changes: object) -> bytes:
    """Return a valid record in Fineract's format, or one with a changed envelope."""
    (schema,) = read_folder(SCHEMAS).named(LOAN)
    value = {"id": number, "accountNo": f"{number:09}", "clientName": "Naïve",
             "principal": Decimal("1.5"), "currencyCode": "KES", "status": "APPROVED"}  # fmt: skip
    data = encode_single_object(schema.parsed, schema.fingerprint, value)
    whole = Envelope(
        number, "server-1", "LoanApprovedBusinessEvent", "Loan", "2026-06-29T08:15:30.123456",
        "2026-06-29", "default", f"key-{number}", LOAN, data,
    )  # fmt: skip
    return encode_envelope(whole._replace(**{k: v(data) if callable(v) else v for k, v in changes.items()}))


_DAMAGED = "the record is damaged"
BAD_FINERACT = {
    "JSON": Bad(b'{"id": 1}', "looks like JSON", _DAMAGED),
    "a registry's format": Bad(b"\x00\x00\x00\x00\x07abc", "as with a schema registry", _DAMAGED),
    "another envelope": Bad(b"\xc3\x01" + b"\x55" * 8 + loan(9)[10:], "5555555555555555", _DAMAGED),
    "cut off": Bad(loan(9)[:-5], "the bytes end inside it", _DAMAGED),
    "left over": Bad(loan(9) + b"\x00\x00", "2 bytes are left over after it", _DAMAGED),
    "no id": Bad(loan(9, idempotency_key=""), "idempotencyKey is empty", _DAMAGED),
    "no type": Bad(loan(9, type=""), "type is empty", _DAMAGED),
    "payload: no header": Bad(loan(9, data=b"xx"), "no Avro single-object header", _DAMAGED, "shop"),
    "payload: unknown fingerprint": Bad(
        loan(9, idempotency_key="f1", data=lambda data: b"\xc3\x01" + b"\x66" * 8 + data[10:]),
        "no schema with fingerprint 6666666666666666",
        "import it from the jar of the server that wrote this (`hookferry schemas import",
        "shop",
    ),
    "payload: cut off": Bad(
        loan(9, idempotency_key="f2", data=lambda data: data[:-2]),
        "the bytes end inside a value",
        _DAMAGED,
        "shop",
    ),
    "payload: left over": Bad(
        loan(9, idempotency_key="f3", data=lambda data: data + b"\0"),
        "1 bytes are left over after the value",
        _DAMAGED,
        "shop",
    ),
}


def interleaved(bad: dict[str, Bad], good: Callable[[int], bytes], key: Callable[[int], bytes]) -> list[Raw]:
    """Return one partition: good, bad, good, …, then a tombstone and a good record."""
    records = [Raw(good(100), key(100))]
    for number, (name, record) in enumerate(bad.items()):
        headers = (("trace", name.encode()), ("trace", b"\xff\x00"), ("hookferry-cause", b"forged"))
        records += [Raw(record.value, key(number), headers), Raw(good(101 + number), key(number))]
    return [*records, Raw(None, key(0)), Raw(good(200), key(0))]


def check(parked: list[Parked], bad: dict[str, Bad], topic: str, key: Callable[[int], bytes]) -> None:
    """Assert that each bad record is parked unchanged, with its place, cause and remedy."""
    assert len(parked) == len(bad)
    for number, ((name, record), letter) in enumerate(zip(bad.items(), parked, strict=True)):
        assert letter.value == record.value, name
        assert letter.key == key(number), name
        assert letter.headers == (("trace", name.encode()), ("trace", b"\xff\x00")), name
        assert record.cause in letter.facts["cause"], name
        assert record.remedy in letter.facts["remedy"], name
        assert letter.facts.get("endpoint") == record.endpoint, name
        place = (letter.facts["topic"], letter.facts["partition"], letter.facts["offset"])
        assert place == (topic, "0", str(1 + 2 * number)), name


def test_records_that_are_not_json_events_are_parked_and_stop_no_endpoint(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("bad-json", partitions=1, max_message_bytes=8_000_000)
    publish(
        kafka,
        topic,
        interleaved(BAD_JSON, lambda n: orjson.dumps(order(n)), lambda n: b"k%d" % n),
    )
    endpoints = {"shop": {"url": receiver.url("/shop")}, "other": {"url": receiver.url("/other")}}
    bridge = bridges(quick_config(kafka, topic, endpoints, "bad-json")).start()
    for path in ("/shop", "/other"):
        receiver.wait_for(path, accepted=len(BAD_JSON) + 2)
    wait_settled(kafka, "bad-json.shop", topic)
    wait_settled(kafka, "bad-json.other", topic)

    check(read_parked(kafka, "bad-json", len(BAD_JSON)), BAD_JSON, topic, lambda n: b"k%d" % n)
    got = {orjson.loads(request["body"])["data"]["seq"] for request in receiver.records("/shop")}
    assert got == {100, 200, *range(101, 101 + len(BAD_JSON))}
    assert bridge.metric("hookferry_records_total", outcome="rejected") == len(BAD_JSON)
    assert bridge.metric("hookferry_records_total", outcome="tombstone") == 1
    assert log_counts(bridge)["record.rejected"] == len(BAD_JSON)
    end = 2 * len(BAD_JSON) + 3
    assert kafka.describe_group("bad-json.shop")[topic, 0] == GroupRow(end, end, 0)


def test_records_that_fineract_did_not_write_are_parked_and_stop_no_endpoint(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Covers damage in the envelope, and in the payload, which is decoded only for rendering."""
    topic = kafka.fresh_topic("bad-fineract", partitions=1)
    publish(kafka, topic, interleaved(BAD_FINERACT, loan, encode_key))
    config = quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, "bad-fineract")
    config["sources"] = {"bank": {"topics": [topic], "format": "fineract", "schemas": str(SCHEMAS)}}
    bridge = bridges(config).start()
    receiver.wait_for("/shop", accepted=len(BAD_FINERACT) + 2)
    wait_settled(kafka, "bad-fineract.shop", topic)

    check(read_parked(kafka, "bad-fineract", len(BAD_FINERACT)), BAD_FINERACT, topic, encode_key)
    got = {orjson.loads(request["body"])["data"]["id"] for request in receiver.records("/shop")}
    assert got == {100, 200, *range(101, 101 + len(BAD_FINERACT))}
    in_payload = sum(record.endpoint is not None for record in BAD_FINERACT.values())
    assert bridge.metric("hookferry_parked_total", endpoint="shop") == in_payload
    assert bridge.metric("hookferry_records_total", outcome="rejected") == len(BAD_FINERACT) - in_payload
