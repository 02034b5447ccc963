"""The standard payload: exact amounts, and an error for values without a JSON form."""

from __future__ import annotations

import json
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest

from bridge.errors import DecodeError, RenderError
from bridge.rendering import standard_body, to_json
from tests.support.fakes import event


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0E-8", "0.00000000"),
        ("1E+3", "1000"),
        ("1E-7", "0.0000001"),
        ("-12.3400", "-12.3400"),
        ("123456789012345678901234567890.123456", "123456789012345678901234567890.123456"),
        ("-0.00", "-0.00"),
    ],
)
def test_a_decimal_becomes_an_exact_string_in_plain_notation(text: str, shown: str) -> None:
    assert json.loads(to_json({"amount": Decimal(text)})) == {"amount": shown}


def test_bytes_become_base64() -> None:
    assert to_json([b"\x00\xff"]) == b'["AP8="]'


def test_keys_that_are_not_text_become_text() -> None:
    assert to_json({1: "a"}) == b'{"1":"a"}'


def _deep() -> Any:
    value: Any = []
    for _ in range(2000):
        value = [value]
    return value


@pytest.mark.parametrize("value", [{1, 2}, object(), 2**70, "\ud800", _deep(), [{"a": {1}}]])
def test_a_value_without_a_json_form_is_a_render_error(value: Any) -> None:
    with pytest.raises(RenderError, match="no JSON form"):
        to_json({"data": value})


def test_the_standard_payload_contains_only_present_parts() -> None:
    known = event("a", entity="e9")
    known.tenant = "t"
    assert json.loads(standard_body(known)) == {
        "type": "Created", "timestamp": known.time, "entity": "e9", "tenant": "t",
        "data": {"id": "a", "type": "Created", "entity": "e9"},
    }  # fmt: skip
    unknown = event("a")
    unknown.entity = None
    assert json.loads(standard_body(unknown)).keys() == {"type", "timestamp", "data"}


def test_the_payload_is_rendered_once_for_all_endpoints() -> None:
    calls: list[int] = []
    one = event("a")
    one.payload = lambda: calls.append(1) or {"n": len(calls)}  # type: ignore[func-returns-value]
    assert standard_body(one) is standard_body(one)
    assert calls == [1]


def test_a_payload_that_does_not_follow_its_schema_is_a_decode_error() -> None:
    def broken() -> Any:
        raise DecodeError("here", "it is cut short", "send it whole")

    one = event("a")
    one.payload = broken
    for _ in range(2):
        with pytest.raises(DecodeError):
            standard_body(one)


@pytest.mark.parametrize("lines", [25, 2_000, 25_000])
def test_a_body_uses_no_more_memory_than_its_bytes(lines: int) -> None:
    """orjson's own buffer is up to eight times as large, and the history keeps thousands of bodies."""
    value = {"lines": [{"text": "abcdefghij", "number": number} for number in range(lines)]}
    tracemalloc.start()
    try:
        body = to_json(value)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(body) > 30 * lines
    assert used < 1.1 * len(body) + 200
