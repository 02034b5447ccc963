"""Values in XML and HTML keep to their place: in text, in a quoted attribute, or as a name in a tag."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from bridge.errors import RenderError
from bridge.model import Event
from bridge.preflight.samples import sample
from bridge.rendering.template import TemplateBody


def event(value: Any) -> Event:
    made = sample("T")
    made.payload = lambda: {"x": value, "y": "z"}
    return made


def render(source: str, value: Any, content_type: str = "text/html") -> str:
    return TemplateBody({}, source, content_type)(event(value))[1].decode()


IN_A_TAG = [
    "<a href={{ data.x }}>t</a>",
    "<a {{ data.x }}>t</a>",
    "<{{ data.x }}>t</a>",
    "<a b='1' c={{ data.x }}>t</a>",
    "<!-- it's -->\n<a b={{ data.x }}>t</a>",
    "<![CDATA[ > ]]><a b={{ data.x }}>t</a>",
    "{% macro m(v) %}{{ v }}{% endmacro %}<a b={{ m(data.x) }}>t</a>",
    "{% set v %}{{ data.x }}{% endset %}<a b={{ v }}>t</a>",
    "<a {% if data.y %}b={% endif %}{{ data.x }}>t</a>",
    "<a b={{ data.x ~ '' }}>t</a>",
]


@pytest.mark.parametrize("source", IN_A_TAG)
@pytest.mark.parametrize("value", ["x onload=steal()", "a b", "a/", "x><script", "x='1'", "", None, "`"])
def test_a_text_in_a_tag_without_quotes_cannot_add_attributes(source: str, value: Any) -> None:
    with pytest.raises(RenderError, match="a value in a tag has no quotes around it, and is not a name"):
        render(source, value)


@pytest.mark.parametrize("source", IN_A_TAG)
def test_a_name_or_number_in_a_tag_needs_no_quotes(source: str) -> None:
    assert "event" in render(source, "event")
    assert "12" in render(source, 12)


@pytest.mark.parametrize(
    "source",
    [
        '<a b="{{ data.x }}">{{ data.x }}</a>',
        "<a b='{{ data.x }}' c=\"it's\">{{ data.x }}</a>",
        "<?pi it's?><!-- \" --><a b='{{ data.x }}'>{{ data.x }}</a>",
        '{% macro m(v) %}b="{{ v }}"{% endmacro %}<a {{ m(data.x) }}>{{ data.x }}</a>',
        '{% macro m(v) %}{{ v }}{% endmacro %}<a b="{{ m(data.x) }}">{{ m(data.x) }}</a>',
        '{% set v %}<a b="{{ data.x }}">{{ data.x }}</a>{% endset %}{{ v }}',
        '<a b={% if data.y %}"{% endif %}{{ data.x }}{% if data.y %}"{% endif %}>{{ data.x }}</a>',
        '<a {{ "z" if not data.y }} b="{{ data.x }}">{{ data.x }}</a>',
    ],
)
def test_any_text_can_be_in_text_and_in_quoted_attributes(source: str) -> None:
    value = "\"'<>&>]]> it's --> x"
    root = ElementTree.fromstring(render(source, value, "application/xml"))
    assert (root.tag, root.get("b"), root.text) == ("a", value, value)


def test_a_list_in_an_attribute_names_its_expression() -> None:
    with pytest.raises(RenderError, match=r"\{\{ data\.x \}\}: a list is not text"):
        render('<a b="{{ data.x }}"/>', ["a"])


def test_a_block_that_ends_inside_a_tag_is_an_error() -> None:
    with pytest.raises(RenderError, match="contains a quote or < without its second one"):
        render("{% macro m() %}<a b='{% endmacro %}{{ m() }}{{ data.x }}'/>", "x")
