"""Any value that a template inserts is read back unchanged from its place in the text."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.core.url import parse_url
from bridge.errors import RenderError
from bridge.http.head import check_headers
from bridge.model import Event
from bridge.preflight.samples import sample
from bridge.rendering.named import nothing
from bridge.rendering.request import TargetTemplate, build_request_renderer, split_expressions
from bridge.rendering.template import TemplateBody

TEXTS = st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(
    [
        '"',
        "\\",
        '\\"',
        "\u2028",
        "\ud800",
        "😀",
        "]]>",
        "</a>",
        "&amp;",
        "%0a",
        "a&b=c",
        "\r\n",
        "{{ x }}",
        '", "k": "v',
        "//",
        "..%2f",
    ]
)
SURROGATES = re.compile("[\ud800-\udfff]")
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def event(value: Any) -> Event:
    one = sample("T")
    one.payload = lambda: {"x": value}
    return one


def readable(text: str) -> str:
    return SURROGATES.sub("\ufffd", text)


AS_JSON = TemplateBody(
    {},
    '{"a": "<{{ data.x }}>", "b": {{ data.x | json }}, "c": ["{{ data.x ~ data.x }}"]}',
    "application/json",
)
AS_XML = TemplateBody({}, "<a b=\"{{ data.x }}\" c='{{ data.x }}'>{{ data.x }}<d/></a>", "text/xml")
AS_FORM = TemplateBody({}, "a={{ data.x }}&b=1", "application/x-www-form-urlencoded")
AS_TEXT = TemplateBody({}, "{{ data.x }}", "text/plain")
URL = "https://crm.test/v/{{ data.x }}/end?q={{ data.x }}&r=1"
REQUEST = build_request_renderer(
    "PUT",
    TargetTemplate(parse_url(split_expressions(URL)[0]), split_expressions(URL)[1]),
    {"X-Id": "{{ data.x }}"},
    nothing,
)


@given(TEXTS)
def test_json_returns_an_inserted_text_unchanged(text: str) -> None:
    rendered = AS_JSON(event(text))[1]
    kept = readable(text)
    twice = readable(text + text)
    assert json.loads(rendered) == {"a": f"<{kept}>", "b": kept, "c": [twice]}


@given(TEXTS)
def test_xml_returns_an_inserted_text_except_forbidden_characters(text: str) -> None:
    root = ElementTree.fromstring(AS_XML(event(text))[1])
    kept = NOT_XML.sub("\ufffd", text)
    assert (root.get("b"), root.get("c"), root.text or "", len(root)) == (kept, kept, kept, 1)


@given(TEXTS)
def test_a_form_returns_an_inserted_text_unchanged(text: str) -> None:
    rendered = AS_FORM(event(text))[1].decode("ascii")
    assert parse_qs(rendered, keep_blank_values=True, strict_parsing=True) == {
        "a": [readable(text)],
        "b": ["1"],
    }


@given(TEXTS)
def test_plain_text_contains_an_inserted_text_unchanged(text: str) -> None:
    assert AS_TEXT(event(text))[1].decode() == readable(text)


@given(TEXTS)
def test_a_text_in_a_url_or_header_cannot_leave_its_place(text: str) -> None:
    try:
        rendered = REQUEST.render(event(text))
    except RenderError:
        dots = any(step in {".", ".."} for step in re.split(r"[/\\]", text))
        assert not text or dots or re.search(r"[\x00-\x1f\x7f-\x9f]", text)
        return
    check_headers(rendered.headers)
    assert parse_url(f"https://crm.test{rendered.url.target}") == rendered.url
    path, query = rendered.url.target.split("?")
    assert [unquote(step) for step in path.split("/")] == ["", "v", readable(text), "end"]
    assert parse_qs(query, keep_blank_values=True) == {"q": [readable(text)], "r": ["1"]}


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_json_returns_any_inserted_value_unchanged(value: Any) -> None:
    text = json.dumps(value)
    assume(not re.search(r"\\ud[89a-f]", text))
    assert json.loads(
        TemplateBody({}, '{"a": {{ data.x | json }} }', "application/json")(event(value))[1]
    ) == {"a": value}
    if not isinstance(value, str):
        assert json.loads(AS_BARE(event(value))[1]) == {"a": value}


AS_BARE = TemplateBody({}, '{"a": {{ data.x }} }', "application/json")


@given(TEXTS)
def test_a_bare_text_never_adds_a_key(text: str) -> None:
    try:
        rendered = AS_BARE(event(text))[1]
    except RenderError:
        return
    assert json.loads(rendered).keys() == {"a"}
    assert not isinstance(json.loads(rendered)["a"], str | list | dict)
