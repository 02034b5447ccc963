"""For any bytes a decoder returns events or raises DecodeError, nothing else."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.demo.fineract_wire import encode_envelope
from bridge.errors import DecodeError
from bridge.formats.avro.schema_set import SchemaSet
from bridge.formats.avro.single_object import MARKER
from bridge.formats.cloudevents import CloudEventsDecoder
from bridge.formats.fineract import FineractDecoder
from bridge.formats.fineract.bulk import BULK, BULK_HEADERS, Item
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.schemas.folder import read_folder
from tests.support.avro_schemas import EVERYTHING, encoded
from tests.support.damaged_records import ANY_JSON, damaged
from tests.support.fineract_bulk import encode_bulk
from tests.support.fineract_records import DEMO, GOOD, LOAN, envelope
from tests.support.records import LIMIT, record, shared_fineract, shared_json
from tests.support.sample_records import BINARY, ENVELOPE, STRUCTURED

ALL = SchemaSet({**DEMO.by_fingerprint, EVERYTHING.fingerprint: EVERYTHING})
FINERACT = FineractDecoder("bank", ALL, max_value_bytes=LIMIT)
CLOUDEVENTS = CloudEventsDecoder("things", max_value_bytes=LIMIT)
JSON = PlainJsonDecoder(
    "orders", id="id", type="type", entity="a.0", time="time", data="data", tenant="t", max_value_bytes=LIMIT
)
RICH = encode_envelope(envelope(data=MARKER + EVERYTHING.fingerprint + encoded()))


def survive(decoder, raw, headers=(), key=b"k"):
    try:
        events = decoder.decode(record(raw, headers=headers, key=key))
        for event in events:
            event.payload()
    except DecodeError:
        return
    for event in events:
        assert event.id
        assert event.type
        assert event.webhook_id


@settings(deadline=None, max_examples=1500)
@given(damaged(GOOD, RICH), st.none() | st.binary(max_size=9))
def test_damaged_fineract_records_raise_only_decode_errors(raw, key):
    survive(FINERACT, raw, key=key)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_after_valid_headers_raise_only_decode_errors(raw):
    survive(FINERACT, raw)
    survive(FINERACT, GOOD[:10] + raw)
    for schema in ALL.by_fingerprint.values():
        survive(FINERACT, encode_envelope(envelope(data=MARKER + schema.fingerprint + raw)))


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_damaged_real_fineract_records_raise_only_decode_errors(data):
    samples = [bytes.fromhex(sample["value_hex"]) for sample in shared_json("sample-records.json")]
    survive(real(), data.draw(damaged(*samples)))


def real(cache=[]):  # noqa: B006 - loaded once
    if not cache:
        schemas = read_folder(shared_fineract() / "schemas")
        cache.append(FineractDecoder("bank", schemas, max_value_bytes=LIMIT))
    return cache[0]


VALID_JSON = orjson.dumps(
    {"id": "1", "type": "t", "a": ["e"], "time": "2026-06-29T08:15:30Z", "data": {}, "t": "x"}
)


@settings(deadline=None, max_examples=500)
@given(damaged(VALID_JSON, b'"\\ud800"', b'{"id":"\\ud800","type":"t","data":1}'))
def test_damaged_json_raises_only_decode_errors(raw):
    survive(JSON, raw)


@settings(deadline=None, max_examples=500)
@given(st.dictionaries(st.sampled_from(["id", "type", "a", "time", "data", "t"]), ANY_JSON))
def test_json_of_any_shape_raises_only_decode_errors(document):
    survive(JSON, orjson.dumps(document))


@settings(deadline=None, max_examples=500)
@given(st.dictionaries(st.sampled_from([*ENVELOPE, "data_base64", "ext"]), ANY_JSON))
def test_cloudevents_of_any_shape_raise_only_decode_errors(changes):
    survive(CLOUDEVENTS, orjson.dumps({**ENVELOPE, **changes}), STRUCTURED)


@settings(deadline=None, max_examples=500)
@given(
    st.binary(max_size=30),
    st.lists(
        st.tuples(
            st.sampled_from([name for name, _ in BINARY] + ["ce_", "ce_time", "ce_x", "content-type", ""]),
            st.binary(max_size=12)
            | st.sampled_from([b"application/json", b"text/x", b"application/cloudevents"]),
        ),
        max_size=4,
    ),
)
def test_binary_cloudevents_with_any_headers_raise_only_decode_errors(raw, headers):
    survive(CLOUDEVENTS, raw, (*BINARY, *headers))


BULKS = [
    encode_bulk([Item(1, "T", "nocategory", LOAN, envelope().data), Item(2, "U", "", LOAN, b"")]),
    encode_bulk([Item(1, "T", "", BULK, encode_bulk([Item(1, "T", "", BULK, encode_bulk([]))]))]),
    encode_bulk([Item(1, "T", "", LOAN, b"x" * 300)] * 70),
]


@settings(deadline=None, max_examples=1000)
@given(damaged(*BULKS), st.booleans(), st.none() | st.binary(max_size=9))
def test_damaged_bulk_events_raise_only_decode_errors(data, whole, key):
    decoder = FineractDecoder("bank", ALL, max_value_bytes=LIMIT, split_bulk=not whole)
    survive(decoder, encode_envelope(envelope(data=data, dataschema=BULK)), key=key)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_after_a_bulk_header_raise_only_decode_errors(raw):
    for header in BULK_HEADERS:
        survive(FINERACT, encode_envelope(envelope(data=header + raw)))


@pytest.mark.parametrize("raw", [RICH, GOOD])
def test_every_truncation_of_a_record_is_refused(raw):
    for length in range(len(raw)):
        with pytest.raises(DecodeError):
            FINERACT.decode(record(raw[:length]))
