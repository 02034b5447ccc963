"""One rule for duplicate header names, the last counts everywhere, and a null value stays null."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bridge.cli.parked_output import page, whole
from bridge.core.filter import Filter
from bridge.core.routing import Router, Subscription
from bridge.dead_letters.letter import Letter, to_letter
from bridge.dead_letters.topic import DeadLetterTopic, Reason
from bridge.errors import DecodeError
from bridge.formats.cloudevents import CloudEventsDecoder
from bridge.formats.detect import detect_format
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.formats.registry.framing import read_apicurio_frame, read_confluent_frame
from bridge.formats.resent import packed, unpacked
from bridge.kafka.producer import NewRecord
from bridge.model import Event, Header, Partition, Record, Resend
from bridge.rendering.template import TemplateBody
from tests.support.fetched import read_log
from tests.support.record_batches import RawBatch, RawRecord
from tests.support.records import LIMIT, record

NULLS: tuple[Header, ...] = (("x", None), ("y", b""), ("x", b"1"), ("z", b"2"), ("z", None))


def decode(headers: tuple[Header, ...], **paths: str) -> Event:
    places = {"id": "header:id", "type": "header:type", **paths}
    decoder = PlainJsonDecoder("orders", max_value_bytes=LIMIT, **places)  # type: ignore[arg-type]
    (event,) = decoder.decode(record(b'{"a": 1}', headers=headers))
    return event


def an_event(*headers: Header) -> Event:
    return decode((("id", b"1"), ("type", b"T"), *headers))


def test_a_record_is_read_with_its_null_headers() -> None:
    batch = RawBatch(17, [RawRecord(headers=[(name.encode(), value) for name, value in NULLS])])
    (read,) = read_log(batch.pack(), 18, topic="t", position=17).records
    assert (read.partition, read.offset, read.headers) == (Partition("t", 0), 17, NULLS)


async def parked_letter(origin: Record) -> Letter:
    """Park the record, and read its letter from what was written."""
    written: list[NewRecord] = []

    class Writer:
        async def write(self, record: NewRecord) -> None:
            written.append(record)

    await DeadLetterTopic(Writer(), "g.parked").park(origin, Reason("status 400", "fix it", "crm"))
    (new,) = written
    letter = to_letter(Record(Partition("g.parked", 0), 5, 0, new.key, new.value, tuple(new.headers)))
    assert letter is not None
    return letter


@pytest.mark.parametrize("value", [None, b"", b"v"])
async def test_null_headers_and_values_survive_parking_and_redriving(value: bytes | None) -> None:
    origin = record(value, headers=NULLS)
    letter = await parked_letter(origin)
    assert letter.origin == origin
    resend = Resend(letter.origin, "crm", "x1")
    sent = Record(Partition("g.again", 3), 1, 0, origin.key, origin.value, packed(resend))
    assert unpacked(sent) == resend


async def test_parked_show_prints_null_headers_differently_from_empty_ones() -> None:
    letter = await parked_letter(record(b"v", headers=(("x", None), ("y", b""), ("token", None))))
    shown = whole(letter, [], 100)
    assert shown["headers"] == [["x", None], ["y", ""], ["token", None]]
    lines = list(page(shown))
    assert "header      x (null)" in lines
    assert "header      y: " in lines


@pytest.mark.parametrize("name", ["hookferry-topic", "hookferry-offset", "hookferry-again-id"])
def test_a_null_header_of_hookferry_is_no_crash(name: str) -> None:
    headers = packed(Resend(record(b"v"), "crm", "x1"))
    try:
        unpacked(record(b"v", headers=(*headers, (name, None))))
    except DecodeError:
        return
    assert name != "hookferry-offset"
    assert to_letter(record(b"v", headers=((name, None),))) is None


# The last header of a name counts ---------------------------------------------------------------


def test_sources_read_the_last_header_of_a_name() -> None:
    event = decode(
        (("id", b"1"), ("type", b"A"), ("e", b"x"), ("id", b"2"), ("type", b"B"), ("e", b"y")),
        entity="header:e",
    )
    assert (event.id, event.type, event.entity) == ("2", "B", "y")


def test_a_last_header_that_is_null_has_no_value() -> None:
    assert decode((("id", b"1"), ("type", b"A"), ("e", b"x"), ("e", None)), entity="header:e").entity is None
    with pytest.raises(DecodeError, match="no id"):
        decode((("id", b"1"), ("type", b"A"), ("id", None)))


def test_cloudevents_read_the_last_header_of_a_name() -> None:
    headers: tuple[Header, ...] = (
        ("content-type", b"application/cloudevents+json"), ("content-type", b"text/plain"),
        ("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"T"),
        ("ce_x", b"1"), ("ce_id", b"2"), ("ce_x", None), ("ce_y", None),
    )  # fmt: skip
    (event,) = CloudEventsDecoder("s", max_value_bytes=LIMIT).decode(record(b"text", headers=headers))
    assert (event.id, event.payload()) == ("/s 2", "text")
    assert event.context == {"source": "/s", "datacontenttype": "text/plain"}
    with pytest.raises(DecodeError, match="'id'"):
        CloudEventsDecoder("s", max_value_bytes=LIMIT).decode(
            record(b"", headers=(*headers, ("ce_id", None)))
        )


def test_schema_ids_are_read_from_the_last_header_of_a_name() -> None:
    name = "__value_schema_id"
    headers: tuple[Header, ...] = ((name, b"\0\0\0\0\1"), (name, b"\0\0\0\0\2"))
    assert read_confluent_frame(record(b"v", headers=headers), b"v").key.value == "2"
    value = b"\0\0\0\0\3v"
    assert read_confluent_frame(record(value, headers=(*headers, (name, None))), value).key.value == "3"
    content = "apicurio.value.contentId"
    ids: tuple[Header, ...] = tuple((content, bytes(7) + bytes([number])) for number in (1, 2))
    assert read_apicurio_frame(record(b"v", headers=ids), b"v").key.value == "2"


def test_the_format_is_detected_from_the_last_header_of_a_name() -> None:
    types: tuple[Header, ...] = (
        ("content-type", b"text/plain"),
        ("content-type", b"application/cloudevents"),
    )
    guess = detect_format(record(b"{}", headers=types))
    assert guess is not None
    assert guess.format == "cloudevents"
    assert detect_format(record(b"{}", headers=(*types, ("content-type", None)))) is None


@pytest.mark.parametrize(
    ("headers", "is_routed"),
    [
        ((("h", b"1"), ("h", b"2")), True),
        ((("h", b"2"), ("h", b"1")), False),
        ((("h", b"2"), ("h", None)), False),
    ],
)
def test_routing_and_filters_read_the_last_header_of_a_name(
    headers: tuple[Header, ...], is_routed: bool
) -> None:
    event = an_event(*headers)
    router = Router({"crm": Subscription(record_headers={"h": ("2",)})})
    ((_, passes),) = router.route(event).candidates
    assert passes is not None
    assert passes(event) is is_routed
    assert Filter('headers.h == "2"').matches(event) is is_routed


def test_templates_and_filters_read_the_last_header_and_all_of_them() -> None:
    event = an_event(*NULLS, ("bad", b"\xff"))
    source = '{"x": {{ headers.x | json }}, "z": {{ headers.z }}, "all": {{ headers_all | json }}}'
    made: dict[str, Any] = orjson.loads(TemplateBody({}, source, "application/json")(event)[1])
    every = {
        "id": ["1"], "type": ["T"], "x": [None, "1"], "y": [""], "z": ["2", None], "bad": ["\ufffd"],
    }  # fmt: skip
    assert made == {"x": "1", "z": None, "all": every}
    for text in (
        '"1" in headers_all.x', "headers_all.x[0] is none", 'headers_all.z[0] == "2"', "headers.z is none",
        "headers.z is defined", "headers_all.absent is not defined", "headers_all.x | length == 2",
    ):  # fmt: skip
        assert Filter(text).matches(event), text
