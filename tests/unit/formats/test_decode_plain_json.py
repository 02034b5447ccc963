import orjson
import pytest

from bridge.errors import DecodeError
from bridge.formats.plain_json import PlainJsonDecoder
from tests.support.records import LIMIT, record

VALUE = {
    "id": "e-1",
    "type": "order.placed",
    "at": "2026-06-29T10:15:30+02:00",
    "who": {"tenant": "acme"},
    "payload": {"lines": [{"sku": "a"}, {"sku": "b"}], "total": 3},
}


def decoder(**paths):
    return PlainJsonDecoder("orders", **{"id": "id", "type": "type", "max_value_bytes": LIMIT, **paths})


def decode_one(value, *, key=b"k", **paths):
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    (event,) = decoder(**paths).decode(record(raw, key=key))
    return event


def test_every_configured_field_path_is_used():
    event = decode_one(VALUE, entity="payload.lines.1.sku", time="at", data="payload", tenant="who.tenant")
    assert (event.id, event.type, event.entity, event.tenant) == ("e-1", "order.placed", "b", "acme")
    assert event.time == "2026-06-29T08:15:30Z"
    assert event.payload() == VALUE["payload"]
    assert event.lane == ("topic", 3, b"k", "acme")
    assert event.source == "orders"
    assert event.webhook_id.startswith("evt_")


def test_without_paths_the_payload_is_the_whole_value_and_the_time_is_the_records():
    event = decode_one(VALUE)
    assert event.payload() == VALUE
    assert event.time == "2023-11-14T22:13:20.123Z"
    assert event.entity is None
    assert event.tenant is None


def test_numbers_become_text():
    event = decode_one({"id": 18446744073709551615, "type": 7, "e": -3}, entity="e")
    assert (event.id, event.type, event.entity) == ("18446744073709551615", "7", "-3")


@pytest.mark.parametrize("id_", [b"[1]", b"{}"])
def test_an_id_that_is_no_scalar_is_refused(id_):
    with pytest.raises(DecodeError, match=r"sources\.orders\.id"):
        decode_one(b'{"id": %s, "type": "t"}' % id_)


@pytest.mark.parametrize("missing", ["id", "type"])
@pytest.mark.parametrize("how", ["absent", "null", "empty"])
def test_a_missing_id_or_type_is_an_error_that_names_the_setting(missing, how):
    value = dict(VALUE)
    if how == "absent":
        del value[missing]
    else:
        value[missing] = None if how == "null" else ""
    with pytest.raises(DecodeError, match=rf"sources\.orders\.{missing}"):
        decode_one(value)


def test_without_a_key_the_entity_selects_the_lane():
    assert decode_one(VALUE, key=None, entity="payload.lines.0.sku").lane == ("topic", 3, "a", "")
    assert decode_one(VALUE, key=None).lane is None


def test_null_data_is_null_and_absent_data_is_an_error():
    assert decode_one({"id": 1, "type": "t", "d": None}, data="d").payload() is None
    with pytest.raises(DecodeError, match=r"sources\.orders\.data"):
        decode_one({"id": 1, "type": "t"}, data="d")


def test_milliseconds_are_a_time_and_what_is_none_is_the_record_time():
    assert (
        decode_one({"id": 1, "type": "t", "at": 1782720930123}, time="at").time == "2026-06-29T08:15:30.123Z"
    )
    for wrong in ("soon", True, 1.5, [1]):
        event = decode_one({"id": 1, "type": "t", "at": wrong}, time="at")
        assert (event.time, event.time_source) == ("2023-11-14T22:13:20.123Z", "record")
        assert [field.setting for field in event.refused] == ["time"]


def test_an_entity_that_is_no_scalar_is_left_out_and_a_tenant_is_refused():
    value = {"id": 1, "type": "t", "part": {"a": 1}}
    event = decode_one(value, entity="part")
    assert (event.entity, [field.setting for field in event.refused]) == (None, ["entity"])
    with pytest.raises(DecodeError, match=r"sources\.orders\.tenant"):
        decode_one(value, tenant="part")


@pytest.mark.parametrize("path", ["payload.lines.2.sku", "payload.lines.x", "payload.lines.-1.sku", "id.x"])
def test_a_path_that_does_not_exist_is_absent(path):
    assert decode_one(VALUE, entity=path).entity is None


def test_digits_may_be_keys_of_an_object():
    assert decode_one({"id": 1, "type": "t", "a": {"0": "zero"}}, entity="a.0").entity == "zero"


def test_the_error_for_a_value_encoded_twice_says_so():
    with pytest.raises(DecodeError, match=r"expand\.json\.payload"):
        decode_one(orjson.dumps(orjson.dumps(VALUE).decode()))


@pytest.mark.parametrize("raw", [b"", b"{", b"\xc3\x01", b'{"id": NaN}', b"[" * 5000])
def test_what_is_not_json_is_an_error(raw):
    with pytest.raises(DecodeError, match="not JSON"):
        decode_one(raw)


def test_the_size_is_checked_before_the_content():
    with pytest.raises(DecodeError, match=r"sources\.orders\.max_value_bytes"):
        decoder(max_value_bytes=10).decode(record(b"x" * 11))
