"""The page about topics lists exactly the headers, keys and fields that the code writes."""

from __future__ import annotations

import json

from bridge.core import beginning, changes, jobs, pod_report
from bridge.core.beginning import Beginning, TopicPlaces
from bridge.core.moves import Move
from bridge.core.switches import EventTypes, Switch, key_of
from bridge.dead_letters.hold import Hold, HoldKey
from bridge.dead_letters.letter import Address, Fate, Settlement
from bridge.dead_letters.park import letter_facts
from bridge.dead_letters.topic import LAST_OFFSET, RAW_OF, DeadLetterTopic, Reason
from bridge.errors import RecordTooLarge
from bridge.formats.resent import packed, packed_mark
from bridge.history.batch import Writer
from bridge.history.encoding import batch_headers
from bridge.kafka import topic_setup
from bridge.model import Event, Header, LaneKey, Partition, Record, RedriveMark, Resend, StoredRequest
from bridge.pipeline.replay.marks import MarkedDeadLetters
from tests.support.attempts import attempt_at, encoded, entry_of
from tests.support.fake_producer import FakeProducer
from tools import topics

RECORD = Record(Partition("orders", 2), 7, 1_000, b"key", b"{}", (("traceparent", b"00"),))
STORED = StoredRequest("POST", "https://crm.test/***", (), "1", "t", "", "e", None, None)
LANE = LaneKey("orders", 2, b"key", "default")
MOVE = Move("id", "crm", Partition("orders", 2), True, 7, "2026-01-01T00:00:00Z", "anna")
PAGE = next(iter(topics.render().values()))


def own(headers: tuple[Header, ...] | list[Header]) -> set[str]:
    return {name for name, _ in headers if name.startswith("hookferry-")}


async def test_a_parked_record_has_the_headers_of_the_page() -> None:
    event = Event(
        record=RECORD, source="s", id="1", type="t", time="", entity="e", tenant="default", lane=LANE,
        payload=dict, index=3,
    )  # fmt: skip
    event.resend = Resend(RECORD, "crm", "id", 3, "", "evt_1", STORED, "0:7:0")
    producer = FakeProducer()
    details = {**letter_facts(event, 5, 400), "held-behind": "orders-2@6", RAW_OF: "batch", LAST_OFFSET: "9"}
    replayed = MarkedDeadLetters(DeadLetterTopic(producer, "g.parked"), "replay-1")
    await replayed.park(RECORD, Reason("cause", "remedy", "crm", details))
    assert own([*producer.written[0].headers]) == topics.PARKED_HEADERS.keys()


async def test_a_stub_has_the_further_headers_of_the_page() -> None:
    big = RECORD._replace(key=b"k" * 40_000, headers=(("long", b"h" * 40_000),))
    too_large = RecordTooLarge("write", "too large", "…")
    producer = FakeProducer(lambda record: too_large if record.plain_bytes > 20_000 else None)
    await DeadLetterTopic(producer, "g.parked", stubs=True).park(big, Reason("cause", "remedy"))
    headers = own([*producer.written[0].headers])
    assert headers - topics.PARKED_HEADERS.keys() == topics.STUB_HEADERS.keys()


async def test_a_record_without_key_and_value_has_the_further_header_of_the_page() -> None:
    producer, nothing = FakeProducer(), RECORD._replace(key=None, value=None)
    await DeadLetterTopic(producer, "g.parked").park(nothing, Reason("cause", "remedy"))
    resent = packed(Resend(nothing, "crm", "id", 3, "round"))
    assert own([*producer.written[0].headers]) - topics.PARKED_HEADERS.keys() == topics.NULL_HEADERS.keys()
    assert own(resent) - topics.AGAIN_HEADERS.keys() == topics.NULL_HEADERS.keys()


def test_a_marker_has_the_headers_of_the_page() -> None:
    marker = Settlement(Address(2, 7), Fate.REDRIVEN, 1, "anna", "reason", "id")
    assert own(marker.headers()) == topics.MARKER_HEADERS.keys()


def test_a_redriven_record_has_the_headers_of_the_page() -> None:
    resend = Resend(RECORD, "crm", "id", 3, "round", "evt_1", STORED, "0:7:0")
    assert own(packed(resend)) == topics.AGAIN_HEADERS.keys()


def test_a_mark_has_the_headers_of_the_page() -> None:
    mark = RedriveMark("crm", LANE, "id", "round", 4)
    assert own(packed_mark(mark)) == topics.MARK_HEADERS.keys()


def test_a_switch_has_the_fields_of_the_page() -> None:
    assert (
        json.loads(Switch(False, "2026-01-01", "anna", "why").to_bytes()).keys()
        == topics.SWITCH_FIELDS.keys()
    )


def test_a_hold_has_the_fields_of_the_page() -> None:
    hold = Hold(LANE, 1, "orders-2@6", 1, "orders-2@7", 2, "round", "e", "id")
    assert json.loads(hold.to_bytes()).keys() == topics.HOLD_FIELDS.keys()


def test_a_move_has_the_fields_of_the_page() -> None:
    assert json.loads(MOVE.to_bytes()).keys() == topics.MOVE_FIELDS.keys()


def test_a_beginning_has_the_fields_of_the_page() -> None:
    document = json.loads(Beginning("", {"orders": TopicPlaces("id", frozenset({0}), {1: 5})}).to_bytes())
    fields = {"began", *(f"topics.<topic>.{name}" for name in document["topics"]["orders"])}
    assert fields == topics.BEGINNING_FIELDS.keys()


def test_a_batch_of_attempts_has_the_headers_fields_and_columns_of_the_page() -> None:
    attempts = [attempt_at(1)]
    assert own(batch_headers([*map(entry_of, attempts)])) == topics.ATTEMPTS_HEADERS.keys()
    document = json.loads(encoded(Writer("p", "crm", 1), attempts).partition(b"\n")[0])
    assert document.keys() == topics.ATTEMPTS_FIELDS.keys()
    assert document["columns"].keys() | document["same"].keys() == topics.ATTEMPTS_COLUMNS.keys()


def test_the_keys_of_the_control_topic_are_those_of_the_page() -> None:
    keys = {
        key_of("<endpoint>"),
        key_of(EventTypes("<pattern>", "<endpoint>")),
        HoldKey("<endpoint>", "<lane id>").to_bytes(),
        beginning.key_of("<endpoint>"),
        jobs.key_of("<id>"),
        changes.PREFIX + b"<instant>-<random>",
        MOVE._replace(id="<id>", endpoint="<endpoint>").key.replace(b"orders/2", b"<topic>/<partition>"),
        pod_report.key_of("<name>"),
    }
    assert {key.decode() for key in keys} == topics.CONTROL_KEYS.keys()


def test_the_page_has_the_configuration_of_every_topic_that_is_created() -> None:
    for name in ("AGAIN_CONFIGS", "PARKED_CONFIGS", "CONTROL_CONFIGS", "ATTEMPTS_CONFIGS"):
        for setting, value in getattr(topic_setup, name).items():
            assert f"`{setting}={value}`" in PAGE


def test_every_header_and_field_is_on_the_page() -> None:
    tables = (
        topics.PARKED_HEADERS, topics.MARKER_HEADERS, topics.AGAIN_HEADERS, topics.MARK_HEADERS,
        topics.SWITCH_FIELDS, topics.HOLD_FIELDS, topics.STUB_HEADERS, topics.NULL_HEADERS,
        topics.MOVE_FIELDS, topics.BEGINNING_FIELDS, topics.ATTEMPTS_HEADERS,
        topics.ATTEMPTS_FIELDS, topics.ATTEMPTS_COLUMNS,
    )  # fmt: skip
    assert all(f"| `{name}` |" in PAGE for table in tables for name in table)
