"""Values, headers and schemas of sample records: CloudEvents, Debezium, Eventuate Tram and Avro."""

from __future__ import annotations

STRUCTURED = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)

ENVELOPE = {
    "specversion": "1.0",
    "id": "A1",
    "source": "/bank/loans",
    "type": "loan.approved",
    "subject": "loan-42",
    "time": "2026-06-29T08:15:30.5Z",
    "dataschema": "https://bank.example/loan.json",
    "datacontenttype": "application/json",
    "priority": 3,
    "urgent": True,
    "unset": None,
    "data": {"n": 1},
}

BINARY = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"A1"),
    ("ce_source", b"/bank/loans"),
    ("ce_type", b"loan.approved"),
)

UUID = "406c07f3-26f0-4eea-a50c-109940064b8f"

PAYLOAD = {"id": 1, "lineItems": [{"item": "Debezium in Action", "quantity": 2, "totalPrice": 39.98}]}

TRAM = {
    "payload": '{"orderDetails":{"customerId":7,"total":"12.30"}}',
    "headers": {
        "PARTITION_ID": "42",
        "event-aggregate-type": "shop.orders.Order",
        "DATE": "Mon, 29 Jun 2026 08:15:30 GMT",
        "event-aggregate-id": "42",
        "event-type": "shop.orders.OrderCreatedEvent",
        "DESTINATION": "shop.orders.Order",
        "ID": "0000016b8d1f0f2b-0242ac1300080000",
        "tenant": "acme",
    },
}

AVRO = {"type": "record", "name": "Paid", "namespace": "shop", "fields": [
    {"name": "id", "type": "string"},
    {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
    {"name": "fee", "type": {"type": "fixed", "name": "Fee", "size": 8, "logicalType": "decimal",
                             "precision": 18, "scale": 4}},
    {"name": "kind", "type": ["null", {"type": "enum", "name": "Kind", "symbols": ["CASH", "CARD"]}]},
]}  # fmt: skip
