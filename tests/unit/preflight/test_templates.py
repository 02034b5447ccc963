"""``hookferry check`` tries templates with samples, and says what real events would stumble over."""
# ruff: noqa: E501 - a table of templates is easier to compare with each on its own line

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.preflight.templates import rehearse
from bridge.settings import load, tree_of
from tests.support.records import shared_fineract

KAFKA = "kafka: {bootstrap_servers: [k:9092]}\n"


def rehearsed(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "bridge.yaml"
    file.write_text(KAFKA + text, encoding="utf-8")
    found = rehearse(load(file, {}), tree_of(file, {}).place)
    return [line.replace(f"{tmp_path}/", "") for line in found]


def bank(body: str, events: str = "[LoanApprovedBusinessEvent]", more: str = "") -> str:
    avro = shared_fineract() / "schemas" / "develop-2026-06-29" / "avro"
    return f"""\
sources: {{bank: {{format: fineract, topics: [e], schemas: {avro}}}}}
endpoints:
  crm:
    url: https://crm.example.com/{{{{ entity }}}}
    events: {events}
{more}    body:
{body}"""


def test_a_good_template_is_good_for_every_type_it_is_for(tmp_path: Path) -> None:
    body = '      template: \'{"t": "{{ type }}", "id": {{ data.id | default(0) }} }\'\n'
    assert rehearsed(tmp_path, bank(body, '["*"]')) == []


def test_a_misspelt_field_is_found_where_the_schema_is_known(tmp_path: Path) -> None:
    body = '      template: |\n        {"a": "{{ data.accountNo }}",\n         "b": "{{ data.acountNo }}"}\n'
    assert rehearsed(tmp_path, bank(body)) == [
        "bridge.yaml:10:1: endpoints.crm.body.template: with a sample of LoanApprovedBusinessEvent: the body's"
        ' template, line 2: there is no "acountNo"; did you mean "accountNo"?; try it with: hookferry render'
        " --endpoint crm --sample LoanApprovedBusinessEvent"
    ]


def test_a_field_that_not_every_type_has_is_found_once(tmp_path: Path) -> None:
    (line,) = rehearsed(tmp_path, bank('      template: \'{"a": "{{ data.accountNo }}"}\'\n', "[Loan*]"))
    assert 'there is no "accountNo"' in line


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("      template: '{\"a\": {{ data.clientName }} }'\n", "8:17: endpoints.crm.body.template: with a sample"),
        ("      template: '{\"a\": 1,}'\n", "rendered invalid JSON: line 1, column 8 of the body"),
        ("      template: '{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}'\n", "stopped"),
        ("      template: <a>{{ data.id }}\n      content_type: text/xml\n", "no well-formed XML"),
        ("      template: '{{ data.status | upper }}'\n      content_type: text/plain\n", "a mapping is no text"),
        ("      template: '{{ data.accountNo | date }}'\n      content_type: text/plain\n", "date needs a date"),
    ],
)  # fmt: skip
def test_what_can_be_known_before_is_said_before(tmp_path: Path, body: str, expected: str) -> None:
    (line,) = rehearsed(tmp_path, bank(body))
    assert expected in line


def test_mistakes_of_url_headers_and_body_come_together(tmp_path: Path) -> None:
    text = bank("      template: '{{ data.c }}'\n", more="    headers: {X-Id: '{{ data.b }}'}\n")
    lines = rehearsed(tmp_path, text.replace("{{ entity }}", "{{ data.a }}"))
    assert [line.split(": with")[0] for line in lines] == [
        "bridge.yaml:5:10: endpoints.crm.url",
        "bridge.yaml:7:21: endpoints.crm.headers.X-Id",
        "bridge.yaml:9:17: endpoints.crm.body.template",
    ]


def test_a_file_of_its_own_is_named(tmp_path: Path) -> None:
    (tmp_path / "one.j2").write_text('{\n"a": {{ data.clientName }}\n}', encoding="utf-8")
    (line,) = rehearsed(tmp_path, bank("      template_file: one.j2\n"))
    assert line.startswith("one.j2:2:1: endpoints.crm.body.template_file: with a sample of")


SHOP = """\
sources: {shop: {format: json, topics: [o], id: id, type: type}}
endpoints:
  crm:
    url: https://crm.example.com/{{ data.id }}
    events: [order.paid, "order.*"]
    body: {template: '%s'}
"""


def test_where_fields_are_not_known_a_missing_one_says_nothing(tmp_path: Path) -> None:
    assert rehearsed(tmp_path, SHOP % '{"a": "{{ data.total | money(data.currency) }}"}') == []


def test_where_fields_are_not_known_the_rest_is_found_all_the_same(tmp_path: Path) -> None:
    (line,) = rehearsed(tmp_path, SHOP % '{"a": "{{ type }}",}')
    assert "with a sample of order.paid" in line
    assert "no valid JSON" in line


def test_a_filter_on_the_wrong_value_is_found_where_fields_are_not_known(tmp_path: Path) -> None:
    (line,) = rehearsed(tmp_path, SHOP % '{"b": "{{ type | money }}"}')
    assert "a number is needed" in line


def test_endpoints_without_templates_cost_nothing(tmp_path: Path) -> None:
    text = "sources: {bank: {format: fineract, topics: [e], schemas: .}}\nendpoints: {crm: {url: https://crm.example.com/}}\n"
    assert rehearsed(tmp_path, text) == []
