"""The events of the demo: of a bank, a shop and a warehouse, in the formats of their outboxes.

They include one example of each failure that a bridge must handle.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from bridge.demo.fineract_wire import SCHEMAS, encode_envelope, encode_key, encode_single_object
from bridge.formats.avro.schema_set import SchemaSet
from bridge.formats.fineract import Envelope
from bridge.schemas.folder import read_folder

BANK_TOPIC, ORDERS_TOPIC, STOCK_TOPIC = "external-events", "outbox.orders", "stock"
TOPICS = (BANK_TOPIC, ORDERS_TOPIC, STOCK_TOPIC)
CRM, SHOP = "crm", "shop"


class Fate(StrEnum):
    """What must happen to a record."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    UNREADABLE = "unreadable"


class Answer(NamedTuple):
    """The answer of the demo's receiver to one request."""

    status: int
    text: str = ""


OK = Answer(200)
BUSY = Answer(500, "the account is locked, come back later")
NO_CANCELS = Answer(400, "this shop cannot cancel orders")


@dataclass(frozen=True, slots=True)
class Sample:
    """One record to publish. Its webhook is answered with ``answers`` in order, then with 200.

    Entity and type identify it: only a duplicate shares both with another sample.
    """

    endpoint: str
    topic: str
    entity: str
    type: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    answers: tuple[Answer, ...] = ()
    fate: Fate = Fate.DELIVERED

    @property
    def name(self) -> tuple[str, str]:
        """Entity and type, as in the body of the webhook."""
        return self.entity, self.type

    @property
    def makes_a_webhook(self) -> bool:
        """Return True if the bridge sends a webhook for it."""
        return self.fate in (Fate.DELIVERED, Fate.REFUSED)


def samples() -> list[Sample]:
    """Return all records of the demo, in the order of publishing: six entities, interleaved."""
    bank = _Bank(read_folder(SCHEMAS))
    approved = bank.loan(1001, "Approved")
    return [
        bank.loan(1001, "Created"),
        _order("A-17", "order.placed", total="49.90"),
        bank.loan(1002, "Created", answers=(BUSY, BUSY, BUSY)),
        bank.savings(2001, "Activate", amount=None),
        _order("A-18", "order.placed", total="12.00"),
        approved,
        bank.loan(1002, "Approved"),
        _stock_binary("sku-7", "com.example.stock.reserved", 3),
        _order("A-17", "order.paid", total="49.90"),
        _repeat(approved),
        bank.savings(2001, "Deposit", amount=Decimal("250.00000000")),
        _order("A-18", "order.cancelled", answers=(NO_CANCELS,), fate=Fate.REFUSED, total="12.00"),
        _order_without_id("A-19"),
        bank.loan(1001, "Disbursal"),
        bank.loan(1002, "Disbursal"),
        _order("A-17", "order.shipped", total="49.90"),
        bank.savings(2001, "Withdrawal", amount=Decimal("40.50000000")),
        _order("A-18", "order.delivered", total="12.00"),
        _stock_structured("sku-7", "com.example.stock.released", 1),
    ]


class _Bank:
    """Encodes Fineract's wire format: an envelope around a payload, both in Avro."""

    def __init__(self, schemas: SchemaSet) -> None:
        self._schemas = schemas
        self._ids = 0

    def loan(self, id: int, what: str, answers: tuple[Answer, ...] = ()) -> Sample:
        """Build a loan event."""
        payload = {
            "id": id,
            "accountNo": f"{id:09}",
            "clientName": "Petra Yton",
            "principal": Decimal("150000.00000000"),
            "currencyCode": "KES",
            "status": what.upper(),
        }
        return self._event("Loan", f"Loan{what}BusinessEvent", id, "LoanEventDataV1", payload, answers)

    def savings(self, id: int, what: str, amount: Decimal | None) -> Sample:
        """Build a savings event."""
        payload = {
            "id": id,
            "accountNo": f"{id:09}",
            "clientName": "Petra Yton",
            "amount": amount,
            "runningBalance": amount,
            "currencyCode": "KES",
            "status": "ACTIVE",
        }
        return self._event("Savings", f"Savings{what}BusinessEvent", id, "SavingsEventDataV1", payload, ())

    def _event(
        self,
        category: str,
        type: str,
        id: int,
        schema: str,
        payload: Mapping[str, Any],
        answers: tuple[Answer, ...],
    ) -> Sample:
        self._ids += 1
        (layout,) = self._schemas.named(f"org.hookferry.demo.v1.{schema}")
        envelope = Envelope(
            id=self._ids,
            source="demo-bank",
            type=type,
            category=category,
            created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
            business_date=datetime.now(UTC).date().isoformat(),
            tenant_id="default",
            idempotency_key=str(uuid.uuid4()),
            dataschema=layout.name,
            data=encode_single_object(layout.parsed, layout.fingerprint, dict(payload)),
        )
        value = encode_envelope(envelope)
        return Sample(CRM, BANK_TOPIC, str(id), type, encode_key(id), value, answers=answers)


def _repeat(first: Sample) -> Sample:
    """Return the same record again, as an outbox job publishes it after a lost acknowledgement."""
    return Sample(
        first.endpoint,
        first.topic,
        first.entity,
        first.type,
        first.key,
        first.value,
        fate=Fate.DUPLICATE,
    )


def order_record(order: str, type: str, **payload: str) -> bytes:
    """Encode an outbox row of the shop as plain JSON."""
    row = {"id": str(uuid.uuid4()), "type": type, "order": order, "payload": payload}
    return json.dumps(row).encode()


def _order(
    order: str,
    type: str,
    answers: tuple[Answer, ...] = (),
    fate: Fate = Fate.DELIVERED,
    **payload: str,
) -> Sample:
    value = order_record(order, type, **payload)
    return Sample(SHOP, ORDERS_TOPIC, order, type, order.encode(), value, answers=answers, fate=fate)


def _order_without_id(order: str) -> Sample:
    row = json.loads(order_record(order, "order.placed", total="5.00"))
    row["uuid"] = row.pop("id")
    value = json.dumps(row).encode()
    return Sample(SHOP, ORDERS_TOPIC, order, "order.placed", order.encode(), value, fate=Fate.UNREADABLE)


def _stock_binary(sku: str, type: str, pieces: int) -> Sample:
    """Build a CloudEvent in binary mode: its attributes are record headers."""
    headers = (*((f"ce_{name}", text.encode()) for name, text in _attributes(sku, type).items()),)
    value = json.dumps({"pieces": pieces}).encode()
    content_type = ("content-type", b"application/json")
    return Sample(SHOP, STOCK_TOPIC, sku, type, sku.encode(), value, (content_type, *headers))


def _stock_structured(sku: str, type: str, pieces: int) -> Sample:
    """Build a CloudEvent in structured mode: attributes and data are one JSON object."""
    value = json.dumps(_attributes(sku, type) | {"data": {"pieces": pieces}}).encode()
    content_type = ("content-type", b"application/cloudevents+json")
    return Sample(SHOP, STOCK_TOPIC, sku, type, sku.encode(), value, (content_type,))


def _attributes(sku: str, type: str) -> dict[str, str]:
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/warehouse",
        "type": type,
        "subject": sku,
        "time": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
