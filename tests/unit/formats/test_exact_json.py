"""A JSON number with more digits than a double holds stays exact everywhere: filters, templates, bodies."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest

from bridge.core.filter import Filter
from bridge.errors import RenderError
from bridge.formats.exact_json import loads
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.model import Event, ExactNumber
from bridge.receivers import humanize
from bridge.rendering import standard_body, to_json
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


OUT_OF_RANGE = [
    "1e-400", "-1E-0400", "1e999", "-1e+400", "1.2345e-320", "1" + "0" * 400, "1" + "0" * 400 + ".5",
    "1e99999999999999999999999", "1e-99999999999999999999999",
]  # fmt: skip


@pytest.mark.parametrize("text", OUT_OF_RANGE)
def test_a_number_out_of_range_of_a_double_keeps_its_digits(text: str) -> None:
    (event,) = DECODER.decode(record(b'{"id":"1","type":"T","n":%b,"l":[{"n":%b}]}' % ((text.encode(),) * 2)))
    assert b'"n":%b,"l":[{"n":%b}]' % ((text.encode(),) * 2) in standard_body(event)
    assert TemplateBody({}, "{{ data.n }}", "text/plain")(event)[1].decode() == text


def test_a_filter_compares_the_number_that_is_sent() -> None:
    (event,) = DECODER.decode(record(b'{"id":"1","type":"T","small":1e-400,"large":1e999}'))
    assert Filter("data.small > 0 and data.small < 1 and data.large > 1e300").matches(event)
    assert not Filter("data.small == 0").matches(event)


@pytest.mark.parametrize("text", ["0e999", "0e-999", "-0.0", "1e308", "1e-307", "1.5E+300", "5e-324"])
def test_a_number_that_a_double_holds_is_that_double(text: str) -> None:
    number = loads(b"[%b]" % text.encode())[0]
    assert (type(number), number) == (float, float(text))


@pytest.mark.parametrize(
    "text",
    [
        "9007199254740993e1",
        "9007199254740993.0",
        "8.999999999999999",
        "9.291417776317066",
    ],
)
def test_a_number_of_sixteen_digits_that_a_double_does_not_hold_keeps_its_digits(text: str) -> None:
    number = loads(b"[%b]" % text.encode())[0]
    assert isinstance(number, ExactNumber)
    assert number.text == text


@pytest.mark.parametrize("number", [2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**19, 10**20 - 1, 10**20])
def test_a_large_integer_next_to_a_long_fraction_is_written_as_it_was_read(number: int) -> None:
    document = loads(b"[%d, %b]" % (number, TEXT.encode()))
    assert to_json(document) == b"[%d,%b]" % (number, TEXT.encode())


REFUSED = ["[1e999, NaN]", "[1e999, Infinity]", "[1e999", '["\x01", 1e999]', "[1e999,]"]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_json_is_refused_next_to_a_number_out_of_range(text: str) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        loads(text.encode())


@pytest.mark.parametrize("half", ["\\ud800", "\\uDFFF", "\\udfff\\ud800", "\\\\\\ud800"])
@pytest.mark.parametrize(
    "document", ['[1e999,"a%s"]', '[1e999,{"%s":1}]', '["x",{"a":[-1e400,{"b":["%s"]}]}]']
)
def test_half_a_surrogate_pair_is_refused_next_to_a_number_out_of_range(document: str, half: str) -> None:
    """As without the number: it has no form in UTF-8, so a receiver would get another text."""
    with pytest.raises(orjson.JSONDecodeError, match="surrogate"):
        loads((document % half).encode())


def test_a_surrogate_pair_is_a_character_next_to_a_number_out_of_range() -> None:
    assert loads(rb'[1e999, "\ud83d\ude00", "\\ud800"]')[1:] == ["\U0001f600", r"\ud800"]


def test_a_calculation_in_a_template_that_overflows_is_no_null() -> None:
    with pytest.raises(RenderError, match="not finite"):
        written('{"a": {{ 1e308 * 10 }} }')


def test_a_template_writes_a_number_out_of_range_into_json() -> None:
    (event,) = DECODER.decode(record(b'{"id":"1","type":"T","n":1e999}'))
    assert TemplateBody({}, '{"a": {{ data.n }}}', "application/json")(event)[1] == b'{"a": 1e999}'
    with pytest.raises(RenderError, match="invalid JSON"):
        TemplateBody({}, '{"a": {{ data.n }},}', "application/json")(event)


LONG = b'"%b"' % (b"x" * 5000)
OBJECTS = b"{}," * 50


@pytest.mark.parametrize("beside", [b'"x"', LONG, b"[%b{}]" % OBJECTS, b"[%b%b]" % (OBJECTS, LONG)])
@pytest.mark.parametrize("number", [TEXT.encode(), b"[[%b]]" % TEXT.encode(), b'{"n":1e-400}'])
def test_digits_stay_whether_a_value_consists_of_long_texts_or_of_many_objects(
    number: bytes, beside: bytes
) -> None:
    document = loads(b'{"beside":%b,"number":%b}' % (beside, number))
    assert number in to_json(document)
