from decimal import Decimal

import pytest

from bridge.demo.fineract_wire import encode_envelope, encode_key, encode_single_object
from bridge.errors import DecodeError
from bridge.formats.avro.schema_set import SchemaSet
from bridge.formats.fineract import FineractDecoder, read_envelope
from tests.support.fineract_records import DEMO, GOOD, LOAN, VALUE, envelope
from tests.support.records import LIMIT, record


def decode_one(raw, *, key=None, schemas=DEMO, limit=LIMIT):
    key = encode_key(42) if key is None else key
    (event,) = FineractDecoder("bank", schemas, max_value_bytes=limit).decode(record(raw, key=key))
    return event


@pytest.mark.parametrize("long_id", [False, True])
def test_both_envelope_layouts_are_decoded(long_id):
    event = decode_one(encode_envelope(envelope(), long_id=long_id))
    assert event.id == "ABDA146D-68b5-48ca-b527-16d2b7c5daef"
    assert event.webhook_id.startswith(f"{event.id.lower()}_")
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
    assert event.payload() is event.payload(), "decoded once"


def test_an_event_without_an_aggregate_has_no_entity_and_no_lane():
    event = decode_one(encode_envelope(envelope()), key=encode_key(-1))
    assert event.entity is None
    assert event.lane is None


def test_two_tenants_with_the_same_key_have_different_lanes():
    first = decode_one(encode_envelope(envelope(tenant_id="a")))
    second = decode_one(encode_envelope(envelope(tenant_id="b")))
    assert first.lane != second.lane


def test_a_key_of_another_length_still_selects_a_lane():
    event = decode_one(encode_envelope(envelope()), key=b"custom")
    assert event.entity is None
    assert event.lane == ("topic", 3, b"custom", "default")


def test_a_missing_or_invalid_created_at_is_the_record_time():
    for created_at in ("", "yesterday", "0001-01-01T00:00:00Z"):
        event = decode_one(encode_envelope(envelope(created_at=created_at)))
        assert (event.time, event.time_source) == ("2023-11-14T22:13:20.123Z", "record")
        assert [field.setting for field in event.refused] == (["time"] if created_at else [])


@pytest.mark.parametrize("field", ["idempotency_key", "type"])
def test_an_empty_id_or_type_is_an_error(field):
    with pytest.raises(DecodeError, match="is empty"):
        decode_one(encode_envelope(envelope(**{field: ""})))


@pytest.mark.parametrize("length", [0, 1, 63, 64, 127, 128, 8191, 8192, 70_000])
def test_lengths_of_every_width_are_decoded(length):
    sent = envelope(source="s" * length, data=b"d" * length)
    assert read_envelope(encode_envelope(sent)) == sent


def test_amounts_are_decoded_exactly():
    """Fineract's precision is 27 digits. More digits are kept, because rounding would go unnoticed."""
    (schema,) = DEMO.named(LOAN)
    for text in ("9999999999999999999.99999999", "-0.00000001", "0.00000000", "1" * 300 + ".12345678"):
        data = encode_single_object(schema.parsed, schema.fingerprint, {**VALUE, "principal": Decimal(text)})
        payload = decode_one(encode_envelope(envelope(data=data))).payload()
        assert f"{payload['principal']:f}" == text


def test_an_unknown_fingerprint_fails_only_the_payload_and_names_schema_and_remedy():
    event = decode_one(encode_envelope(envelope()), schemas=SchemaSet())
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


def test_the_fingerprint_selects_the_schema_not_the_name_in_the_envelope():
    raw = encode_envelope(envelope(dataschema="org.hookferry.demo.v1.SavingsEventDataV1"))
    assert decode_one(raw).payload() == VALUE


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (lambda data: data + b"\0\0", "2 bytes are left over after the value"),
        (lambda data: data[:-1], "end inside a value"),
        (lambda data: data[:9], "header"),
        (lambda data: b"", "header"),
        (lambda data: b"\0" * 20, "header"),
    ],
)
def test_a_payload_must_match_its_schema_to_the_last_byte(data, match):
    event = decode_one(encode_envelope(envelope(data=data(envelope().data))))
    with pytest.raises(DecodeError, match=match):
        event.payload()


def test_bytes_of_a_similar_layout_are_refused():
    """Schemas change in place; here the bytes of savings carry the fingerprint of a loan."""
    loan, savings = DEMO.named(LOAN)[0], DEMO.named("org.hookferry.demo.v1.SavingsEventDataV1")[0]
    data = encode_single_object(
        savings.parsed,
        loan.fingerprint,
        {"id": 1, "accountNo": "1", "currencyCode": "KES", "status": "ACTIVE"},
    )
    with pytest.raises(DecodeError):
        decode_one(encode_envelope(envelope(data=data))).payload()


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"", "begins with nothing"),
        (b"\xc3", "begins with c3"),
        (b'{"a": 1}', "looks like JSON"),
        (b"\0\0\0\0\1abc", "schema registry"),
        (b"\xc3\x01" + b"\1" * 8, "not a fingerprint of MessageV1"),
        (GOOD[:10], "cut short"),
        (GOOD[:-1], "end inside"),
        (GOOD[:60], "end inside"),
        (GOOD + b"\0", "1 bytes are left over after it"),
        (GOOD[:10] + b"\0\1", "length of -1"),
        (GOOD[:10] + b"\0\xff\xff\xff\xff\x7f", "length of -"),
        (GOOD[:10] + b"\0\xfe\xff\xff\xff\x0f" + b"a" * 40, "end inside"),
        (GOOD[:10] + b"\xff" * 12, "64 bits"),
        (GOOD[:10] + b"\0\2\xff" + b"\0" * 8, "UTF-8"),
    ],
)
def test_the_error_for_a_damaged_envelope_names_the_cause(raw, match):
    with pytest.raises(DecodeError, match=match):
        decode_one(raw)


def test_the_size_is_checked_before_the_content():
    with pytest.raises(DecodeError, match=r"sources\.bank\.max_value_bytes"):
        decode_one(b"x" * 11, limit=10)
