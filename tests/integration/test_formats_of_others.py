"""Records written by other software are delivered over real Kafka with the standard body.

Confluent's serializers and the CloudEvents SDK write their records in this test. The records of Debezium,
Eventuate, Modulith and Apicurio, which are Java software, follow their documentation.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloudevents.core.bindings.kafka import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from fastavro import schemaless_writer
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from bridge.telemetry import events
from tests.support.bridge_process import BridgeProcess
from tests.support.forked import run_command
from tests.support.kafka import RealKafka
from tests.support.raw_records import Raw, publish, read_parked
from tests.support.receiver import Receiver
from tests.support.registry import StubRegistry
from tests.support.watch import ask, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
UUID = "406c07f3-26f0-4eea-a50c-109940064b8f"
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
PAID = {"type": "record", "name": "OrderPaid", "namespace": "shop.avro", "fields": [
    {"name": "eventId", "type": "string"}, {"name": "orderId", "type": "long"},
    {"name": "total", "type": MONEY},
    {"name": "note", "type": ["null", "string"], "default": None}]}  # fmt: skip
SEEN = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "OrderSeen", "type": "object",
        "properties": {"eventId": {"type": "string"}, "price": {"type": "number"}}}  # fmt: skip


@pytest.fixture
def registry() -> Iterator[StubRegistry]:
    with StubRegistry() as one:
        yield one


def shipped() -> Any:
    """Build a nested Protobuf message, of the second type in its file, without a compiler."""
    file = descriptor_pb2.FileDescriptorProto(
        name="shop/shipped.proto", package="shop.proto", syntax="proto3"
    )
    file.dependency.append("google/protobuf/timestamp.proto")
    file.message_type.add(name="Unused")
    outer = file.message_type.add(name="Events")
    nested = outer.nested_type.add(name="OrderShipped")
    for number, (name, kind) in enumerate({"eventId": 9, "price_cents": 3}.items(), 1):
        nested.field.add(name=name, number=number, type=kind, label=1, json_name=name)  # type: ignore[arg-type]
    nested.field.add(
        name="at", number=3, type=11, label=1, type_name=".google.protobuf.Timestamp", json_name="at"
    )
    pool = descriptor_pool.Default()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName("shop.proto.Events.OrderShipped")
    message = message_factory.GetMessageClass(descriptor)()
    message.eventId, message.price_cents = "proto-1", 2**53 + 1
    message.at.FromDatetime(datetime(2026, 6, 29, 8, 15, 30, tzinfo=UTC))
    return message


def confluent_records(registry: StubRegistry, topic: str) -> list[Raw]:
    """Return records of Confluent's serializers: schema id in front, or its GUID in a header."""
    with SchemaRegistryClient({"url": registry.url}) as client:
        return _confluent_records(client, topic)


def _confluent_records(client: SchemaRegistryClient, topic: str) -> list[Raw]:
    ship = shipped()
    in_header = {"schema.id.serializer": header_schema_id_serializer}

    def raw(serialize: Any, value: Any) -> Raw:
        headers: list[tuple[str, bytes]] = []
        value_bytes = serialize(value, SerializationContext(topic, MessageField.VALUE, headers))
        return Raw(value_bytes, b"o-1", tuple(headers))

    def paid(id: str) -> dict[str, Any]:
        return {"eventId": id, "orderId": 2**60, "total": Decimal("1234567890.10"), "note": None}

    avro, seen = json.dumps(PAID), json.dumps(SEEN)
    return [
        raw(AvroSerializer(client, avro), paid("avro-1")),
        raw(
            AvroSerializer(client, avro.replace("OrderPaid", "OrderPaidToo"), conf=in_header), paid("avro-2")
        ),
        raw(JSONSerializer(seen, client), {"eventId": "json-1", "price": 19.99}),
        raw(ProtobufSerializer(type(ship), client, {"use.deprecated.format": False}), ship),
    ]


def debezium_records() -> list[Raw]:
    """Return records of the outbox event router: bare, encoded twice, and in JsonConverter's wrapper."""
    payload = {"id": 1, "lineItems": [{"item": "Debezium in Action", "totalPrice": 39.98}]}

    def headers(id: str, kind: str) -> tuple[tuple[str, bytes], ...]:
        return (("id", id.encode()), ("eventType", kind.encode()))

    schema = {"type": "string", "optional": False, "name": "io.debezium.data.Json"}
    return [
        Raw(json.dumps(payload).encode(), b"1", headers(UUID, "DebeziumBare")),
        Raw(json.dumps(json.dumps(payload)).encode(), b'"1"', headers("d-2", "DebeziumTwice")),
        Raw(
            json.dumps({"schema": schema, "payload": json.dumps(payload)}).encode(),
            b'{"schema":{"type":"string","optional":false},"payload":"1"}',
            headers("d-3", "DebeziumWrapped"),
        ),
    ]


EVENTUATE = {
    "payload": '{"orderTotal":{"amount":"12.30"},"customerId":101}',
    "headers": {
        "PARTITION_ID": "7", "event-aggregate-type": "shop.orders.Order", "event-aggregate-id": "7",
        "DATE": "Mon, 29 Jun 2026 08:15:30 GMT", "event-type": "shop.orders.OrderCreatedEvent",
        "DESTINATION": "shop.orders.Order", "ID": "0000016b8d1f0f2b-0242ac1300080000",
    },
}  # fmt: skip


def avro_bytes(value: Any) -> bytes:
    stream = io.BytesIO()
    schemaless_writer(stream, PAID, value)
    return stream.getvalue()


def arrived(receiver: Receiver, count: int) -> dict[str, dict[str, Any]]:
    """Return the received bodies by event type."""
    receiver.wait_for("/shop", accepted=count)
    bodies = {}
    for one in receiver.records("/shop"):
        body = json.loads(one["body"], parse_float=Decimal)
        assert body["type"] not in bodies
        bodies[body["type"]] = body
    return bodies


def test_records_of_other_software_are_delivered(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, registry: StubRegistry, tmp_path: Path
) -> None:
    names = ("confluent", "debezium", "eventuate", "modulith", "avro", "apicurio", "ce")
    topics = {name: kafka.fresh_topic(name, partitions=1) for name in names}
    publish(kafka, topics["confluent"], confluent_records(registry, topics["confluent"]))
    publish(kafka, topics["debezium"], debezium_records())
    publish(kafka, topics["eventuate"], [Raw(json.dumps(EVENTUATE).encode(), b"7")])
    type_id = ("__TypeId__", b"com.acme.orders.OrderCompleted")
    publish(kafka, topics["modulith"], [Raw(b'{"eventId":"m-1","orderId":4}', b"4", (type_id,))])
    bare = {"eventId": "bare-1", "orderId": 5, "total": Decimal("0.01"), "note": "n"}
    publish(kafka, topics["avro"], [Raw(avro_bytes(bare))])
    registry.contents["/ids/contentIds/70000"] = ("AVRO", json.dumps(PAID).replace("OrderPaid", "InFour"), [])
    registry.contents["/ids/globalIds/3"] = ("AVRO", json.dumps(PAID).replace("OrderPaid", "InEight"), [])
    registry.contents["/ids/contentIds/9"] = ("AVRO", json.dumps(PAID).replace("OrderPaid", "InHeader"), [])
    header = ("apicurio.value.contentId", (9).to_bytes(8, "big"))
    binary_avro = ("apicurio.value.encoding", b"BINARY")
    publish(kafka, topics["apicurio"], [
        Raw(b"\0" + (70000).to_bytes(4, "big") + avro_bytes({**bare, "eventId": "ap-1"})),
        Raw(b"\0" + (3).to_bytes(8, "big") + avro_bytes({**bare, "eventId": "ap-2"})),
        Raw(avro_bytes({**bare, "eventId": "ap-3"}), headers=(header, binary_avro)),
    ])  # fmt: skip
    attributes = {"id": "ce-1", "source": "/shop", "type": "com.shop.binary", "subject": "o-1",
                  "time": datetime(2026, 6, 29, 8, 15, 30, tzinfo=UTC), "specversion": "1.0",
                  "datacontenttype": "application/json"}  # fmt: skip
    binary = to_binary_event(CloudEvent(attributes, {"total": 10.5}))
    structured = to_structured_event(
        CloudEvent({**attributes, "id": "ce-2", "type": "com.shop.structured"}, {"total": 10.5})
    )
    publish(kafka, topics["ce"], [
        Raw(one.value, one.key if one.key is None or isinstance(one.key, bytes) else one.key.encode(),
            tuple(one.headers.items()))
        for one in (binary, structured)
    ])  # fmt: skip
    (tmp_path / "paid.avsc").write_text(json.dumps(PAID).replace("OrderPaid", "InFile"))

    config = quick_config(kafka, topics["ce"], {"shop": {"url": receiver.url("/shop")}}, "others")
    sources: dict[str, dict[str, Any]] = {
        "confluent": {
            "format": "confluent",
            "id": "eventId",
            "entity": "record:key",
            "registry": {"url": registry.url},
        },
        "debezium": {"format": "debezium"},
        "eventuate": {"format": "eventuate"},
        "modulith": {"format": "modulith", "id": "eventId"},
        "avro": {"format": "avro", "id": "eventId", "schema_file": str(tmp_path / "paid.avsc")},
        "apicurio": {
            "format": "apicurio",
            "id": "eventId",
            "registry": {"url": registry.url + "/apis/registry/v3"},
        },
        "ce": {"format": "cloudevents"},
    }
    config["sources"] = {name: {"topics": [topics[name]], **keys} for name, keys in sources.items()}
    bridge = bridges(config).start()
    got = arrived(receiver, 15)
    total = {"total": "1234567890.10", "orderId": 2**60, "note": None}
    assert got["shop.avro.OrderPaid"]["data"] == {"eventId": "avro-1", **total}
    assert got["shop.avro.OrderPaid"]["entity"] == "o-1"
    assert got["shop.avro.OrderPaidToo"]["data"] == {"eventId": "avro-2", **total}
    assert got["OrderSeen"]["data"] == {"eventId": "json-1", "price": Decimal("19.99")}
    assert got["shop.proto.Events.OrderShipped"]["data"] == {
        "eventId": "proto-1", "price_cents": str(2**53 + 1), "at": "2026-06-29T08:15:30Z",
    }  # fmt: skip
    items = [{"item": "Debezium in Action", "totalPrice": Decimal("39.98")}]
    for kind in ("DebeziumBare", "DebeziumTwice", "DebeziumWrapped"):
        assert (got[kind]["entity"], got[kind]["data"]) == ("1", {"id": 1, "lineItems": items})
    tram = got["shop.orders.OrderCreatedEvent"]
    assert tram["data"] == {"orderTotal": {"amount": "12.30"}, "customerId": 101}
    assert (tram["entity"], tram["timestamp"]) == ("7", "2026-06-29T08:15:30Z")
    acme = got["com.acme.orders.OrderCompleted"]
    assert (acme["entity"], acme["data"]) == ("4", {"eventId": "m-1", "orderId": 4})
    sent = {"orderId": 5, "total": "0.01", "note": "n"}
    by_id = {"InFile": "bare-1", "InFour": "ap-1", "InEight": "ap-2", "InHeader": "ap-3"}
    for name, id in by_id.items():
        assert got[f"shop.avro.{name}"]["data"] == {"eventId": id, **sent}
    for mode in ("binary", "structured"):
        ce = got[f"com.shop.{mode}"]
        assert (ce["entity"], ce["data"]) == ("o-1", {"total": Decimal("10.5")})
        assert ce["timestamp"] == "2026-06-29T08:15:30Z"
    ids = {request["headers"]["webhook-id"] for request in receiver.records("/shop")}
    assert len(ids) == 15
    assert UUID in {id_.partition("_")[0] for id_ in ids}
    assert not logged(bridge, events.RECORD_REJECTED)
    asked = {path: count for path, count in registry.requests.items() if path.startswith("/apis/")}
    assert all(count == 1 for count in asked.values()), "each schema was fetched once"


def inspected(*arguments: str) -> str:
    return run_command(["inspect", *arguments], env=os.environ).stdout


def test_the_configuration_that_inspect_prints_works(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, registry: StubRegistry
) -> None:
    """Deliver the events of an unknown topic with only the configuration that the command prints."""
    topic = kafka.fresh_topic("unknown", partitions=2)
    publish(
        kafka,
        topic,
        [record._replace(partition=number % 2) for number, record in enumerate(debezium_records())],
    )
    output = inspected("--topic", topic, "--brokers", kafka.bootstrap)
    assert output.startswith("3 records: 3 debezium\n"), output
    assert "Debezium in Action" in output
    config = quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, "inspected")
    config["sources"] = yaml.safe_load(output.partition("\nsources:\n")[2])
    bridge = bridges(config).start()
    assert arrived(receiver, 3).keys() == {"DebeziumBare", "DebeziumTwice", "DebeziumWrapped"}
    wait_settled(kafka, "inspected.shop", topic)
    framed = kafka.fresh_topic("framed", partitions=1)
    publish(kafka, framed, confluent_records(registry, framed))
    output = inspected("-t", framed, "--brokers", kafka.bootstrap, "--registry", registry.url, "-n", "1")
    assert "proto-1" in output
    assert "id: eventId" in output
    assert inspected("-t", "nothing-there", "-c", str(bridge.file)) == ""


def test_an_outage_of_the_registry_delays_and_parks_nothing(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, registry: StubRegistry
) -> None:
    """During the outage another source continues, a stop is quick, and the next start waits again."""
    orders, other = kafka.fresh_topic("orders", partitions=1), kafka.fresh_topic("other", partitions=1)
    first, *rest = confluent_records(registry, orders)
    publish(kafka, orders, [first, *rest])
    publish(kafka, other, [Raw(b'{"id":"o-1","type":"Other"}')])
    registry.status = 503
    config = quick_config(kafka, other, {"shop": {"url": receiver.url("/shop")}}, "outage")
    config["sources"] = {
        "orders": {
            "topics": [orders],
            "format": "confluent",
            "id": "eventId",
            "registry": {"url": registry.url},
        },
        "other": {"topics": [other], "format": "json", "id": "id", "type": "type"},
    }
    bridge = bridges(config).start()
    receiver.wait_for("/shop", accepted=1)
    wait_until(lambda: logged(bridge, events.REGISTRY_FAILED), "the outage is logged")
    wait_until(lambda: f"waiting for a schema: {orders}-0" in ask(bridge, "/readyz")[1], "it is reported")
    wait_until(lambda: bridge.metric("hookferry_partitions_without_schema") == 1, "it is counted")
    # nothing is in flight, so the stop must end before the drain timeout of 20 s
    assert bridge.terminate(timeout_s=15) == 0
    bridge.start()
    publish(kafka, other, [Raw(b'{"id":"o-2","type":"Later"}')])
    receiver.wait_for("/shop", accepted=2)
    registry.status = None
    got = arrived(receiver, 6)
    assert {"Other", "Later", "shop.avro.OrderPaid", "OrderSeen"} <= got.keys()
    order = [json.loads(request["body"])["type"] for request in receiver.records("/shop")]
    assert order.index("shop.avro.OrderPaid") < order.index("OrderSeen")
    wait_settled(kafka, "outage.shop", orders)
    publish(kafka, orders, [Raw(b"\0\0\0\x0f\xff...", b"k")])
    (parked,) = read_parked(kafka, "outage", 1)
    assert "has no schema with id 4095" in parked.facts["cause"]
    assert "parked redrive" in parked.facts["remedy"]
