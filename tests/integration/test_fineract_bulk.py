"""Fineract's bulk events on real Kafka: split in order, over a kill; a schema imported while it runs."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from bridge.demo.fineract_wire import encode_envelope, encode_key, encode_single_object
from bridge.formats.avro.definitions import Scope
from bridge.formats.avro.schema_set import Schema
from bridge.formats.fineract import Envelope
from bridge.formats.fineract.bulk import BULK, Item
from tests.support.bridge_process import BridgeProcess
from tests.support.class_files import avro_class
from tests.support.command import listed, parked
from tests.support.fineract_bulk import encode_bulk
from tests.support.forked import run_command
from tests.support.kafka import RealKafka
from tests.support.raw_records import Raw, publish
from tests.support.receiver import Receiver
from tests.support.watch import quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
THING = "org.example.avro.ThingV1"


def definition(*more: str) -> dict[str, Any]:
    fields = [("entity", "string"), ("seq", "long"), *((name, "string") for name in more)]
    listed = [{"name": name, "type": kind} for name, kind in fields]
    space, _, name = THING.rpartition(".")
    return {"type": "record", "name": name, "namespace": space, "fields": listed}


def schema_of(definition: dict[str, Any]) -> Schema:
    scope = Scope("test")
    scope.add(definition, "test")
    return scope.schema(THING)


OLD, NEW = schema_of(definition()), schema_of(definition("note"))


def make_jar(path: Path, definition: dict[str, Any]) -> Path:
    """Write a jar like Fineract's build does: a class with its schema in two constants."""
    text = json.dumps(definition)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as jar:
        jar.writestr("org/example/avro/ThingV1.class", avro_class(text[:40], text[40:]))
    return path


def import_(jar: Path, into: Path) -> str:
    done = run_command(["schemas", "import", str(jar), "--into", str(into)], env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def thing(entity: int, seq: int, schema: Schema = OLD) -> bytes:
    value = {"entity": str(entity), "seq": seq} | ({"note": "new"} if schema is NEW else {})
    return encode_single_object(schema.parsed, schema.fingerprint, value)


def kind(seq: int) -> str:
    return f"{'Odd' if seq % 2 else 'Even'}BusinessEvent"


def fineract(type_: str, key: str, dataschema: str, data: bytes, entity: int) -> Raw:
    envelope = Envelope(
        7,
        "server-1",
        type_,
        "Thing",
        "2026-06-29T08:15:30.123456",
        "2026-06-29",
        "acme",
        key,
        dataschema,
        data,
    )
    return Raw(encode_envelope(envelope), encode_key(entity))


def bulk(entity: int, *items: tuple[int, Schema]) -> Raw:
    parts = [Item(seq, kind(seq), "nocategory", THING, thing(entity, seq, schema)) for seq, schema in items]
    key = f"22222222-3333-4444-8555-{entity:012}"
    return fineract("BulkBusinessEvent", key, BULK, encode_bulk(parts), entity)


def arrivals(receiver: Receiver, path: str, entity: int) -> list[tuple[int, str]]:
    return [
        (request["seq"], request["webhook_id"])
        for request in receiver.records(path)
        if request["entity"] == str(entity) and request["status"] == 200
    ]


def test_bulk_events_are_split_in_order_over_a_kill_and_redriven_after_an_import_of_their_schema(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, tmp_path: Path
) -> None:
    topic, schemas = kafka.fresh_topic("bulk", partitions=1), tmp_path / "schemas"
    import_(make_jar(tmp_path / "fineract-avro-schemas-1.jar", definition()), schemas)
    shop, even = {"url": receiver.url("/shop")}, {"url": receiver.url("/even"), "events": ["Even*"]}
    config = quick_config(kafka, topic, {"shop": shop, "even": even}, "bulk")
    config["sources"] = {
        "bank": {"topics": [topic], "format": "fineract", "schemas": str(schemas), "custom_types": True}
    }
    receiver.control("/shop", delay_ms=150)
    publish(
        kafka,
        topic,
        [
            bulk(42, *((seq, OLD) for seq in range(1, 9))),
            bulk(43, (1, OLD), (2, NEW), (3, OLD)),
            fineract(kind(9), "11111111-2222-4333-8444-555555555555", THING, thing(42, 9), 42),
        ],
    )
    bridge = bridges(config).start()
    wait_until(lambda: len(arrivals(receiver, "/shop", 42)) >= 3, "three items of the first bulk record")
    bridge.kill()
    before = len(receiver.records("/shop"))
    bridge.start()
    receiver.wait_for("/shop", accepted=9 + 2)
    receiver.wait_for("/even", accepted=4)
    wait_settled(kafka, "bulk.shop", topic)
    wait_settled(kafka, "bulk.even", topic)

    came = arrivals(receiver, "/shop", 42)
    firsts = list(dict.fromkeys(came))
    assert [seq for seq, _ in firsts] == list(range(1, 10))
    assert len({webhook_id for _, webhook_id in firsts}) == 9
    assert len(came) - len(firsts) <= 1, "only the request in flight may repeat, with its own id"
    assert before < 9, "the kill did not come in the middle of the record"
    assert [seq for seq, _ in arrivals(receiver, "/even", 42)] == [2, 4, 6, 8]
    assert [seq for seq, _ in arrivals(receiver, "/shop", 43)] == [1, 3]
    first = next(request for request in receiver.records("/shop") if request["seq"] == 1)
    body = orjson.loads(first["body"])
    assert (body["type"], body["entity"], body["tenant"]) == ("OddBusinessEvent", "42", "acme")

    waiting = listed(bridge)
    assert {(letter["endpoint"], letter["event_type"], letter["event_index"]) for letter in waiting} == {
        ("shop", "EvenBusinessEvent", 2), ("even", "EvenBusinessEvent", 2),
    }  # fmt: skip
    assert all(THING in letter["cause"] and NEW.fingerprint.hex() in letter["cause"] for letter in waiting)
    pid = bridge.pid
    jar = make_jar(tmp_path / "fineract-avro-schemas-2.jar", definition("note"))
    (into,) = set(re.findall(r"schemas import JAR --into (\S+?)[`,]", waiting[0]["remedy"]))
    assert "1 new, 0 known" in import_(jar, Path(into))
    (filters,) = set(re.findall(r"`hookferry parked redrive ([^`]*)`", waiting[0]["remedy"]))
    assert "2 written to" in parked(bridge, "redrive", "--wait", "0", *filters.split(), "--yes")
    receiver.wait_for("/even", accepted=5)
    wait_until(lambda: len(arrivals(receiver, "/shop", 43)) == 3, "the redriven item")
    wait_settled(kafka, "bulk.shop", "bulk.again")
    assert [seq for seq, _ in arrivals(receiver, "/shop", 43)] == [1, 3, 2]
    assert len(arrivals(receiver, "/shop", 42)) == len(came), "the other items were not sent again"
    assert listed(bridge) == []
    assert bridge.pid == pid, "no restart was needed"
