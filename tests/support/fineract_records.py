"""Valid records in Fineract's format, with the schemas of the demo."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bridge.demo.fineract_wire import SCHEMAS, encode_envelope, encode_single_object
from bridge.formats.fineract import Envelope
from bridge.schemas.folder import read_folder

LOAN = "org.hookferry.demo.v1.LoanEventDataV1"

DEMO = read_folder(SCHEMAS)

VALUE = {
    "id": 42,
    "accountNo": "000000042",
    "clientName": "Naïve ☕",
    "principal": Decimal("150000.12345678"),
    "currencyCode": "KES",
    "status": "APPROVED",
}


def envelope(**changes: Any) -> Envelope:
    """Return an envelope with a loan event, with these fields replaced."""
    (schema,) = DEMO.named(LOAN)
    base = Envelope(
        2**31,
        "server-1",
        "LoanApprovedBusinessEvent",
        "Loan",
        "2026-06-29T08:15:30.123456789",
        "2026-06-28",
        "default",
        "ABDA146D-68b5-48ca-b527-16d2b7c5daef",
        LOAN,
        encode_single_object(schema.parsed, schema.fingerprint, VALUE),
    )
    return base._replace(**changes)


GOOD = encode_envelope(envelope())
