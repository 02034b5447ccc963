"""Requests: a value in a URL cannot leave its segment, and a header stays one line."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from bridge.core.url import parse_url
from bridge.errors import RenderError
from bridge.model import Event, Url
from bridge.preflight.samples import sample
from bridge.rendering import StandardRenderer, standard_body
from bridge.rendering.named import named_body
from bridge.rendering.request import (
    RequestRenderer,
    TargetTemplate,
    build_request_renderer,
    split_expressions,
)
from bridge.rendering.sandbox import TemplateMistake

URL = Url("https", "crm.test", 443, "/hooks")


def target(text: str) -> TargetTemplate:
    filled, expressions = split_expressions(text)
    return TargetTemplate(parse_url(filled), expressions)


def about(**data: Any) -> Event:
    one = sample("OrderPaid")
    one.payload = lambda: data
    return one


def test_an_endpoint_without_templates_shares_the_standard_body() -> None:
    one = sample("OrderPaid")
    first, second = build_request_renderer("POST", URL), build_request_renderer("PUT", URL, {}, None)
    assert type(first) is type(second) is StandardRenderer
    assert first.render(one).body is second.render(one).body is standard_body(one)
    assert first.render(one) == ("POST", URL, ((b"content-type", b"application/json"),), standard_body(one))
    assert second.render(one).method == "PUT"


def test_method_url_and_headers_of_the_event() -> None:
    made = build_request_renderer(
        "PATCH", target("https://crm.test/a/{{ data.id }}?t={{ tenant }}&x=1"), {"X-Id": "no. {{ data.id }}"}
    )
    one = about(id=7)
    one.tenant = "a&b=c"
    assert made.render(one) == (
        "PATCH",
        Url("https", "crm.test", 443, "/a/7?t=a%26b%3Dc&x=1"),
        ((b"content-type", b"application/json"), (b"X-Id", b"no. 7")),
        standard_body(one),
    )


@pytest.mark.parametrize(
    "value", ["", None, "..", ".", "../x", "a/../b", "..\\x", "/..", "a\nb", "a\x00", "\x7f", "\x85"]
)
def test_a_value_cannot_leave_its_path_segment(value: Any) -> None:
    made = build_request_renderer("DELETE", target("https://crm.test/loans/{{ data.id }}"))
    with pytest.raises(RenderError, match=r"the URL's path, line 1: \{\{ data\.id \}\}: a value in the URL"):
        made.render(about(id=value))


@pytest.mark.parametrize(
    "value", ["a/b", "a?b", "a#b", "a b", "é", "100%", "%2e%2e", "a;b", "...", "a..b", "\ud800", 'q"', 12]
)
def test_any_other_value_is_one_path_segment(value: Any) -> None:
    made = build_request_renderer(
        "POST", target("https://crm.test/loans/{{ data.id }}/events"), body=named_body("none")
    )
    url = made.render(about(id=value)).url
    assert url.target.count("/") == 3
    assert url.target.isascii()
    assert unquote(url.target.split("/")[2]) == str(value).replace("\ud800", "\ufffd")
    assert url[:3] == ("https", "crm.test", 443)


def test_a_value_in_the_query_stays_one_value() -> None:
    made = build_request_renderer("POST", target("https://crm.test/?a={{ data.a }}&b={{ data.b }}"))
    value = "../ x&c=d#?%0A+é"
    url = made.render(about(a=value, b=None)).url
    assert parse_qs(url.target[2:], keep_blank_values=True) == {"a": [value], "b": [""]}
    with pytest.raises(RenderError, match=r"the URL's query, line 1: .* control character"):
        made.render(about(a="x\r\nHost: evil", b=1))


def test_the_length_of_a_url_is_limited() -> None:
    with pytest.raises(RenderError, match="more than 8192 characters"):
        build_request_renderer("POST", target("https://crm.test/{{ data.a }}")).render(about(a="x" * 9000))


def test_an_expression_may_contain_quotes_braces_and_filters() -> None:
    path = """{{ data.a | default("}}") }}/{{ data['b'] | upper }}"""
    text = f"https://crm.test/{path}?c={{{{ data.c | default('?{{{{') }}}}"
    assert (
        build_request_renderer("POST", target(text)).render(about(b="x")).url.target
        == "/%7D%7D/X?c=%3F%7B%7B"
    )


@pytest.mark.parametrize(
    "text",
    [
        "{{ scheme }}://crm.test/", "https://{{ tenant }}.crm.test/", "https://crm.test:{{ data.port }}/",
        "https://{{ data.user }}@crm.test/", "https://{{ data.host }}", "{{ data.url }}",
        "https://crm.test{{ data.x }}/", "https://crm.test/{% if true %}a{% endif %}",
        "https://crm.test/{{ a",
        "https://crm.test/{# x #}",
    ],
)  # fmt: skip
def test_nothing_before_the_path_changes_with_the_event(text: str) -> None:
    with pytest.raises(ValueError, match="the URL contains"):
        split_expressions(text)


def test_an_invalid_url_template_fails_at_construction() -> None:
    with pytest.raises(TemplateMistake, match='did you mean "tenant"'):
        target("https://crm.test/{{ tenat }}")


def test_a_masked_url_shows_only_the_events_values() -> None:
    made = target("https://crm.test/services/T0K3N/{{ data.id }}-x?sig=S1G&id={{ data.id }}")
    shown = made.masked("***").of(about(id="4 2"))
    assert f"{shown.origin}{shown.target}" == "https://crm.test:443/***/***/4%202***?***=***&***=4%202"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("a\r\nX-Evil: 1", b"v a  X-Evil: 1 w"), ("a\x00b", b"v a b w"), ("\x1b[31m", b"v  [31m w"),
        ("é😀", "v é😀 w".encode()), (None, b"v  w"), ("\ud800", "v \ufffd w".encode()),
        ("a\x85b\u2028", "v a b\u2028 w".encode()),
    ],
)  # fmt: skip
def test_a_header_stays_one_line(value: Any, line: bytes) -> None:
    made = build_request_renderer("POST", URL, {"X-Id": "v {{ data.a }} w"}, named_body("none"))
    assert made.render(about(a=value)).headers == ((b"X-Id", line),)


def test_the_length_of_a_header_is_limited() -> None:
    with pytest.raises(RenderError, match="the header X-Id has more than 4096 bytes"):
        build_request_renderer("POST", URL, {"X-Id": "{{ data.a }}"}).render(about(a="é" * 2049))


def test_all_faults_of_a_request_are_reported_together() -> None:
    made = build_request_renderer("POST", target("https://crm.test/{{ data.a }}"), {"X-Id": "{{ data.b }}"})
    assert isinstance(made, RequestRenderer)
    assert [str(fault) for fault in made.faults(about())] == [
        'the URL\'s path, line 1: there is no "a"', 'the header X-Id, line 1: there is no "b"',
    ]  # fmt: skip
