"""The bodies of several events: each form, the id of each event, and what cannot be in a batch."""

from __future__ import annotations

import json
import zlib
from typing import get_args

import cramjam
import pytest

from bridge.errors import RenderError
from bridge.rendering.batch import BatchForm, BatchKind
from bridge.rendering.compression import Compression
from tests.support.batch_receiver import read_events


def joined(form: BatchForm, *bodies: bytes) -> bytes:
    """Return the body with these events, whose ids are evt_0, evt_1 and so on."""
    return form.join([form.item(f"evt_{place}", body) for place, body in enumerate(bodies)])


@pytest.mark.parametrize("kind", get_args(BatchKind))
def test_each_event_is_its_own_body_with_its_id_in_front(kind: str) -> None:
    form = BatchForm(kind)  # type: ignore[arg-type]  # one of the three
    body = joined(form, b'{"a":1}', b" { } ", b'{"b": {"webhook_id": "x"}}')
    assert read_events(body) == [
        {"webhook_id": "evt_0", "a": 1},
        {"webhook_id": "evt_1"},
        {"webhook_id": "evt_2", "b": {"webhook_id": "x"}},
    ]


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        (BatchForm("array"), b"application/json"),
        (BatchForm("object"), b"application/json"),
        (BatchForm("ndjson"), b"application/x-ndjson"),
        (BatchForm("array", cloudevents=True), b"application/cloudevents-batch+json"),
    ],
)
def test_the_content_type_is_that_of_the_form(form: BatchForm, wanted: bytes) -> None:
    assert form.headers == ((b"content-type", wanted),)


def test_the_id_of_a_cloudevent_is_an_attribute_with_a_valid_name() -> None:
    (event,) = json.loads(joined(BatchForm("array", cloudevents=True), b'{"specversion":"1.0"}'))
    assert event == {"webhookid": "evt_0", "specversion": "1.0"}


def test_an_event_of_several_lines_is_one_line_of_ndjson() -> None:
    body = joined(BatchForm("ndjson"), b'{\n "a": "x\\ny",\r\n "b": 2\n}', b'{"c":3}')
    assert body.count(b"\n") == 2
    assert read_events(body)[0] == {"webhook_id": "evt_0", "a": "x\ny", "b": 2}


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"1", b"null", b"{", b"text", b"\x00"])
def test_a_body_that_is_no_object_cannot_be_in_a_batch(body: bytes) -> None:
    with pytest.raises(RenderError, match="not a JSON object"):
        BatchForm("array").item("evt_0", body)


def test_an_event_cannot_pass_for_another_one() -> None:
    """Data with a member of that name would otherwise win over the id in most parsers."""
    form = BatchForm("array")
    with pytest.raises(RenderError, match="a member webhook_id with another value"):
        form.item("evt_0", b'{"webhook_id":"evt_1","a":1}')
    assert json.loads(form.item("evt_0", b'{"a":1,"webhook_id":"evt_0"}')) == {"a": 1, "webhook_id": "evt_0"}


@pytest.mark.parametrize(
    "body", [b'{"a":1},{"b":2}', b'{"a":1}\n{"b":2}', b'{"a":1}]},{"b":2}', b'{"a":}', b'{"a":NaN}']
)
def test_text_of_a_producer_cannot_end_its_object_and_add_an_event(body: bytes) -> None:
    """The positions of the events that follow would be others, and an answer names them."""
    with pytest.raises(RenderError, match="not JSON that can be one event of a batch"):
        BatchForm("array", any_text=True).item("evt_0", body)
    with pytest.raises(RenderError, match="not JSON that can be one event of a batch"):
        BatchForm("array").item("evt_0", body, any_text=True)


def test_an_escaped_name_in_text_of_a_producer_cannot_replace_the_id() -> None:
    form = BatchForm("array", any_text=True)
    with pytest.raises(RenderError, match="a member webhook_id with another value"):
        form.item("evt_0", b'{"a":1,"webhook\\u005fid":"evt_1"}')


def test_a_number_beyond_a_double_stays_as_it_is() -> None:
    body = b'{"a":1e999,"b":{"webhook_id":2}}'
    assert BatchForm("array", any_text=True).item("evt_0", body) == b'{"webhook_id":"evt_0",' + body[1:]


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_is_compressed_only_above_the_size(coding: str) -> None:
    compression = Compression(coding, 100)  # type: ignore[arg-type]  # one of the two
    assert compression.of(b"a" * 100) == ((), b"a" * 100)
    headers, body = compression.of(b"a" * 101)
    assert headers == ((b"content-encoding", coding.encode()),)
    unpacked = zlib.decompress(body, 31) if coding == "gzip" else bytes(cramjam.zstd.decompress(body))
    assert unpacked == b"a" * 101


def test_a_body_that_would_grow_is_sent_as_it_is() -> None:
    assert Compression("gzip", 0).of(b"ab") == ((), b"ab")
