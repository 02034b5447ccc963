"""Bulk events of Fineract: split into their items, or delivered as one event."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.demo.fineract_wire import encode_envelope, encode_key, encode_single_object
from bridge.errors import DecodeError
from bridge.formats.avro.bounds import MalformedBytes
from bridge.formats.avro.schema_set import SchemaSet, compile_schema
from bridge.formats.avro.single_object import MARKER
from bridge.formats.fineract import Envelope, FineractDecoder
from bridge.formats.fineract.bulk import BULK, BULK_HEADERS, MAX_ITEMS, Item, read_items
from bridge.model import Event
from tests.support.fineract_bulk import encode_bulk
from tests.support.fineract_records import DEMO, LOAN, VALUE
from tests.support.records import LIMIT, record

KEY = "22222222-3333-4444-8555-666666666666"


def loan(number: int) -> bytes:
    (schema,) = DEMO.named(LOAN)
    return encode_single_object(schema.parsed, schema.fingerprint, {**VALUE, "id": number})


ITEMS = [
    Item(1, "LoanAdjustTransactionBusinessEvent", "nocategory", LOAN, loan(1)),
    Item(2, "LoanBalanceChangedBusinessEvent", "nocategory", LOAN, loan(2)),
    Item(7, "LoanAdjustTransactionBusinessEvent", "nocategory", LOAN, loan(7)),
]


def raw(data: bytes, dataschema: str = BULK) -> bytes:
    return encode_envelope(
        Envelope(
            122, "server-1", "BulkBusinessEvent", "Bulk", "2026-06-29T08:15:30.123456", "2026-06-28", "acme",
            KEY, dataschema, data,
        )
    )  # fmt: skip


def split(data: bytes, *, key: int = 42, schemas: SchemaSet = DEMO, **options: Any) -> tuple[Event, ...]:
    decoder = FineractDecoder("bank", schemas, max_value_bytes=LIMIT, **options)
    return decoder.decode(record(raw(data), key=encode_key(key)))


@pytest.mark.parametrize("long_id", [False, True])
def test_each_item_becomes_one_event_in_the_order_of_the_record(long_id: bool) -> None:
    events = split(encode_bulk(ITEMS, long_id=long_id))
    assert [event.type for event in events] == [item.type for item in ITEMS]
    assert [event.payload()["id"] for event in events] == [1, 2, 7]
    assert [event.id for event in events] == [f"{KEY}:1", f"{KEY}:2", f"{KEY}:7"]
    assert [event.index for event in events] == [1, 2, 3]
    assert {event.lane for event in events} == {("topic", 3, encode_key(42), "acme")}
    assert {(event.entity, event.tenant) for event in events} == {("42", "acme")}
    assert {event.time for event in events} == {"2026-06-29T08:15:30.123456Z"}
    assert events[0].context == {
        "category": "nocategory", "businessDate": "2026-06-28", "dataschema": LOAN, "id": "122",
        "source": "server-1",
    }  # fmt: skip


def test_webhook_ids_of_items_are_stable_and_distinct() -> None:
    ids = [event.webhook_id for event in split(encode_bulk(ITEMS))]
    assert ids == [event.webhook_id for event in split(encode_bulk(ITEMS))]
    assert len(set(ids)) == 3
    assert all(one.startswith("evt_") and len(one) == 36 for one in ids)
    twice = split(encode_bulk([ITEMS[0], ITEMS[0]]))
    assert twice[0].webhook_id != twice[1].webhook_id, "an id that Fineract gave twice is no duplicate"


def test_items_without_an_aggregate_share_a_lane_of_their_own() -> None:
    events = split(encode_bulk(ITEMS), key=-1)
    (lane,) = {event.lane for event in events}
    assert lane is not None
    assert {event.entity for event in events} == {None}
    other = FineractDecoder("bank", DEMO, max_value_bytes=LIMIT).decode(
        record(raw(encode_bulk(ITEMS)), key=encode_key(-1))._replace(offset=18)
    )
    assert other[0].lane != lane


def test_splitting_needs_no_schema_and_an_unknown_schema_affects_only_its_item() -> None:
    other = Item(3, "OtherEvent", "nocategory", "org.example.OtherV1", MARKER + b"\7" * 12)
    *known, unknown = split(encode_bulk([*ITEMS, other]))
    assert [event.payload()["id"] for event in known] == [1, 2, 7]
    with pytest.raises(DecodeError, match=r"item 4.*0707070707070707.*org\.example\.OtherV1"):
        unknown.payload()


def test_an_unsplit_bulk_record_is_one_event_with_every_item_decoded() -> None:
    (event,) = split(encode_bulk(ITEMS), split_bulk=False)
    assert (event.type, event.index, event.webhook_id[:37]) == ("BulkBusinessEvent", 0, f"{KEY}_")
    payload = event.payload()
    assert [(item["id"], item["data"]["id"]) for item in payload["datas"]] == [(1, 1), (2, 2), (7, 7)]
    assert payload["datas"][0].keys() == {"id", "type", "category", "dataschema", "data"}


def test_an_unsplit_bulk_record_with_an_unknown_schema_fails_and_names_the_item() -> None:
    (event,) = split(encode_bulk(ITEMS), schemas=SchemaSet(), split_bulk=False)
    assert event.type == "BulkBusinessEvent"
    with pytest.raises(DecodeError, match=r"item 1.*no schema"):
        event.payload()


def test_a_bulk_event_inside_a_bulk_event_is_not_split() -> None:
    inner = Item(1, "BulkBusinessEvent", "nocategory", BULK, encode_bulk(ITEMS))
    (event,) = split(encode_bulk([inner]))
    assert event.type == "BulkBusinessEvent"
    with pytest.raises(DecodeError, match="no schema"):
        event.payload()


def test_an_empty_bulk_event_has_no_events() -> None:
    assert split(encode_bulk([])) == ()


def test_a_bulk_record_in_an_imported_layout_is_split() -> None:
    fields = [("id", "long"), ("type", "string"), ("category", "string"), ("more", "string"),
              ("dataschema", "string"), ("data", "bytes")]  # fmt: skip
    item = {"type": "record", "name": "BulkMessageItemV1",
            "fields": [{"name": name, "type": kind} for name, kind in fields]}  # fmt: skip
    datas = {"name": "datas", "type": {"type": "array", "items": item}}
    space, _, name = BULK.rpartition(".")
    schema = compile_schema({"type": "record", "name": name, "namespace": space, "fields": [datas]})
    known = SchemaSet({**DEMO.by_fingerprint, schema.fingerprint: schema})
    data = encode_single_object(
        schema.parsed, schema.fingerprint, {"datas": [one._asdict() | {"more": "x"} for one in ITEMS]}
    )
    assert [event.payload()["id"] for event in split(data, schemas=known)] == [1, 2, 7]
    with pytest.raises(DecodeError, match=f"{schema.fingerprint.hex()}.*BulkMessagePayloadV1"):
        split(data)


GOOD = encode_bulk(ITEMS)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (GOOD[:-1], "cut short|end inside"),
        (GOOD[:40], "a length of"),
        (GOOD + b"\0", "1 bytes are left over after the items"),
        (GOOD[:10] + b"\xfe\xff\xff\xff\x0f" + GOOD[11:], "2147483647 items"),
        (GOOD[:12] + b"\xfe\xff\xff\xff\x0f" + GOOD[13:], "a length of 2147483647 bytes"),
        (GOOD[:12] + b"\x01" + GOOD[13:], "a length of -1 bytes"),
        (BULK_HEADERS[0] + b"\x02\x02\x02\xff\0\0\0\0", "UTF-8"),
        (BULK_HEADERS[0] + b"\x02\x02\0\0\0\0\0", "the item's type is empty"),
        (b"", "no Avro single-object header"),
        (loan(1), "datas"),
    ],
)
def test_a_damaged_bulk_event_is_rejected_as_a_whole(data: bytes, match: str) -> None:
    with pytest.raises(DecodeError, match=match):
        split(data)


def test_blocks_may_have_a_size_and_there_may_be_several() -> None:
    one, two = encode_bulk(ITEMS[:1]), encode_bulk(ITEMS[1:])
    sized = BULK_HEADERS[1] + b"\x01" + b"\x02" + one[11:-1] + two[10:]
    assert [item.id for item in read_items(sized)] == [1, 2, 7]


def test_too_many_items_are_refused_before_any_event_is_created() -> None:
    few = [Item(1, "t", "", "", b"")] * MAX_ITEMS
    assert len(read_items(encode_bulk(few))) == MAX_ITEMS
    with pytest.raises(MalformedBytes, match="10001 items"):
        read_items(encode_bulk([*few, few[0]]))
    blocks = encode_bulk(few)[:-1] + encode_bulk(few[:1])[10:]
    with pytest.raises(MalformedBytes, match="10001 items"):
        read_items(blocks)
