"""The named bodies, exact to the byte."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from bridge.errors import DecodeError, RenderError
from bridge.formats.cloudevents import CloudEventsDecoder
from bridge.model import Event, Partition, Record
from bridge.preflight.samples import sample
from bridge.rendering.named import NAMED, named_body
from bridge.rendering.old_hooks import HOOKS
from bridge.settings.models.fineract_types import FINERACT_TYPES

JSON = (b"content-type", b"application/json")


def loan() -> Event:
    one = sample("LoanApprovedBusinessEvent", source="bank")
    one.payload = lambda: {
        "id": 42,
        "principal": Decimal("1.50000000"),
        "clientId": 7,
        "clientOfficeId": 2,
    }
    return one


GOLDEN: dict[str, tuple[tuple[tuple[bytes, bytes], ...], bytes]] = {
    "standard": (
        (JSON,),
        b'{"type":"LoanApprovedBusinessEvent","timestamp":"2026-06-29T08:15:30.123456Z","entity":"42",'
        b'"tenant":"default","data":{"id":42,"principal":"1.50000000","clientId":7,"clientOfficeId":2}}',
    ),
    "thin": (
        (JSON,),
        b'{"type":"LoanApprovedBusinessEvent","timestamp":"2026-06-29T08:15:30.123456Z","entity":"42",'
        b'"tenant":"default","data":{"id":"42"}}',
    ),
    "raw": ((JSON,), b'{"id":42,"principal":"1.50000000","clientId":7,"clientOfficeId":2}'),
    "cloudevents": (
        ((b"content-type", b"application/cloudevents+json"),),
        b'{"specversion":"1.0","id":"5f2b1c9e-8d34-4a6f-b1e7-2c90d5a47e10_1c8ff108ce730882b7a0be286c123bb0","source":"/hookferry/bank",'
        b'"type":"LoanApprovedBusinessEvent","time":"2026-06-29T08:15:30.123456Z","subject":"42",'
        b'"tenant":"default","datacontenttype":"application/json",'
        b'"data":{"id":42,"principal":"1.50000000","clientId":7,"clientOfficeId":2}}',
    ),
    "cloudevents-binary": (
        (
            JSON, (b"ce-specversion", b"1.0"),
            (b"ce-id", b"5f2b1c9e-8d34-4a6f-b1e7-2c90d5a47e10_1c8ff108ce730882b7a0be286c123bb0"),
            (b"ce-source", b"/hookferry/bank"), (b"ce-type", b"LoanApprovedBusinessEvent"),
            (b"ce-time", b"2026-06-29T08:15:30.123456Z"), (b"ce-subject", b"42"), (b"ce-tenant", b"default"),
        ),
        b'{"id":42,"principal":"1.50000000","clientId":7,"clientOfficeId":2}',
    ),
    "fineract-hook": (
        (
            JSON, (b"x-fineract-entity", b"LOAN"), (b"x-fineract-action", b"APPROVE"),
            (b"fineract-platform-tenantid", b"default"),
        ),
        b'{"entityName":"LOAN","actionName":"APPROVE","request":{},"officeId":2,"clientId":7,"response":'
        b'{"loanId":42,"resourceId":42,"clientId":7,"changes":{}},"timestamp":"2026-06-29T08:15:30.123456Z"}',
    ),
    "none": ((), b""),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_a_named_body_is_exact_to_the_byte(name: str) -> None:
    assert named_body(name)(loan()) == GOLDEN[name]


def test_thin_and_none_do_not_decode_the_payload() -> None:
    def broken() -> Any:
        raise DecodeError("here", "it is cut short", "send it whole")

    one = loan()
    one.payload = broken
    named_body("thin")(one)
    named_body("none")(one)
    for name in NAMED.keys() - {"thin", "none"}:
        with pytest.raises(DecodeError):
            named_body(name)(one)


def cloud_event(headers: dict[str, str], value: bytes) -> Event:
    given = tuple((name, text.encode()) for name, text in headers.items())
    return CloudEventsDecoder("s", max_value_bytes=10_000).decode(
        Record(Partition("t", 0), 1, 0, b"k", value, given)
    )[0]


ATTRIBUTES = {
    "ce_specversion": "1.0", "ce_id": "a b", "ce_source": "/ware house\\x", "ce_type": "stock.moved",
    "ce_subject": "sku-7", "ce_time": "2026-06-29T08:15:30Z", "ce_region": 'Zürich "N" 100%',
}  # fmt: skip


def test_a_received_cloudevent_keeps_its_attributes() -> None:
    one = cloud_event({**ATTRIBUTES, "content-type": "application/json"}, b'{"pieces":3}')
    headers, body = named_body("cloudevents-binary")(one)
    assert dict(headers) == {
        b"content-type": b"application/json", b"ce-specversion": b"1.0", b"ce-id": b"a%20b",
        b"ce-source": b"/ware%20house\\x", b"ce-type": b"stock.moved", b"ce-time": b"2026-06-29T08:15:30Z",
        b"ce-subject": b"sku-7", b"ce-region": b"Z%C3%BCrich%20%22N%22%20100%25",
    }  # fmt: skip
    assert body == b'{"pieces":3}'
    whole = json.loads(named_body("cloudevents")(one)[1])
    assert (whole["id"], whole["source"], whole["region"]) == ("a b", "/ware house\\x", 'Zürich "N" 100%')


@pytest.mark.parametrize(
    ("content_type", "value", "kept"),
    [
        ("text/plain", b"hello \xc3\xa9", b"text/plain"), ("image/png", b"\x89PNG\xff", b"image/png"),
        ("text/csv\r\nX-Evil: 1", b"a,b", b"text/plain; charset=utf-8"),
    ],
)  # fmt: skip
def test_raw_text_and_bytes_are_sent_unchanged(content_type: str, value: bytes, kept: bytes) -> None:
    one = cloud_event({**ATTRIBUTES, "content-type": content_type}, value)
    assert named_body("raw")(one) == (((b"content-type", kept),), value)


def test_bytes_are_base64_in_a_structured_cloudevent() -> None:
    one = cloud_event({**ATTRIBUTES, "content-type": "image/png"}, b"\x89\xff")
    whole = json.loads(named_body("cloudevents")(one)[1])
    assert (whole["data_base64"], "data" in whole, whole["datacontenttype"]) == ("if8=", False, "image/png")


@pytest.mark.parametrize(
    ("type_", "response"),
    [
        ("LoanTransactionMakeRepaymentPostBusinessEvent", {"loanId": 42, "resourceId": 9310, "changes": {}}),
        ("SavingsDepositBusinessEvent", {"savingsId": 9001, "resourceId": 55, "changes": {}}),
        ("ClientActivateBusinessEvent", {"resourceId": 7, "clientId": 7, "changes": {}}),
        ("LoanApprovedBusinessEvent", {"loanId": 42, "resourceId": 42, "clientId": 7, "changes": {}}),
    ],
)
def test_the_ids_of_the_old_hooks_are_in_the_fields_that_receivers_read(
    type_: str, response: dict[str, Any]
) -> None:
    headers, body = named_body("fineract-hook")(sample(type_))
    assert json.loads(body)["response"] == response
    assert dict(headers)[b"x-fineract-entity"].decode() == HOOKS[type_].entity


def test_a_type_without_an_old_hook_is_a_render_error() -> None:
    with pytest.raises(RenderError, match="no name for LoanReAgeBusinessEvent; remove it from"):
        named_body("fineract-hook")(sample("LoanReAgeBusinessEvent"))


def test_every_type_with_an_old_hook_is_a_fineract_type() -> None:
    assert set(FINERACT_TYPES) >= HOOKS.keys()
