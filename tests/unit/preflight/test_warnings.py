"""``hookferry check`` warns of what is allowed and probably wrong, and finds everything in one pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.preflight.examine import examine
from tests.support.settings_example import SECRET

HEAD = """\
kafka: {bootstrap_servers: ["k:9092"]}
sources: {orders: {topics: [orders], format: json, id: id, type: type}}
"""


def warnings(folder: Path, endpoint: str, more: str = "", env: dict[str, str] | None = None) -> list[str]:
    file = folder / "bridge.yaml"
    file.write_text(f"{HEAD}{more}endpoints:\n  crm: {endpoint}\n")
    return [str(problem) for problem in examine(file, env or {}).warnings]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://localhost:3000/hook", "is https to this machine"),
        ("https://127.0.0.1/hook", "is https to this machine"),
        ("https://[::1]:8443/", "is https to this machine"),
        ("https://shop.localhost/{{ entity }}", "is https to this machine"),
        ("http://localhost:3000/hook", "is refused at each request: localhost has the address 127.0.0.1"),
        ("https://hooks.slack.com/services/T/B/x", "is Slack's, but preset is standard"),
        ("https://discord.com/api/webhooks/1/x", "set preset: discord"),
        ("https://events.eu.pagerduty.com/v2/enqueue", "set preset: pagerduty"),
        ("https://hooks.zapier.com/hooks/catch/1/x", "set preset: zapier"),
        ("https://prod-1.westeurope.logic.azure.com/w?sig=1", "set preset: teams"),
        ("https://acme.webhook.office.com/x", "set preset: teams-connector"),
    ],
)
def test_a_url_that_cannot_work_as_intended_is_reported_without_its_path(
    tmp_path: Path, url: str, said: str
) -> None:
    (line, *_) = [line for line in warnings(tmp_path, f'{{url: "{url}"}}') if said in line]
    assert line.startswith(f"{tmp_path}/bridge.yaml:4:")
    assert "services/T" not in line


@pytest.mark.parametrize(
    ("endpoint", "more"),
    [
        ('{url: "https://crm.example.com/"}', ""),
        ('{url: "http://localhost:3000/"}', "egress: {allow: [127.0.0.0/8]}\n"),
        ('{url: "https://hooks.slack.com/services/T/B/x", preset: slack}', ""),
        ('{url: "https://discord.com/developers"}', ""),
        ('{url: "https://notslack.com/hooks.slack.com"}', ""),
        ('{url: "https://10.1.2.3/", proxy: "http://proxy:3128"}', ""),
        ('{url: "https://crm.example.com/", body: {template: "costs $FIVE and $x"}}', ""),
        ('{url: "https://crm.example.com/", headers: {X-Price: "5$"}}', ""),
        ('{url: "https://crm.example.com/a$b"}', ""),
    ],
)
def test_what_is_meant_so_gives_no_warning(tmp_path: Path, endpoint: str, more: str) -> None:
    assert warnings(tmp_path, endpoint, more) == []


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("$TOKEN", "write ${env:TOKEN}"),
        ("Bearer $CRM_TOKEN", "contains $CRM_TOKEN, which is not replaced"),
        ("Bearer $(CRM_TOKEN)", "write ${env:CRM_TOKEN}"),
        ("$token", "write ${env:token}"),
        ("{env:CRM_TOKEN}", "write ${env:CRM_TOKEN}"),
        ("env:CRM_TOKEN", "looks like a reference"),
        ("file:/run/secrets/crm", "write ${file:/run/secrets/crm}"),
    ],
)
def test_what_looks_like_a_reference_and_is_none_is_reported(tmp_path: Path, header: str, said: str) -> None:
    endpoint = f'{{url: "https://crm.example.com/", headers: {{Authorization: "{header}"}}}}'
    (line,) = warnings(tmp_path, endpoint)
    assert said in line
    assert "endpoints.crm.headers.Authorization" in line


def test_the_value_of_a_variable_is_no_reference(tmp_path: Path) -> None:
    endpoint = '{url: "https://crm.example.com/", headers: {Authorization: "${env:TOKEN}"}}'
    assert warnings(tmp_path, endpoint, env={"TOKEN": "pa$SWORD"}) == []


def test_secrets_that_nothing_uses_are_reported(tmp_path: Path) -> None:
    slack = f'{{url: "https://hooks.slack.com/services/T", preset: slack, secrets: [{SECRET}]}}'
    (line,) = warnings(tmp_path, slack)
    assert "verifies no signature; remove them" in line
    assert SECRET not in line
    text = f'{{url: "https://hooks.slack.com/services/T", preset: slack, signing: {{keys: [{SECRET}]}}}}'
    (line,) = warnings(tmp_path, text)
    assert "is not used: a Slack incoming webhook verifies no signature; remove it" in line


def test_a_secret_that_is_too_short_to_be_removed_from_texts_is_reported(tmp_path: Path) -> None:
    (line,) = warnings(tmp_path, '{url: "https://crm.example.com/", headers: {X-Api-Key: ab12}}')
    assert "endpoints.crm.headers.X-Api-Key: has fewer than 6 characters" in line
    assert "ab12" not in line


def check(folder: Path, text: str, *arguments: str) -> Result:
    file = folder / "bridge.yaml"
    file.write_text(text)
    return CliRunner().invoke(cli, ["check", str(file), *arguments])


def test_warnings_change_neither_the_exit_code_nor_the_result(tmp_path: Path) -> None:
    text = HEAD + 'endpoints:\n  crm: {url: "https://localhost/"}\n'
    result = check(tmp_path, text)
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/bridge.yaml: no problems\n")
    assert result.stderr.startswith("warning: ")
    document = json.loads(check(tmp_path, text, "-o", "json").stdout)
    assert document["problems"] == []
    assert [warning["setting"] for warning in document["warnings"]] == ["endpoints.crm.url"] * 2


BROKEN = """\
kafka: {bootstrap_servers: ["k:9092"], unknown: 1}
sources:
  orders: {topics: [orders], format: json, id: id, type: type, idd: 1}
endpoints:
  crm:
    url: ftp://crm.example.com/
    secrets: ["${env:NOT_SET}"]
    concurrency: 0
    events: [order.paid]
    body: {template: '{"a": 1,}'}
  erp:
    url: https://erp.example.com/
    when: data.
    body: {template: '{{ data.amount | nosuch }}'}
  lake:
    url: https://lake.example.com/
    sources: [order]
    body: {template: '{"a": {{ data }}'}
"""


def test_template_mistakes_are_found_in_the_same_pass_as_all_others(tmp_path: Path) -> None:
    result = check(tmp_path, BROKEN)
    assert result.exit_code == 2
    for said in ("kafka.unknown", "sources.orders.idd", "endpoints.crm.url", "NOT_SET",
                 "endpoints.crm.concurrency",
                 "endpoints.crm.body.template: with a sample of order.paid", "endpoints.erp.when",
                 "endpoints.erp.body.template", "endpoints.lake.sources[0]"):  # fmt: skip
        assert said in result.stdout, said
    lines = result.stdout.splitlines()
    assert len(lines) == len(set(lines))
    assert [int(line.split(":")[1]) for line in lines] == sorted(int(line.split(":")[1]) for line in lines)


def test_filter_mistakes_are_found_in_the_same_pass_as_a_missing_secret(tmp_path: Path) -> None:
    (tmp_path / "avro").mkdir()
    loan = {"type": "record", "name": "LoanAccountDataV1", "namespace": "org.apache.fineract.avro.loan.v1",
            "fields": [{"name": "principal", "type": "double"}]}  # fmt: skip
    (tmp_path / "avro" / "loan.avsc").write_text(json.dumps(loan))
    text = """\
kafka: {bootstrap_servers: ["k:9092"]}
sources: {bank: {topics: [e], format: fineract, schemas: avro}}
endpoints:
  crm:
    url: https://crm.example.com/
    secrets: ["${env:NOT_SET}"]
    events: [LoanApprovedBusinessEvent]
    when: data.principle > 5
"""
    result = check(tmp_path, text)
    assert "NOT_SET" in result.stdout
    assert "did you mean data.principal?" in result.stdout


@pytest.mark.parametrize(("batch", "is_reported"), [("", True), ("null", True), ("{}", False)])
def test_a_batch_with_nothing_below_it_is_reported_because_it_is_off(
    tmp_path: Path, batch: str, is_reported: bool
) -> None:
    found = warnings(tmp_path, f'{{url: "https://crm.example.com/", batch: {batch}}}')
    text = "endpoints.crm.batch: is empty, so each event is a request of its own; write batch: {}"
    assert [text in line for line in found] == [True] * is_reported
