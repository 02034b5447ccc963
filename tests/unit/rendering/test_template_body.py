"""Templates as bodies: values cannot leave their place, and an error contains the template's line."""
# ruff: noqa: E501 - a table of templates is easier to compare with each on its own line

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

import pytest

from bridge.errors import DecodeError, RenderError
from bridge.model import Event, Resend
from bridge.preflight.samples import sample
from bridge.rendering.sandbox import TemplateMistake
from bridge.rendering.template import VARIABLES, TemplateBody

HOSTILE = "He said \"hi\" \\ & <b>'x'</b>\r\n\t\x00\x0b \u2028\u2029 \ud800 😀 {{ 1 }} %0A ]]> &amp; a=b&c=d"


def event(data: Any, type_: str = "T") -> Event:
    made = sample(type_)
    made.payload = lambda: data
    return made


def body(source: str, data: Any, content_type: str = "application/json", **more: Any) -> str:
    return TemplateBody({}, source, content_type, **more)(event(data))[1].decode()


def test_an_inserted_text_cannot_leave_its_json_string() -> None:
    made = body('{"text": "Loan {{ data.x }}!", "whole": {{ data.x | json }}}', {"x": HOSTILE})
    readable = HOSTILE.replace("\ud800", "\ufffd")
    assert json.loads(made) == {"text": f"Loan {readable}!", "whole": readable}


def test_values_in_json_have_their_json_form() -> None:
    source = """{"a": {{ data.amount }}, "s": "{{ data.amount }}", "n": {{ data.none }}, "b": {{ data.yes }},
    "i": {{ data.int }}, "f": {{ data.float }}, "l": {{ data.list }}, "y": "{{ data.bytes }}", "j": {{ data | json }}}"""
    data = {"amount": Decimal("0E-8"), "none": None, "yes": True, "int": 2**60, "float": 0.1, "bytes": b"\0\xff",
            "list": [Decimal("1.5"), {"k": 'v"'}]}  # fmt: skip
    assert json.loads(body(source, data), parse_float=str) == {
        "a": "0.00000000", "s": "0.00000000", "n": None, "b": True, "i": 2**60, "f": "0.1",
        "l": ["1.5", {"k": 'v"'}], "y": "AP8=",
        "j": {"amount": "0.00000000", "none": None, "yes": True, "int": 2**60, "float": "0.1", "bytes": "AP8=",
              "list": ["1.5", {"k": 'v"'}]},
    }  # fmt: skip


def test_null_is_null_without_quotes_and_empty_inside_quotes() -> None:
    source = """{"a": {{ data.n }}, "b": "<{{ data.n }}>", "c": "{{ data.n ~ data.n }}", "d": {{ data.n | json }},
    "e": [{% for x in [none] %}{{ x }}{% endfor %}]}"""
    assert json.loads(body(source, {"n": None})) == {"a": None, "b": "<>", "c": "", "d": None, "e": [None]}


def test_xml_keeps_its_structure_and_forbidden_characters_are_replaced() -> None:
    made = body("<a x=\"{{ data.x }}\" y='{{ data.x }}'>{{ data.x }}</a>", {"x": HOSTILE}, "application/xml")
    root = ElementTree.fromstring(made)
    readable = HOSTILE.replace("\ud800", "\ufffd").replace("\x00", "\ufffd").replace("\x0b", "\ufffd")
    assert (root.text, root.get("x"), root.get("y")) == (readable, readable, readable)


def test_line_breaks_of_a_form_template_are_removed() -> None:
    made = body("a={{ data.x }}&\n  b={{ data.n }}&\nc={{ type }}\n", {"x": HOSTILE, "n": None},
                "application/x-www-form-urlencoded")  # fmt: skip
    assert "\n" not in made
    expected = HOSTILE.replace("\ud800", "\ufffd")
    assert parse_qs(made, keep_blank_values=True) == {"a": [expected], "b": [""], "c": ["T"]}


def test_plain_text_is_not_escaped() -> None:
    made = body(
        "{{ data.x }} {{ data.list | json }}", {"x": HOSTILE, "list": [1]}, "text/plain; charset=utf-8"
    )
    assert made == HOSTILE.replace("\ud800", "\ufffd") + " [1]"


@pytest.mark.parametrize(
    ("content_type", "made"),
    [
        ("application/vnd.api+json", '\\"&'), ("application/soap+xml", "&quot;&amp;"), ("text/html", "&quot;&amp;"),
        ("TEXT/XML; charset=utf-8", "&quot;&amp;"), ("text/csv", '"&'),
    ],
)  # fmt: skip
def test_the_content_type_selects_the_escaping(content_type: str, made: str) -> None:
    source = '"{{ data.x }}"' if "json" in content_type else "{{ data.x }}"
    assert body(source, {"x": '"&'}, content_type).strip('"') == made.strip('"')


@pytest.mark.parametrize(
    "source",
    [
        '{"a": {{ data.x }} }',
        '{"k": "v", {{ data.x }}: 1}',
        '{% if true %}{"a": {{ data.x }} }{% endif %}',
        '[{% for i in [1] %}{{ data.x }}{% endfor %}]',
        '{"a": "b\\"", "c": {{ data.x }} }',
        '{"a": {{ data.x if true else "" }} }',
        '{% with a = data.x %}{"a": {{ a }} }{% endwith %}',
    ],
)  # fmt: skip
def test_a_text_outside_quotes_cannot_add_keys(source: str) -> None:
    """The result would be valid JSON, but with keys that the template does not contain."""
    with pytest.raises(RenderError, match=r"line 1: \{\{ .+ \}\}: a text has no quotes around it"):
        body(source, {"x": '1, "admin": true'})


def test_outside_quotes_numeric_text_and_constants_are_allowed() -> None:
    source = """[{% for x in data.l %}{{ x }}{{ "," if not loop.last }}{% endfor %}, {{ "true" if data.l else "false" }},
    {{ data.t }}, {% if data.l %}"{% if true %}{{ data.q }}{% endif %}"{% endif %}, {% macro m(x) %}"{{ x }}"{% endmacro %}{{ m(data.q) }},
    {% set s %}"<{{ data.q }}>"{% endset %}{{ s }}]"""
    assert json.loads(body(source, {"l": [1, 2], "t": "-12.50", "q": 'a"b'})) == [
        1,
        2,
        True,
        -12.5,
        'a"b',
        'a"b',
        '<a"b>',
    ]


def test_a_value_whose_place_changes_in_a_loop_is_inserted_by_its_place_in_each_iteration() -> None:
    source = '[{% for x in data.l %}{{ x }}{{ "," if loop.first }}"{% endfor %}]'
    assert body(source, {"l": [5, 'a"b']}) == '[5,"a\\"b"]'
    with pytest.raises(RenderError, match="a text has no quotes around it"):
        body(source, {"l": ["1,2", "a"]})


def test_the_error_for_invalid_json_contains_the_position_but_no_data() -> None:
    with pytest.raises(RenderError, match="rendered invalid JSON: line 2, column 6 of the body") as caught:
        body('{"a": "S3CR3T",\n "b" 1}', {})
    assert "S3CR3T" not in str(caught.value)


def test_the_text_of_a_macro_is_escaped_once() -> None:
    source = '{% macro who(x) %}<{{ x }}>{% endmacro %}{"a": "{{ who(data.x) }}", "b": "{{ who(data.x) ~ data.x }}"}'
    assert json.loads(body(source, {"x": 'q"\\'})) == {"a": '<q"\\>', "b": '<q"\\>q"\\'}


def test_a_filter_after_a_macro_cannot_undo_its_escaping() -> None:
    source = '{% macro who(x) %}{{ x }}{% endmacro %}{"a": "{{ who(data.x) | replace("\\\\", "") }}"}'
    json.loads(body(source, {"x": '", "admin": "'}))


@pytest.mark.parametrize(
    "cut", ["x[1:]", "x[:6]", "x[-2:]", "x[::2]", "m(data.x)[:6]", "(x ~ x)[1:4]", "(x + x)[:6]"]
)
def test_a_slice_through_an_escape_cannot_undo_it(cut: str) -> None:
    source = "{% macro m(x) %}text {{ x }}{% endmacro %}{% set x %}text {{ data.x }}{% endset %}"
    for value in ('"', "\\", '", "admin": "', "\n\n"):
        made = json.loads(body(source + '{"a": "{{ ' + cut + ' }}", "b": ""}', {"x": value}))
        assert made.keys() == {"a", "b"}


def test_every_variable_has_its_value() -> None:
    names = [*VARIABLES]
    source = "{" + ", ".join(f'"{name}": {{{{ {name} | json }}}}' for name in names) + "}"
    one = sample("LoanApprovedBusinessEvent", source="bank")
    one.record = one.record._replace(headers=(("trace", b"a\xff"), ("other", b"")))
    one.payload = lambda: {"id": 1}
    made = json.loads(TemplateBody({}, source, "application/json")(one)[1])
    assert made == {
        "type": "LoanApprovedBusinessEvent", "id": one.id, "webhook_id": one.webhook_id, "time": one.time,
        "time_source": "event",
        "entity": "42", "tenant": "default", "source": "bank", "topic": "external-events", "data": {"id": 1},
        "context": one.context, "headers": {"trace": "a\ufffd", "other": ""},
        "headers_all": {"trace": ["a\ufffd"], "other": [""]},
    }  # fmt: skip


def test_a_resent_event_shows_its_original_topic_and_headers() -> None:
    one = sample("T", topic="orders")
    again = one.record._replace(
        partition=one.record.partition._replace(topic="g.again"), headers=(("x", b"y"),)
    )
    one.record, one.resend = again, Resend(one.record, None, "x1")
    assert TemplateBody({}, "{{ topic }} {{ headers | json }}", "text/plain")(one)[1] == b"orders {}"


def test_the_payload_is_decoded_only_for_a_template_that_reads_it() -> None:
    def broken() -> Any:
        raise DecodeError("here", "it is cut short", "send it whole")

    one = sample("T")
    one.payload = broken
    assert TemplateBody({}, "{{ type }}", "text/plain")(one)[1] == b"T"
    with pytest.raises(DecodeError):
        TemplateBody({}, "{{ data.x }}", "text/plain")(one)


def slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_a_receivers_own_escaping_is_applied_first() -> None:
    """Inserted values are escaped, the text of the template is not."""
    source = '{"text": "<https://x|{{ data.name }}> {{ data.amount }}", "f": {{ data.name | json }}, "d": {{ data.d }}}'
    data = {"name": 'A & "B" <!channel>', "amount": Decimal("1.50"), "d": {"<k>": ["<v>"]}}
    assert json.loads(body(source, data, escape=slack)) == {
        "text": '<https://x|A &amp; "B" &lt;!channel&gt;> 1.50', "f": 'A &amp; "B" &lt;!channel&gt;',
        "d": {"<k>": ["&lt;v&gt;"]},
    }  # fmt: skip


def test_the_first_matching_pattern_selects_the_template_else_the_default() -> None:
    templates = {"Loan*Approved*": "approved", "Loan*": "loan {{ entity }}"}
    make = TemplateBody(templates, "other {{ type }}", "text/plain", shorten=lambda made: made[:9])
    types = ("LoanApprovedBusinessEvent", "LoanDisbursalBusinessEvent", "ClientActivateBusinessEvent")
    assert [make(sample(one))[1] for one in types] == [b"approved", b"loan 42", b"other Cli"]
    with pytest.raises(RenderError, match="there is no template for events of type X"):
        TemplateBody(templates, None, "text/plain")(sample("X"))


def test_an_invalid_template_fails_at_construction() -> None:
    with pytest.raises(TemplateMistake, match='did you mean "money"'):
        TemplateBody({"Loan*": "{{ data.x | mony }}"}, None, "text/plain")
