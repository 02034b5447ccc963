"""Values in a JSON template keep to their place: a list in quotes is an error, JSON in quotes is a text."""
# ruff: noqa: E501 - a table of templates is easier to compare with each on its own line

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from bridge.errors import RenderError
from bridge.model import Event
from bridge.preflight.samples import sample
from bridge.rendering.sandbox import TemplateMistake
from bridge.rendering.template import TemplateBody

MOVES_KEYS: list[Any] = [",", ":{", ":"]
"""Inserted raw into ``{"a": "x{{ data.x }}"}`` it once gave valid JSON with other keys."""
JSON = "application/json"


def event(data: Any) -> Event:
    made = sample("T")
    made.payload = lambda: data
    return made


def render(source: str, value: Any, content_type: str = JSON, **more: Any) -> str:
    return TemplateBody({}, source, content_type, **more)(event({"x": value, "y": "z"}))[1].decode()


INSIDE = [
    '{"name": "{{ data.x }}", "role": "user"}',
    '{"name": "Dear {{ data.x }}!", "role": "user"}',
    '{"{{ data.x }}": 1, "role": "user"}',
    '{"name": "{{ data.x | default("-") }}", "role": "user"}',
    '{"name": "{{ data.x if data.y else "" }}", "role": "user"}',
    '{"name": "{{ data | pointer("/x") }}", "role": "user"}',
    '{"name": "{% if data.y %}{{ data.x }}{% endif %}", "role": "user"}',
    '{"name": "{% for n in [1] %}{{ data.x }}{% endfor %}", "role": "user"}',
    '{% set v = data.x %}{"name": "{{ v }}", "role": "user"}',
    '{% set v %}{{ data.x }}{% endset %}{"name": "{{ v }}", "role": "user"}',
    '{% macro m(v) %}{{ v }}{% endmacro %}{"name": "{{ m(data.x) }}", "role": "user"}',
    '{% macro m(v) %}"{{ v }}"{% endmacro %}{"name": {{ m(data.x) }}, "role": "user"}',
    '{% macro m(v) %}{{ v }}{% endmacro %}{% macro n(v) %}<{{ m(v) }}>{% endmacro %}{"name": "{{ n(data.x) ~ 1 }}", "role": "user"}',
    '{"name": "{{ data.x ~ "" }}", "role": "user"}',
    '{"name": "{{ [data.x] | join }}", "role": "user"}',
    '{"name": {% if data.y %}"{% endif %}{{ data.x }}{% if data.y %}"{% endif %}, "role": "user"}',
]  # fmt: skip


@pytest.mark.parametrize("source", INSIDE)
@pytest.mark.parametrize("value", [MOVES_KEYS, {'":1,"admin': True}, [], {}, [["a"]], [1]])
def test_a_list_or_mapping_inside_quotes_is_an_error(source: str, value: Any) -> None:
    with pytest.raises(
        RenderError, match=r"(a list|a mapping) is not text; select a part of it, or use \| json"
    ):
        render(source, value)


def test_the_error_names_the_expression_and_the_line() -> None:
    with pytest.raises(RenderError, match=r"line 2: \{\{ data\.x \| default \}\}: a list is not text"):
        render('{"a": "{{ data.y }}",\n "b": "{{ data.x | default("-") }}"}', MOVES_KEYS)
    with pytest.raises(RenderError, match=r"line 1: \{\{ data\.x \}\}: a text has no quotes around it"):
        render('{"a": {{ data.x }}, "b": "{{ data.y }}"}', "1, 2")


@pytest.mark.parametrize("content_type", ["text/xml", "application/x-www-form-urlencoded", "text/plain"])
@pytest.mark.parametrize("value", [["a"], {"a": 1}])
def test_a_list_or_mapping_is_no_text_in_any_content_type(content_type: str, value: Any) -> None:
    with pytest.raises(RenderError, match=r"is not text; select a part of it, or use \| json"):
        render("<a>{{ data.x }}</a>", value, content_type)


@pytest.mark.parametrize(
    "value", ['", "admin": "', MOVES_KEYS, {"a": ['"', "\\", None]}, None, 5, Decimal("1.50"), True]
)
def test_json_inside_quotes_is_a_text(value: Any) -> None:
    """Many receivers expect a document as text in a field; the quotes around it are the template's."""
    for source in ('{"a": "{{ data.x | json }}"}', '{% set v = data.x | json %}{"a": "{{ v }}"}',
                   '{% macro m(v) %}{{ v | json }}{% endmacro %}{"a": "{{ m(data.x) }}"}'):  # fmt: skip
        document = json.loads(render(source, value))
        assert document.keys() == {"a"}
        expected = str(value) if isinstance(value, Decimal) else value
        assert json.loads(document["a"]) == expected


def test_json_inside_quotes_has_the_escaping_of_the_receiver() -> None:
    made = render(
        '{"a": "{{ data.x | json }}", "b": {{ data.x | json }}}',
        ["<&>"],
        escape=lambda text: text.replace("&", "&amp;"),
    )
    assert json.loads(made) == {"a": '["<&amp;>"]', "b": ["<&amp;>"]}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ('{% macro m(v) %}{{ v }}{% endmacro %}{"a": {{ m(data.x) }} }', '1, "admin": true'),
        ('{% macro m(v) %}{{ v }}{% endmacro %}[{{ m(data.x) }}]', "1,2"),
        ('{% macro m(v) %}{{ v }}{% endmacro %}{"a": {{ m(data.x) }} }', "[[1]]"),
        ('{% set v %}{{ data.x }}{% endset %}{"a": {{ v }} }', "{}"),
        ('{"a": {{ (data.y | json) ~ data.x }} }', ',"admin":1'),
        ('{"a": {{ data.x ~ (data.y | json) }} }', "1,"),
        ('{"a": {{ (data.x | json) ~ "" }} }', 1),
        ('{"a": {% if data.y %}"{% endif %}{{ data.y }}{% if data.y %}"{% endif %}, "b": {{ data.x }} }', "[1]"),
    ],
)  # fmt: skip
def test_a_text_outside_quotes_is_one_value_however_it_gets_there(source: str, value: Any) -> None:
    with pytest.raises(RenderError, match="a text has no quotes around it"):
        render(source, value)


def test_the_text_of_a_macro_fits_the_place_where_it_is_inserted() -> None:
    source = """{% macro m(v) %}{{ v }}{% endmacro %}{% set s %}{{ data.x }}{% endset %}
    {"a": "{{ m(data.x) }}", "b": {{ m(data.x) }}, "c": "{{ s }}", "d": {{ s }}, "e": {{ m(none) }}, "f": "{{ m(none) }}"}"""
    assert json.loads(render(source, 5)) == {"a": "5", "b": 5, "c": "5", "d": 5, "e": None, "f": ""}
    pair = '{% macro pair(k, v) %}"{{ k }}": {{ v | json }}{% endmacro %}{ {{ pair("a", data.x) }}, {{ pair("b", data.y) }} }'
    assert json.loads(render(pair, MOVES_KEYS)) == {"a": MOVES_KEYS, "b": "z"}
    upper = '{% macro m(v) %}<{{ v }}>{% endmacro %}{"a": "{{ m(data.x) | upper }}", "b": {{ m(data.x) | json }} }'
    assert json.loads(render(upper, 'q"\\')) == {"a": '<Q"\\>', "b": '<q"\\>'}


def test_a_block_with_an_unpaired_quote_is_an_error() -> None:
    """The places of the values after it would be wrong."""
    source = '{% macro q() %}"{% endmacro %}{"a": {{ q() }}{{ data.x }}{{ q() }} }'
    with pytest.raises(RenderError, match="contains a quote or < without its second one"):
        render(source, MOVES_KEYS)


@pytest.mark.parametrize(
    "source",
    [
        '{"a": "C:\\{{ data.x }}"}',
        '{"a": "\\{% if data.y %}n{% endif %}"}',
        '{% macro m(v) %}\\{{ v }}{% endmacro %}{"a": "{{ m(data.x) }}"}',
    ],
)
def test_a_backslash_before_a_value_is_refused_because_it_would_undo_the_escaping(source: str) -> None:
    with pytest.raises(TemplateMistake, match="a single backslash is right before"):
        TemplateBody({}, source, JSON)


def test_two_backslashes_before_a_value_are_a_text() -> None:
    assert json.loads(render('{"a": "C:\\\\{{ data.x }}"}', '"')) == {"a": 'C:\\"'}


@pytest.mark.parametrize(
    "source",
    [
        '{"{{ data.x }}": 1, "amount": 2}',
        '{"a{{ data.x }}": 1, "aamount": 2}',
        '{ {{ data.x | json }}: 1, "amount": 2}',
        '{"o": {"{{ data.x }}" : 1, "amount": 2}}',
        '{ {% for k in [data.x, "amount"] %}"{{ k }}": 1{{ "," if not loop.last }}{% endfor %} }',
        '{% macro pair(k) %}"{{ k }}": 1{% endmacro %}{ {{ pair(data.x) }}, "amount": 2}',
        '{% macro name(k) %}{{ k }}{% endmacro %}{"{{ name(data.x) }}": 1, "amount": 2}',
        '{"{% if data.y %}{{ data.x }}{% endif %}": 1, "amount": 2}',
        '{ {{ data.x | json }}{{ ":" if data.y else ":" }} 1, "amount": 2}',
        '{ {% if data.y %}"{% endif %}{{ data.x }}{% if data.y %}"{% endif %}: 1, "amount": 2}',
    ],
)  # fmt: skip
def test_a_value_cannot_replace_a_key_of_the_template(source: str) -> None:
    """Receivers differ in which of two equal keys they read."""
    assert len(json.loads(render(source, "other"))) in {1, 2}
    with pytest.raises(RenderError, match="the same key twice in one object"):
        render(source, "amount")


def test_half_surrogates_that_become_equal_keys_are_found() -> None:
    with pytest.raises(RenderError, match="the same key twice"):
        render('{"{{ data.x }}": 1, "\ufffd": 2}', "\ud800")


def test_deeply_nested_loops_compile_quickly() -> None:
    source = "".join(f'{{% for a{n} in [1] %}}"' for n in range(19)) + '"' * 19 + "{% endfor %}" * 19
    TemplateBody({}, f"[{source}]", JSON)
