"""``hookferry check`` finds filters that no event can pass, from the schemas of the source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.preflight.filter_fields import check_filter_fields
from bridge.settings import load, tree_of

LOAN = {
    "type": "record", "name": "LoanAccountDataV1", "namespace": "org.apache.fineract.avro.loan.v1",
    "fields": [
        {"name": "principal", "type": ["null", "double"]},
        {"name": "status", "type": {"type": "record", "name": "Status", "fields": [
            {"name": "code", "type": "string"}]}},
        {"name": "custom", "type": {"type": "map", "values": "bytes"}},
        {"name": "summary", "type": ["null", {"type": "record", "name": "Summary", "fields": [
            {"name": "currency", "type": {"type": "record", "name": "Currency", "fields": [
                {"name": "code", "type": "string"}]}}]}]},
        {"name": "charges", "type": {"type": "array", "items": {
            "type": "record", "name": "Charge", "fields": [
                {"name": "amount", "type": "double"}, {"name": "paidIn", "type": "Currency"}]}}},
    ],
}  # fmt: skip
PAYMENT = {
    "type": "record", "name": "LoanTransactionDataV1", "namespace": "org.apache.fineract.avro.loan.v1",
    "fields": [{"name": "amount", "type": "double"}, {"name": "currency", "type": "string"}],
}  # fmt: skip
CONFIG = """\
kafka: {bootstrap_servers: ["127.0.0.1:1"]}
sources:
  fineract: {topics: [external-events], format: fineract, schemas: avro}
endpoints:
  crm:
    url: https://crm.example.com/hooks
    events: [LoanApprovedBusinessEvent, LoanTransactionMakeRepaymentPostBusinessEvent]
    when: WHEN
"""


def problems(folder: Path, when: str, config: str = CONFIG, env: dict[str, str] | None = None) -> list[str]:
    """Return the problems of a filter, without the folder's name."""
    (folder / "avro").mkdir(exist_ok=True)
    for schema in (LOAN, PAYMENT):
        (folder / "avro" / f"{schema['name']}.avsc").write_text(json.dumps(schema))
    path = folder / "bridge.yaml"
    path.write_text(config.replace("WHEN", when))
    lines = map(str, check_filter_fields(load(path, env or {}), tree_of(path, env or {})))
    return [line.replace(f"{folder}/", "") for line in lines]


@pytest.mark.parametrize(
    "when",
    [
        "data.principal > 5", "data.principal > 5 or data.currency == 'USD'", "data.status.code == 'x'",
        "data.custom.anything == 'x'", "data.summary.currency.code == 'USD'", "data.charges[0].amount > 1",
        "data.charges[-1].paidIn.code == 'USD'", "not data.principal", "data.amount is not defined",
        "type.startswith('LoanApproved') and data.principal > 5", "data.amount > 5 and tenant == 'x'",
        "headers.x == 'y' and context.category == 'Loan'", "data.amount - 5 > 3", "data.charges | length > 2",
        "data.currency != 'USD' and data.principal > 5", "not (data.amount > 5) and data.principal > 5",
    ],
)  # fmt: skip
def test_a_filter_that_an_event_can_pass_is_accepted(tmp_path: Path, when: str) -> None:
    assert problems(tmp_path, when) == []


@pytest.mark.parametrize(
    ("when", "column", "cause", "remedy"),
    [
        ("data.principl > 5", 11, "data.principl is in none of the events", "did you mean data.principal?"),
        ("data.amount > 1 or data.status.cod == 'x'", 30, "data.status.cod is in none", "data.status.code?"),
        ("data.currency.code == 'USD'", 11, "data.currency.code is in none", "data.summary.currency.code?"),
        ("data.charges.amount > 5", 11, "data.charges.amount is in none", "did you mean data.charges?"),
        ("data.principal > 5 and data.amount > 5", 34, "true: LoanApprovedBusinessEvent has no data.amount",
         "hookferry route"),
        ("data.principal > 5 and data.currency == 'x'", 34, "has no data.currency", "data.summary.currency?"),
        ("type == 'LoanAproved'", 11, "is never true for the events", "hookferry route"),
        ("data.amount > 5 and type.startswith('LoanApproved')", 11, "is never true for the events", ""),
        ("data.amount + data.principal > 5", 11, "LoanApprovedBusinessEvent has no data.amount", ""),
    ],
)  # fmt: skip
def test_a_filter_that_no_event_can_pass_is_reported_with_its_place(
    tmp_path: Path, when: str, column: int, cause: str, remedy: str
) -> None:
    (line,) = problems(tmp_path, when)
    assert line.startswith(f"bridge.yaml:8:{column}: endpoints.crm.when "), line
    assert cause in line
    assert remedy in line


def test_nothing_is_reported_unless_all_fields_are_known(tmp_path: Path) -> None:
    """Not known: custom types, a source of another format, types without a schema, whole bulk events."""
    wrong = "data.principl > 5"
    assert problems(tmp_path, wrong)
    assert not problems(tmp_path, wrong, CONFIG.replace("schemas: avro", "schemas: avro, custom_types: true"))
    other = CONFIG.replace("sources:\n", "sources:\n  o: {topics: [o], format: json, id: id, type: type}\n")
    assert not problems(tmp_path, wrong, other)
    assert problems(tmp_path, wrong, other.replace("    when", "    sources: [fineract]\n    when"))
    assert not problems(tmp_path, wrong, CONFIG.replace("[Loan", "[ClientActivateBusinessEvent] #"))
    every = CONFIG.replace("[Loan", '["*"] #')
    assert problems(tmp_path, wrong, every)
    assert not problems(tmp_path, wrong, every.replace("schemas: avro", "schemas: avro, bulk: whole"))


def test_a_filter_from_a_reference_is_never_shown(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, "${env:WHEN}", env={"WHEN": "data.hidden == 1"})
    assert line.startswith("bridge.yaml:8:11: endpoints.crm.when: names a field that no event has")
    assert "hidden" not in line
