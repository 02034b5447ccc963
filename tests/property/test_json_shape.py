"""For any event, the shape of the rendered JSON is that of its template: the same keys, the same nesting.

Each template is rendered with harmless values first. That document, with each leaf replaced by its kind, is
the shape that any other values must give, or the event cannot be rendered and is parked.
"""
# ruff: noqa: E501 - a table of templates is easier to compare with each on its own line

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.errors import RenderError
from bridge.model import Event
from bridge.preflight.samples import sample
from bridge.rendering.template import TemplateBody

PIECES = [
    '"',
    "\\",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    '":{"',
    '","',
    "1",
    "true",
    "null",
    " ",
    "admin",
    "\n",
    "\u2028",
    "\ud800",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=8)
LEAVES = (
    TEXTS | st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.binary(max_size=3)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)

MACROS = """{%- macro text(v) %}<{{ v }}>{% endmacro %}{% macro plain(v) %}{{ v }}{% endmacro %}
{%- macro quoted(v) %}"{{ v }}"{% endmacro %}{% macro pair(k, v) %}"{{ k }}": {{ v | json }}{% endmacro %}
{%- macro nested(v) %}{{ plain(v) ~ text(v) }}{% endmacro %}
{%- set block %}{{ data.x }}/{{ data.y }}{% endset %}{% set one = data.x %}{% set whole = data.x | json -%}"""

LEAF_TEMPLATES = [
    '{"a": "{{ data.x }}", "b": ["{{ data.y }}"], "c": {"d": "-{{ data.x }}-{{ data.y }}-"}}',
    '{"a": {{ data.x }}, "b": "{{ data.y }}"}',
    '{"a": {{ data.x | json }}, "b": "{{ data.y | json }}", "c": "{{ whole }}", "d": {{ whole }} }',
    '{"a": "{{ text(data.x) }}", "b": "{{ plain(data.y) }}", "c": {{ quoted(data.x) }}, "d": "{{ nested(data.x) }}"}',
    '{"a": {{ plain(data.x) }}, "b": "{{ block }}", "c": "{{ block | upper }}"}',
    '{ {{ pair("a", data.x) }}, {{ pair("b", data.y) }} }',
    '{"a": "{{ data.x ~ data.y }}", "b": "{{ one }}", "c": "{{ [data.x, data.y] | join("|") }}"}',
    '{"a": {{ ("" ~ data.x) | json }}, "b": "{{ (data.x | json) ~ data.y }}"}',
    '{"a": "{{ data | pointer("/x") }}", "b": {{ data | pointer("/y") | json }}, "c": "{{ data.x | string | truncate(3) }}"}',
    '{"a": "{{ data.x | default("") | replace("a", data.y) }}", "b": "{{ (data.x ~ data.y)[1:4] }}"}',
    '{"a": [{% for v in [data.x, data.y] %}"{{ v }}"{{ "," if not loop.last }}{% endfor %}], "b": 1}',
    '{"a": [{% for v in [data.x, data.y] %}{{ v | json }}{{ "," if not loop.last }}{% endfor %}], "b": 1}',
    '{"a": {% if true %}"{% endif %}{{ data.x }}{% if true %}"{% endif %}, "b": "{{ data.y }}"}',
    '{"a": "{% if data.x %}{{ data.y }}{% else %}{{ data.x }}{% endif %}", "b": {{ data.y | json }} }',
    '{"a": "\\\\{{ data.x }}\\"{{ data.y }}", "b": "\\u0041{{ data.x }}"}',
    '{% for k, v in data | items %}{% set z = v %}{% endfor %}{"a": "{{ data.x | urlencode }}", "b": "{{ data.y | upper }}"}',
]  # fmt: skip
KEY_TEMPLATES = [
    '{"{{ data.x }}": 1, "b": {"c": "{{ data.y }}"}}',
    '{"k-{{ data.x }}": "{{ data.y }}", "b": 2}',
    '{ {{ data.x | json }}: {{ data.y | json }}, "b": 2}',
    '{ {{ pair(data.x, data.y) }}, "b": 2}',
    '{"o": [{"{{ text(data.x) }}": {{ plain(data.y) }} , "{{ data.y }}": 0}]}',
]


def event(x: Any, y: Any) -> Event:
    made = sample("T")
    made.payload = lambda: {"x": x, "y": y}
    return made


class _Object(list[tuple[str, Any]]):
    """The members of an object, in order, so that equal keys are seen."""


def shape(body: bytes, wholes: tuple[str, ...], *, keys: bool) -> Any:
    """Return the document with a mark for each leaf; members in ``wholes`` are leaves, whatever they are."""

    def of(value: Any) -> Any:
        if isinstance(value, _Object):
            return {
                ("key" + str(number) if keys else key): "leaf" if key in wholes else of(member)
                for number, (key, member) in enumerate(value)
            }
        return [of(item) for item in value] if isinstance(value, list) else "leaf"

    document = json.loads(body, object_pairs_hook=_Object)
    distinct = [len(dict(members)) == len(members) for members in _objects(document)]
    assert all(distinct), "the same key twice"
    return of(document)


def _objects(value: Any) -> list[_Object]:
    if isinstance(value, _Object):
        return [value, *(inner for _, member in value for inner in _objects(member))]
    return [inner for item in value for inner in _objects(item)] if isinstance(value, list) else []


WHOLE = {1: ("a",), 2: ("a", "d"), 4: ("a",), 5: ("a", "b"), 7: ("a",), 8: ("b",), 13: ("b",)}
"""By template, the members outside quotes: each is one JSON value, which may be a list or an object."""
LIST_OF_WHOLES = 11


@cache
def compiled(source: str) -> TemplateBody:
    return TemplateBody({}, MACROS + source, "application/json")


@cache
def shape_of_template(number: int) -> Any:
    harmless = compiled(LEAF_TEMPLATES[number])(event("1", "2"))[1]
    return shape(harmless, WHOLE.get(number, ()), keys=False)


@pytest.mark.parametrize("number", range(len(LEAF_TEMPLATES)))
@settings(deadline=None)
@given(x=VALUES, y=VALUES)
@example(x=[",", ":{", ":"], y="")
@example(x={'":1,"admin': [",", ":{", ":"]}, y=[",", ":{", ":"])
@example(x='1, "admin": true', y='", "admin": "')
@example(x="[[1]]", y="\\")
def test_the_shape_of_the_json_is_that_of_the_template(number: int, x: Any, y: Any) -> None:
    if number == LIST_OF_WHOLES:
        x, y = str(x), str(y)  # a whole value in a list is a leaf there; texts keep the comparison simple
    try:
        rendered = compiled(LEAF_TEMPLATES[number])(event(x, y))[1]
    except RenderError:
        return
    assert shape(rendered, WHOLE.get(number, ()), keys=False) == shape_of_template(number)


@pytest.mark.parametrize("source", KEY_TEMPLATES)
@settings(deadline=None)
@given(x=VALUES, y=LEAVES)
@example(x="b", y="b")
@example(x=[",", ":{", ":"], y=1)
def test_a_key_with_a_value_in_it_remains_one_key(source: str, x: Any, y: Any) -> None:
    body = compiled(source)
    expected = shape(body(event("5", "6"))[1], (), keys=True)
    try:
        rendered = body(event(x, y))[1]
    except RenderError:
        return
    assert shape(rendered, (), keys=True) == expected


def test_most_templates_render_most_values() -> None:
    """The property would hold for templates that refuse everything."""
    assert [number for number in range(len(LEAF_TEMPLATES)) if not shape_of_template(number)] == []
