from decimal import Decimal

import pytest

from bridge.demo.fineract_wire import SCHEMAS, encode_envelope, encode_key, encode_single_object
from bridge.errors import DecodeError
from bridge.formats.avro.schema_set import SchemaSet
from bridge.formats.fineract import Envelope, FineractDecoder, read_envelope
from bridge.schemas.folder import read_folder
from tests.support.records import LIMIT, record

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


def envelope(**changes):
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


def one(raw, *, key=None, schemas=DEMO, limit=LIMIT):
    key = encode_key(42) if key is None else key
    (event,) = FineractDecoder("bank", schemas, max_value_bytes=limit).decode(record(raw, key=key))
    return event


@pytest.mark.parametrize("long_id", [False, True])
def test_an_event_is_read_from_either_envelope(long_id):
    event = one(encode_envelope(envelope(), long_id=long_id))
    assert event.id == "ABDA146D-68b5-48ca-b527-16d2b7c5daef"
    assert event.webhook_id == event.id.lower()
    assert event.type == "LoanApprovedBusinessEvent"
    assert event.time == "2026-06-29T08:15:30.123456789Z"
    assert (event.entity, event.tenant) == ("42", "default")
    assert event.lane == ("topic", 3, encode_key(42), "default")
    assert event.context == {
        "category": "Loan",
        "businessDate": "2026-06-28",
        "dataschema": LOAN,
        "id": "2147483648",
        "source": "server-1",
    }
    assert event.payload() == VALUE


def test_without_an_aggregate_there_is_no_entity_and_no_order():
    event = one(encode_envelope(envelope()), key=encode_key(-1))
    assert event.entity is None
    assert event.lane is None


def test_two_tenants_with_one_key_have_two_lanes():
    first = one(encode_envelope(envelope(tenant_id="a")))
    second = one(encode_envelope(envelope(tenant_id="b")))
    assert first.lane != second.lane


def test_a_key_of_another_shape_still_orders():
    event = one(encode_envelope(envelope()), key=b"custom")
    assert event.entity is None
    assert event.lane == ("topic", 3, b"custom", "default")


def test_a_missing_created_at_is_the_records_time_and_a_wrong_one_an_error():
    assert one(encode_envelope(envelope(created_at=""))).time == "2023-11-14T22:13:20.123Z"
    with pytest.raises(DecodeError, match="createdAt"):
        one(encode_envelope(envelope(created_at="yesterday")))


@pytest.mark.parametrize("field", ["idempotency_key", "type"])
def test_an_empty_id_or_type_is_an_error(field):
    with pytest.raises(DecodeError, match="is empty"):
        one(encode_envelope(envelope(**{field: ""})))


@pytest.mark.parametrize("length", [0, 1, 63, 64, 127, 128, 8191, 8192, 70_000])
def test_lengths_of_every_width_are_read(length):
    sent = envelope(source="s" * length, data=b"d" * length)
    assert read_envelope(encode_envelope(sent)) == sent


def test_money_is_exact():
    """27 digits are Fineract's precision; more are read as they stand, because rounding is silent."""
    (schema,) = DEMO.named(LOAN)
    for text in ("9999999999999999999.99999999", "-0.00000001", "0.00000000", "1" * 300 + ".12345678"):
        data = encode_single_object(schema.parsed, schema.fingerprint, {**VALUE, "principal": Decimal(text)})
        payload = one(encode_envelope(envelope(data=data))).payload()
        assert f"{payload['principal']:f}" == text


def test_an_unknown_fingerprint_names_schema_fingerprint_and_remedy_but_only_for_the_payload():
    event = one(encode_envelope(envelope()), schemas=SchemaSet())
    assert event.type == "LoanApprovedBusinessEvent"
    with pytest.raises(DecodeError) as caught:
        event.payload()
    (schema,) = DEMO.named(LOAN)
    for part in (
        LOAN,
        schema.fingerprint.hex(),
        "sources.bank.schemas",
        "hookferry schemas import",
        "no restart",
    ):
        assert part in str(caught.value)


def test_the_schema_is_chosen_by_fingerprint_whatever_the_envelope_calls_it():
    raw = encode_envelope(envelope(dataschema="org.hookferry.demo.v1.SavingsEventDataV1"))
    assert one(raw).payload() == VALUE


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (lambda data: data + b"\0\0", "left over behind the value: 2"),
        (lambda data: data[:-1], "end inside a value"),
        (lambda data: data[:9], "header"),
        (lambda data: b"", "header"),
        (lambda data: b"\0" * 20, "header"),
    ],
)
def test_a_payload_must_fit_its_schema_to_the_last_byte(data, match):
    event = one(encode_envelope(envelope(data=data(envelope().data))))
    with pytest.raises(DecodeError, match=match):
        event.payload()


def test_bytes_of_a_neighbouring_layout_are_refused():
    """The trap of schemas that change in place: savings bytes under the loan's fingerprint."""
    loan, savings = DEMO.named(LOAN)[0], DEMO.named("org.hookferry.demo.v1.SavingsEventDataV1")[0]
    data = encode_single_object(
        savings.parsed,
        loan.fingerprint,
        {"id": 1, "accountNo": "1", "currencyCode": "KES", "status": "ACTIVE"},
    )
    with pytest.raises(DecodeError):
        one(encode_envelope(envelope(data=data))).payload()


GOOD = encode_envelope(envelope())


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"", "begins with nothing"),
        (b"\xc3", "begins with c3"),
        (b'{"a": 1}', "looks like JSON"),
        (b"\0\0\0\0\1abc", "schema registries"),
        (b"\xc3\x01" + b"\1" * 8, "not one of MessageV1"),
        (GOOD[:10], "cut short"),
        (GOOD[:-1], "end inside"),
        (GOOD[:60], "end inside"),
        (GOOD + b"\0", "bytes behind it: 1"),
        (GOOD[:10] + b"\0\1", "length of -1"),
        (GOOD[:10] + b"\0\xff\xff\xff\xff\x7f", "length of -"),
        (GOOD[:10] + b"\0\xfe\xff\xff\xff\x0f" + b"a" * 40, "end inside"),
        (GOOD[:10] + b"\xff" * 12, "64 bits"),
        (GOOD[:10] + b"\0\2\xff" + b"\0" * 8, "UTF-8"),
    ],
)
def test_a_damaged_envelope_is_an_error_that_says_what_is_wrong(raw, match):
    with pytest.raises(DecodeError, match=match):
        one(raw)


def test_size_is_looked_at_before_the_content():
    with pytest.raises(DecodeError, match=r"sources\.bank\.max_value_bytes"):
        one(b"x" * 11, limit=10)
