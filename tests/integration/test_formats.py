"""Records of every format and compression codec are delivered as the same request."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from bridge.demo.fineract_wire import SCHEMAS, encode_envelope, encode_key, encode_single_object
from bridge.formats.fineract import Envelope
from bridge.schemas.folder import read_folder
from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.raw_records import Raw, publish
from tests.support.receiver import Receiver
from tests.support.records import shared_fineract, shared_json
from tests.support.watch import quick_config, wait_settled

Bridges = Callable[..., BridgeProcess]
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
LOAN = "org.hookferry.demo.v1.LoanEventDataV1"
UUID = "abda146d-68b5-48ca-b527-16d2b7c5daef"
UUID_2 = "11111111-2222-4333-8444-555555555555"


def bodies(receiver: Receiver, path: str = "/shop") -> dict[str, dict[str, Any]]:
    """Return the received bodies by event type."""
    by_type = {}
    for one in receiver.records(path):
        body = orjson.loads(one["body"])
        headers = one["headers"]
        assert headers["content-type"] == "application/json"
        # the time of sending, not of the event; a loaded machine may need seconds in between
        assert abs(int(headers["webhook-timestamp"]) - one["arrived_ns"] / 1e9) < 60
        assert body["type"] not in by_type
        by_type[body["type"]] = body | {"webhook-id": headers["webhook-id"]}
    return by_type


def test_every_codec_of_kafka_is_read(kafka: RealKafka, receiver: Receiver, bridges: Bridges) -> None:
    topic = kafka.fresh_topic("codecs", partitions=1)
    for number, codec in enumerate(CODECS):
        records = [
            {
                "id": f"{codec}-{seq}",
                "type": "T",
                "entity": "e",
                "payload": {"entity": "e", "seq": seq, "p": "x" * 900},
            }
            for seq in range(number * 50, number * 50 + 50)
        ]
        publish(kafka, topic, [Raw(orjson.dumps(record), b"e") for record in records], codec)
    bridges(quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, "codecs")).start()
    receiver.wait_for("/shop", accepted=50 * len(CODECS))
    report = receiver.report("/shop")
    assert (report["inversions"], report["repeats"]) == (0, 0)
    wait_settled(kafka, "codecs.shop", topic)


def test_each_format_becomes_the_standard_body(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Covers plain JSON by paths, CloudEvents in both modes, and Fineract: one bridge, three sources."""
    outbox, events, bank = (kafka.fresh_topic(name, partitions=1) for name in ("outbox", "ce", "bank"))
    publish(
        kafka,
        outbox,
        [
            Raw(b"""{"meta": {"key": 17, "kind": "OrderPaid", "org": "acme"}, "order":
        {"id": 9007199254740993}, "at": 1782720930123, "after": [{"total": "10.00"}]}""")
        ],
    )
    publish(
        kafka,
        outbox,
        [Raw(b'{"meta": {"key": "' + UUID_2.encode() + b'", "kind": "OrderBare"}, "after": [null]}')],
    )
    structured = {
        "specversion": "1.0",
        "id": "A1",
        "source": "/shop",
        "type": "com.shop.paid",
        "subject": "o-7",
        "time": "2026-06-29T08:15:30Z",
        "data": {"total": 10},
    }
    binary = {
        "ce_specversion": "1.0",
        "ce_id": "A1",
        "ce_source": "/crm",
        "ce_type": "com.crm.seen",
        "ce_subject": "c-1",
        "content-type": "application/json",
    }
    publish(
        kafka,
        events,
        [
            Raw(
                orjson.dumps(structured),
                headers=(("content-type", b"application/cloudevents+json; charset=UTF-8"),),
            ),
            Raw(b'{"seen": true}', headers=tuple((name, value.encode()) for name, value in binary.items())),
        ],
    )
    (schema,) = read_folder(SCHEMAS).named(LOAN)
    loan = {
        "id": 42,
        "accountNo": "000000042",
        "clientName": "Naïve ☕",
        "principal": Decimal("150000.12345678"),
        "currencyCode": "KES",
        "status": "APPROVED",
    }
    envelope = Envelope(
        7,
        "server-1",
        "LoanApprovedBusinessEvent",
        "Loan",
        "2026-06-29T08:15:30.123456",
        "2026-06-28",
        "bank-a",
        UUID.upper(),
        LOAN,
        encode_single_object(schema.parsed, schema.fingerprint, loan),
    )
    publish(
        kafka,
        bank,
        [
            Raw(encode_envelope(envelope), encode_key(42)),
            Raw(
                encode_envelope(envelope._replace(type="Unordered", idempotency_key="k2"), long_id=False),
                encode_key(-1),
            ),
        ],
    )

    config = quick_config(kafka, outbox, {"shop": {"url": receiver.url("/shop")}}, "formats")
    config["sources"] = {
        "orders": {
            "topics": [outbox],
            "format": "json",
            "id": "meta.key",
            "type": "meta.kind",
            "tenant": "meta.org",
            "entity": "order.id",
            "time": "at",
            "data": "after.0",
        },
        "things": {"topics": [events], "format": "cloudevents"},
        "bank": {"topics": [bank], "format": "fineract", "schemas": str(SCHEMAS)},
    }
    bridges(config).start()
    receiver.wait_for("/shop", accepted=6)

    got = bodies(receiver)
    ids = {kind: body.pop("webhook-id") for kind, body in got.items()}
    assert got.pop("OrderPaid") == {
        "type": "OrderPaid",
        "timestamp": "2026-06-29T08:15:30.123Z",
        "entity": "9007199254740993",
        "tenant": "acme",
        "data": {"total": "10.00"},
    }
    bare = got.pop("OrderBare")
    assert abs(datetime.fromisoformat(bare.pop("timestamp")).timestamp() - time.time()) < 60
    assert bare == {"type": "OrderBare", "data": None}
    assert got.pop("com.shop.paid") == {
        "type": "com.shop.paid",
        "timestamp": "2026-06-29T08:15:30Z",
        "entity": "o-7",
        "data": {"total": 10},
    }
    seen = got.pop("com.crm.seen")
    assert seen.pop("timestamp").endswith("Z")
    assert seen == {"type": "com.crm.seen", "entity": "c-1", "data": {"seen": True}}
    approved = got.pop("LoanApprovedBusinessEvent")
    assert approved == {
        "type": "LoanApprovedBusinessEvent",
        "timestamp": "2026-06-29T08:15:30.123456Z",
        "entity": "42",
        "tenant": "bank-a",
        "data": loan | {"principal": "150000.12345678"},
    }
    unordered = got.pop("Unordered")
    assert "entity" not in unordered
    assert unordered["data"] == approved["data"]
    assert not got
    assert ids.pop("OrderBare").startswith(f"{UUID_2}_")
    assert ids.pop("LoanApprovedBusinessEvent").startswith(f"{UUID}_")
    assert len(set(ids.values())) == 4
    assert all(value.startswith("evt_") and len(value) == 36 for value in ids.values())


def test_records_written_by_fineract_itself_are_delivered(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Samples with the schemas of two releases: the fingerprint selects, and amounts stay exact."""
    folder = shared_fineract() / "schemas"
    samples = shared_json("sample-records.json")
    topic = kafka.fresh_topic("fineract", partitions=1)
    publish(
        kafka,
        topic,
        [Raw(bytes.fromhex(record["value_hex"]), bytes.fromhex(record["key_hex"])) for record in samples],
    )
    config = quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, "fineract")
    bank = {"topics": [topic], "format": "fineract", "schemas": str(folder), "bulk": "whole"}
    config["sources"] = {"bank": bank}
    bridges(config).start()
    receiver.wait_for("/shop", accepted=len(samples))
    got = bodies(receiver)
    for sample in samples:
        body = got[sample["type"]]
        expected = {
            name: value for name, value in sample["payload"].items() if not isinstance(value, dict | list)
        }
        assert {name: body["data"][name] for name in expected} == expected
        assert body["webhook-id"].startswith(f"{sample['idempotencyKey'].lower()}_")
        assert body["tenant"]
    wait_settled(kafka, "fineract.shop", topic)
