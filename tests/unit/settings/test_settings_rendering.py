"""Method, body and templates of an endpoint: what is accepted, and the place of each mistake."""
# ruff: noqa: E501 - a table of templates is easier to compare with each on its own line

import pytest

from bridge.settings import load
from bridge.settings.models.request import TemplateSettings
from tests.support.settings_example import VALID

URL = "    url: https://crm.example.com/hooks"


def test_the_default_is_a_post_with_the_standard_body(write):
    crm = load(write(VALID), {}).endpoints["crm"]
    assert (crm.method, crm.body, crm.has_templates, crm.url_expressions) == ("POST", "standard", False, ())


def test_templates_in_url_header_and_body_are_accepted(write, folder):
    (folder / "t").mkdir()
    (folder / "t" / "one.j2").write_text("\ufeff{{ data.id }}", encoding="utf-8")
    text = VALID.replace(
        URL,
        """\
    url: https://crm.example.com/loans/{{ data.id }}?t={{ tenant }}
    method: PUT
    headers: {X-Id: "no. {{ data.id }}", Authorization: Bearer x}
    body: {template_file: t/one.j2, content_type: text/plain}""",
    )
    crm = load(write(text), {}).endpoints["crm"]
    assert crm.url_expressions == ("{{ data.id }}", "{{ tenant }}")
    assert crm.target.origin == "https://crm.example.com:443"
    assert crm.header_pairs == (("Authorization", "Bearer x"),)
    assert crm.header_templates == {"X-Id": "no. {{ data.id }}"}
    assert isinstance(crm.body, TemplateSettings)
    assert (crm.body.source(), crm.body.content_type) == ("{{ data.id }}", "text/plain")


@pytest.mark.parametrize("name", ["standard", "thin", "raw", "cloudevents", "cloudevents-binary", "none"])
def test_a_named_body_is_accepted(write, name):
    assert load(write(VALID + f"    body: {name}\n"), {}).endpoints["crm"].body == name


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("    method: GET", '11:13: endpoints.crm.method "GET": is not one of the allowed values; use one of POST, PUT'),
        ("    body: thinn", '11:11: endpoints.crm.body "thinn": is not a body; did you mean "thin"?'),
        ("    body: 3", '11:11: endpoints.crm.body "3": is not text'),
        ("    body: [a]", "11:11: endpoints.crm.body: is not text"),
        ("    body: {}", "11:5: endpoints.crm.body: has no template; add template"),
        ("    body: {templte: x}", '11:12: endpoints.crm.body.templte: is not a known key; did you mean "template"?'),
        ("    body: {template: ''}", "11:22: endpoints.crm.body.template \"\": is empty"),
        ("    body: {template: a, template_file: b}", "11:25: endpoints.crm.body.template_file: is set together with template"),
        ("    body: {template_file: no.j2}", '11:27: endpoints.crm.body.template_file "no.j2": cannot be read (No such'),
        ("    body: {template: a, content_type: json}", '11:39: endpoints.crm.body.content_type "json": is not a content type'),
        ("    body: {template: a, content_type: multipart/form-data}", "needs a boundary"),
        ("    body: {template: '{{ x }}'}", '11:22: endpoints.crm.body.template: there is no "x"; use context'),
        ("    body: {template: '{{ dta }}'}", 'there is no "dta"; did you mean "data"?'),
        ("    body: {template: '{% include \"x\" %}'}", "{% include %} is not available in templates"),
        ("    body:\n      template: |\n        {\n          {{ data.x | mony }}\n        }", '14:1: endpoints.crm.body.template: no filter named'),
        ("    headers: {X-Id: '{{ data.id'}", "11:21: endpoints.crm.headers.X-Id: unexpected end of template"),
        ("    headers: {X-Id: '{{ data.id | json2 }}'}", "no filter named 'json2'; did you mean \"json\"?"),
        ("    headers: {Content-Type: text/plain}", "11:15: endpoints.crm.headers.Content-Type: the name is set by body"),
        ("    body: fineract-hook", "endpoints.crm.events: selects 92 types that Fineract's old hooks did not have"),
        ("    body: fineract-hook\n    events: [LoanReAgeBusinessEvent]", "12:5: endpoints.crm.events: selects a type that Fineract's old hooks did not"),
    ],
)  # fmt: skip
def test_a_wrong_template_is_one_mistake_at_its_place(given, extra, expected):
    (line,) = given(text=VALID + extra + "\n")
    assert expected in line
    if expected[:2].isdigit() and expected[2:3] == ":":
        assert line.startswith(f"bridge.yaml:{expected}")


def test_the_old_hooks_body_is_accepted_for_types_they_had(given):
    assert (
        given(text=VALID + "    body: fineract-hook\n    events: [LoanApprovedBusinessEvent, Client*]\n")
        == []
    )
    assert given("sources: [fineract]", "sources: [orders]", text=VALID + "    body: none\n") == []


def test_a_mistake_in_a_template_file_is_reported_with_its_line(given, folder):
    (folder / "one.j2").write_text("a\n\n{{ dta }}\n", encoding="utf-8")
    (line,) = given(text=VALID + "    body: {template_file: one.j2}\n")
    assert line.startswith('one.j2:3:1: endpoints.crm.body.template_file: there is no "dta"')


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://{{ tenant }}.example.com/", "contains {{ … }} before its path"),
        ("https://crm.example.com:{{ data.p }}/", "contains {{ … }} before its path"),
        ("https://{{ data.u }}@crm.example.com/", "contains {{ … }} before its path"),
        ("'{{ data.url }}'", "contains {{ … }} before its path"),
        ("https://crm.example.com/{% if x %}", "contains {% or {#"),
        ("https://crm.example.com/{{ tenat }}", 'there is no "tenat"; did you mean "tenant"?'),
        ("https://crm.example.com/T0K3N/../{{ tenant }}", 'contains a "." or ".." segment'),
        ("http://crm.example.com/{{ tenant }}", "is plain http"),
    ],
)
def test_a_template_that_could_change_the_host_is_a_mistake_and_never_shown(given, url, expected):
    (line,) = given(URL, f"    url: {url}")
    assert line.startswith("bridge.yaml:8:10: endpoints.crm.url: ")
    assert expected in line
    assert "T0K3N" not in line


def test_a_template_can_come_from_the_environment(write):
    env = {
        "HOOKFERRY_ENDPOINTS__CRM__BODY": '{"template": "{{ type }}", "content_type": "text/plain"}',
        "HOOKFERRY_ENDPOINTS__CRM__METHOD": "DELETE",
    }
    crm = load(write(VALID), env).endpoints["crm"]
    assert isinstance(crm.body, TemplateSettings)
    assert (crm.body.template, crm.method) == ("{{ type }}", "DELETE")


def test_a_named_body_can_come_from_the_environment(write):
    env = {"HOOKFERRY_ENDPOINTS__CRM__BODY": "thin"}
    assert load(write(VALID), env).endpoints["crm"].body == "thin"
