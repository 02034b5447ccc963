"""A JSON number with more digits than a double holds stays exact everywhere: filters, templates, bodies."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from bridge.formats.plain_json import PlainJsonDecoder
from bridge.model import Event, ExactNumber
from bridge.receivers import humanize
from bridge.rendering import standard_body
from bridge.rendering.template import TemplateBody
from tests.support.records import LIMIT, record

TEXT = "12345678901234567.89"
DECODER = PlainJsonDecoder("orders", id="id", type="type", max_value_bytes=LIMIT)


def event() -> Event:
    (made,) = DECODER.decode(
        record(b'{"id":"1","type":"T","n":%b,"l":[%b]}' % (TEXT.encode(), TEXT.encode()))
    )
    return made


def written(template: str, content_type: str = "application/json") -> str:
    return TemplateBody({}, template, content_type)(event())[1].decode()


def test_the_standard_body_keeps_every_digit() -> None:
    assert f'"n":{TEXT}'.encode() in standard_body(event())


def test_templates_keep_every_digit_in_text_and_arithmetic() -> None:
    whole: dict[str, Any] = json.loads(
        written(
            '{"a": {{ data.n }}, "b": "{{ data.n }}", "c": {{ data.l | json }},'
            ' "d": {{ data.n + 1 | int }}, "e": {{ (data.n > 12345678901234567) | json }}}'
        ),
        parse_float=Decimal,
    )
    exact = Decimal(TEXT)
    assert (whole["a"], whole["b"], whole["c"], whole["e"]) == (exact, TEXT, [exact], True)
    assert Decimal(whole["d"]) == exact + 1
    assert written("{{ data.n }}", "text/plain") == TEXT


def test_presets_format_exact_numbers_as_numbers() -> None:
    assert humanize.parse_number(ExactNumber(TEXT)) == Decimal(TEXT)
