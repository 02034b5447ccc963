"""The records of a cell: JSON, or Fineract's Avro with a payload. Deterministic except for their times."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge.demo.fineract_wire import encode_envelope, encode_key, encode_single_object
from bridge.formats.fineract import Envelope
from bridge.schemas.folder import read_folder
from tests.bench.compare.cells import Cell
from tests.support.produce import OutboxEvent, outbox_events

SCHEMAS = Path(__file__).parent / "schemas"
LOAN = "org.hookferry.bench.v1.LoanDataV1"
_FIELDS = {
    "accountNo": "000000042", "externalId": "3f6d0c1e-1c57-4a0e-9a3e-5f1f0f2b7a10", "clientId": 7,
    "clientName": "Asha Wanjiku", "officeId": 1, "officeName": "Head Office", "productId": 3,
    "productName": "Working capital", "productDescription": "Twelve monthly payments", "fundId": None,
    "fundName": None, "purposeId": 12, "purposeName": "Stock", "officerId": 4, "officerName": "Juma Otieno",
    "currencyCode": "KES", "currencyName": "Kenyan Shilling", "decimalPlaces": 2, "principal": 150000.0,
    "approvedPrincipal": 150000.0, "outstanding": 112500.25, "overdue": None, "interestRate": 1.75,
    "termFrequency": 12, "termUnit": "MONTHS", "repayments": 12, "repaymentEvery": 1,
    "repaymentUnit": "MONTHS", "status": "ACTIVE", "isActive": True, "isClosed": False, "isOverpaid": False,
    "submittedOn": "2026-05-01", "approvedOn": "2026-05-03", "disbursedOn": "2026-05-04",
    "maturesOn": "2027-05-04", "strategy": "principal-interest-penalties-fees", "version": 3,
}  # fmt: skip


def records(cell: Cell, count: int, *, first_seq: int = 0, seed: int = 1) -> Iterator[OutboxEvent]:
    """Yield ``count`` records; ``first_seq``: the lowest number of an event within its entity."""
    if cell.fineract:
        return _loans(count, cell.entities, first_seq, seed)
    return outbox_events(
        count, entities=cell.entities, seed=seed, value_bytes=cell.value_bytes, first_seq=first_seq
    )


def _loans(count: int, entities: int, first_seq: int, seed: int) -> Iterator[OutboxEvent]:
    (schema,) = read_folder(SCHEMAS).named(LOAN)
    chance = random.Random(seed)
    next_seq = [first_seq] * entities
    for number in range(count):
        which = chance.randrange(entities)
        entity, seq = str(which), next_seq[which]
        next_seq[which] += 1
        fields: dict[str, Any] = {"entity": entity, "seq": seq} | _FIELDS
        event_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        envelope = Envelope(
            number, "bench", "LoanApprovedBusinessEvent", "Loan", "2026-06-29T08:15:30.123456", "2026-06-29",
            "default", event_id, LOAN, encode_single_object(schema.parsed, schema.fingerprint, fields),
        )  # fmt: skip
        yield OutboxEvent(encode_key(which), encode_envelope(envelope), event_id, entity, seq)
