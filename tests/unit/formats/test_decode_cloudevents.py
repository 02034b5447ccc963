from itertools import product

import orjson
import pytest

from bridge.core.filter import Filter
from bridge.errors import DecodeError
from bridge.formats.cloudevents import CloudEventsDecoder, join_id
from bridge.rendering.named import NAMED
from bridge.rendering.template import TemplateBody
from tests.support.records import LIMIT, record
from tests.support.sample_records import BINARY, ENVELOPE, STRUCTURED


def decode_one(value, headers=STRUCTURED, *, key=b"k", limit=LIMIT):
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    (event,) = CloudEventsDecoder("things", max_value_bytes=limit).decode(
        record(raw, key=key, headers=headers)
    )
    return event


def test_a_structured_event_is_decoded():
    event = decode_one(ENVELOPE)
    assert event.id == "/bank/loans A1"
    assert (event.type, event.entity, event.time) == ("loan.approved", "loan-42", "2026-06-29T08:15:30.5Z")
    assert event.payload() == {"n": 1}
    assert event.tenant is None
    assert event.lane == ("topic", 3, b"k", "")
    assert event.context == {
        "source": "/bank/loans",
        "subject": "loan-42",
        "dataschema": "https://bank.example/loan.json",
        "datacontenttype": "application/json",
        "priority": 3,
        "urgent": True,
    }


def test_a_binary_event_is_decoded():
    headers = (
        *BINARY,
        ("ce_time", b"2026-06-29T08:15:30Z"),
        ("ce_subject", b"loan-42"),
        ("ce_tracer", b"x"),
        ("content-type", b"application/vnd.bank+json; charset=utf-8"),
        ("other", b"\xff"),
    )
    event = decode_one(b'{"n": 1}', headers, key=None)
    assert event.id == "/bank/loans A1"
    assert event.payload() == {"n": 1}
    assert event.payload() is event.payload(), "decoded once"
    assert event.lane == ("topic", 3, "loan-42", "")
    assert event.context == {
        "source": "/bank/loans",
        "subject": "loan-42",
        "tracer": "x",
        "datacontenttype": "application/vnd.bank+json; charset=utf-8",
    }


def test_the_content_type_in_any_case_selects_the_mode():
    assert decode_one(ENVELOPE, (("Content-Type", b"Application/CloudEvents"),)).id == "/bank/loans A1"


def test_an_event_has_the_same_id_in_both_modes():
    structured, binary = decode_one(ENVELOPE), decode_one(b"{}", BINARY)
    assert structured.id == binary.id
    assert structured.webhook_id == binary.webhook_id


def test_no_two_pairs_of_source_and_id_join_to_one_key():
    parts = ["", "a", " ", "\\", "a b", "a\\ b", "a\\", " b", "\\ ", "b"]
    pairs = list(product(parts, parts))
    assert len({join_id(source, id_) for source, id_ in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("content_type", "raw", "payload"),
    [
        (b"", b'{"a": 1}', {"a": 1}),
        (b"application/json", b"", None),
        (b"text/plain; charset=utf-8", "né".encode(), "né"),
        (b"application/avro", b"\xc3\x01", b"\xc3\x01"),
    ],
)
def test_binary_data_follows_its_content_type(content_type, raw, payload):
    assert decode_one(raw, (*BINARY, ("content-type", content_type))).payload() == payload


def test_base64_data_becomes_bytes():
    envelope = {name: value for name, value in ENVELOPE.items() if name != "data"}
    assert decode_one({**envelope, "data_base64": "wwE="}).payload() == b"\xc3\x01"
    assert decode_one(envelope).payload() is None
    for wrong in ("w", "w\u00e9==", 5, ["a"]):
        event = decode_one({**envelope, "data_base64": wrong})
        with pytest.raises(DecodeError, match="base64"):
            event.payload()


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
def test_the_error_names_a_missing_required_attribute(missing):
    with pytest.raises(DecodeError, match=f"'{missing}'"):
        decode_one({name: value for name, value in ENVELOPE.items() if name != missing})
    with pytest.raises(DecodeError, match=f"'{missing}'"):
        decode_one(b"{}", tuple(header for header in BINARY if header[0] != f"ce_{missing}"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"specversion": "2.0"}, "2.0"),
        ({"id": 5}, "'id'"),
        ({"data_base64": "AA=="}, "both"),
        ({"ext": {"a": 1}}, "ext"),
    ],
)
def test_a_malformed_attribute_is_an_error(change, match):
    with pytest.raises(DecodeError, match=match):
        decode_one({**ENVELOPE, **change})


@pytest.mark.parametrize("time", ["soon", 5, ["a"], {"a": 1}, True])
def test_a_time_that_is_none_is_the_record_time(time):
    event = decode_one({**ENVELOPE, "time": time})
    assert (event.time, event.time_source) == ("2023-11-14T22:13:20.123Z", "record")
    assert [field.setting for field in event.refused] == ["time"]


def test_a_subject_that_is_no_scalar_is_left_out():
    event = decode_one({**ENVELOPE, "subject": ["a"]})
    assert (event.entity, "subject" in event.context) == (None, False)
    assert [field.setting for field in event.refused] == ["entity"]


def test_a_time_and_a_subject_that_are_not_utf_8_park_no_event():
    event = decode_one(b"{}", (*BINARY, ("ce_time", b"\xff"), ("ce_subject", b"\xff")))
    assert (event.entity, event.time_source) == (None, "record")
    assert [field.setting for field in event.refused] == ["time", "entity"]


def test_a_batch_and_other_event_formats_are_refused_with_the_reason():
    with pytest.raises(DecodeError, match="batch"):
        decode_one([ENVELOPE], (("content-type", b"application/cloudevents-batch+json"),))
    with pytest.raises(DecodeError, match="cloudevents\\+avro"):
        decode_one(b"", (("content-type", b"application/cloudevents+avro"),))


@pytest.mark.parametrize("raw", [b"", b"[]", b"nonsense", b"5"])
def test_a_structured_value_that_is_not_an_object_is_an_error(raw):
    with pytest.raises(DecodeError):
        decode_one(raw)


def test_damaged_bytes_raise_decode_errors():
    with pytest.raises(DecodeError, match="ce_id"):
        decode_one(b"{}", (*BINARY, ("ce_id", b"\xff")))
    with pytest.raises(DecodeError, match="UTF-8"):
        decode_one(b"\xff", (*BINARY, ("content-type", b"text/plain"))).payload()
    with pytest.raises(DecodeError, match="not JSON"):
        decode_one(b"\xff", BINARY).payload()


def test_a_missing_time_is_replaced_by_the_records_timestamp():
    assert decode_one(b"{}", BINARY).time == "2023-11-14T22:13:20.123Z"


def test_the_size_is_checked_before_the_content():
    with pytest.raises(DecodeError, match=r"sources\.things\.max_value_bytes"):
        decode_one(b"x" * 11, (), limit=10)


def test_extensions_are_sent_with_the_type_they_came_with():
    extensions = {"flag": True, "off": False, "five": 5, "text": "5", "exact": 1, "level": "true"}
    raw = orjson.dumps({**ENVELOPE, **extensions}).replace(b'"exact":1', b'"exact":12345678901234567.89')
    event = decode_one(raw)
    _, body = NAMED["cloudevents"](event)
    assert orjson.loads(body) == {
        **{name: value for name, value in ENVELOPE.items() if name != "unset"},
        **extensions,
        "exact": 12345678901234567.89,
    }
    assert b'"exact":12345678901234567.89' in body
    headers, _ = NAMED["cloudevents-binary"](event)
    sent = {name: value for name, value in headers if name.startswith(b"ce-")}
    assert (sent[b"ce-flag"], sent[b"ce-five"], sent[b"ce-text"]) == (b"true", b"5", b"5")
    assert sent[b"ce-exact"] == b"12345678901234567.89"


def test_filters_and_templates_read_extensions_with_their_type():
    event = decode_one(ENVELOPE)
    assert Filter("context.priority > 2 and context.urgent").matches(event)
    _, body = TemplateBody({}, "{{ context.priority }} {{ context.urgent }}", "text/plain")(event)
    assert body == b"3 true"


def test_extensions_of_binary_mode_are_text():
    event = decode_one(b"{}", (*BINARY, ("ce_flag", b"true"), ("ce_five", b"5")))
    assert (event.context["flag"], event.context["five"]) == ("true", "5")


@pytest.mark.parametrize("name", ["datacontenttype", "dataschema", "subject"])
def test_attributes_that_are_text_by_the_standard_stay_text(name):
    event = decode_one({**ENVELOPE, name: 5})
    assert event.context[name] == "5"
    assert all(NAMED[body](event) for body in ("cloudevents", "cloudevents-binary", "raw"))
