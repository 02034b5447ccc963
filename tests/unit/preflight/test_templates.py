"""``hookferry check`` renders templates with samples, and reports what would fail for real events."""
# ruff: noqa: E501 - a table of templates is easier to compare with each on its own line

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.preflight.templates import check_templates
from bridge.settings import load, tree_of
from tests.support.records import shared_fineract

KAFKA = "kafka: {bootstrap_servers: [k:9092]}\n"


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "bridge.yaml"
    file.write_text(KAFKA + text, encoding="utf-8")
    lines = map(str, check_templates(load(file, {}), tree_of(file, {}).place))
    return [line.replace(f"{tmp_path}/", "") for line in lines]


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


def test_a_valid_template_has_no_problems_for_any_selected_type(tmp_path: Path) -> None:
    body = '      template: \'{"t": "{{ type }}", "id": {{ data.id | default(0) }} }\'\n'
    assert problems(tmp_path, bank(body, '["*"]')) == []


def test_a_misspelled_field_is_found_if_the_schema_is_known(tmp_path: Path) -> None:
    body = '      template: |\n        {"a": "{{ data.accountNo }}",\n         "b": "{{ data.acountNo }}"}\n'
    assert problems(tmp_path, bank(body)) == [
        "bridge.yaml:10:1: endpoints.crm.body.template: with a sample of LoanApprovedBusinessEvent: the body's"
        ' template, line 2: there is no "acountNo"; did you mean "accountNo"?; try it with: hookferry render'
        " --endpoint crm --sample LoanApprovedBusinessEvent"
    ]


def test_a_field_that_some_types_lack_is_reported_once(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, bank('      template: \'{"a": "{{ data.accountNo }}"}\'\n', "[Loan*]"))
    assert 'there is no "accountNo"' in line


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("      template: '{\"a\": {{ data.clientName }} }'\n", "8:17: endpoints.crm.body.template: with a sample"),
        ("      template: '{\"a\": 1,}'\n", "rendered invalid JSON: line 1, column 8 of the body"),
        ("      template: '{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}'\n", "stopped"),
        ("      template: <a>{{ data.id }}\n      content_type: text/xml\n", "did not produce well-formed XML"),
        ("      template: '{{ data.status | upper }}'\n      content_type: text/plain\n", "a mapping is not text"),
        ("      template: '{\"a\": \"Loan {{ data.timeline }}\"}'\n", "line 1: {{ data.timeline }}: a mapping is not text"),
        ("      template: '{% macro m(v) %}{{ v }}{% endmacro %}{\"a\": {{ m(data.clientName) }} }'\n", "{{ m(…) }}: a text has no quotes"),
        ("      template: '{\"{{ data.id }}\": 1, \"{{ data.id }}\": 2}'\n", "the same key twice in one object"),
        ("      template: '{{ data.timeline }}'\n      content_type: text/plain\n", "{{ data.timeline }}: a mapping is not text"),
        ("      template: '{{ data.accountNo | date }}'\n      content_type: text/plain\n", "date needs a date"),
    ],
)  # fmt: skip
def test_a_template_that_fails_with_a_sample_is_reported(tmp_path: Path, body: str, expected: str) -> None:
    (line,) = problems(tmp_path, bank(body))
    assert expected in line


def test_mistakes_in_url_headers_and_body_are_reported_together(tmp_path: Path) -> None:
    text = bank("      template: '{{ data.c }}'\n", more="    headers: {X-Id: '{{ data.b }}'}\n")
    lines = problems(tmp_path, text.replace("{{ entity }}", "{{ data.a }}"))
    assert [line.split(": with")[0] for line in lines] == [
        "bridge.yaml:5:10: endpoints.crm.url",
        "bridge.yaml:7:21: endpoints.crm.headers.X-Id",
        "bridge.yaml:9:17: endpoints.crm.body.template",
    ]


def test_a_mistake_in_a_template_file_is_reported_with_that_file(tmp_path: Path) -> None:
    (tmp_path / "one.j2").write_text('{\n"a": {{ data.clientName }}\n}', encoding="utf-8")
    (line,) = problems(tmp_path, bank("      template_file: one.j2\n"))
    assert line.startswith("one.j2:2:1: endpoints.crm.body.template_file: with a sample of")


SHOP = """\
sources: {shop: {format: json, topics: [o], id: id, type: type}}
endpoints:
  crm:
    url: https://crm.example.com/{{ data.id }}
    events: [order.paid, "order.*"]
    body: {template: '%s'}
"""


def test_a_missing_field_is_ignored_if_the_fields_are_not_known(tmp_path: Path) -> None:
    assert problems(tmp_path, SHOP % '{"a": "{{ data.total | money(data.currency) }}"}') == []


def test_other_mistakes_are_found_even_if_the_fields_are_not_known(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, SHOP % '{"a": "{{ type }}",}')
    assert "with a sample of order.paid" in line
    assert "rendered invalid JSON" in line


def test_a_template_filter_on_a_wrong_value_is_found_even_if_the_fields_are_not_known(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, SHOP % '{"b": "{{ type | money }}"}')
    assert "a number is needed" in line


def test_endpoints_without_templates_do_not_read_the_schemas(tmp_path: Path) -> None:
    text = "sources: {bank: {format: fineract, topics: [e], schemas: .}}\nendpoints: {crm: {url: https://crm.example.com/}}\n"
    assert problems(tmp_path, text) == []


def test_a_template_that_cannot_be_one_event_of_a_batch_is_found(tmp_path: Path) -> None:
    text = """\
sources: {shop: {format: json, topics: [o], id: id, type: type}}
endpoints:
  crm:
    url: https://crm.example.com/
    batch: {}
    body: {template: '[{{ type | json }}]'}
"""
    (problem,) = problems(tmp_path, text)
    assert "crm.body.template: with a sample of order.placed: the body is not a JSON object" in problem
    assert problems(tmp_path, text.replace("    batch: {}\n", "")) == []
