"""A shell completes endpoints, sources, event types, schemas and the forms of output."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from bridge.cli import cli

CONFIG = """\
sources:
  orders: {topics: [o], format: json}
  bank: {topics: [e], format: fineract, schemas: avro}
endpoints:
  crm: {url: "${env:NOWHERE}", events: [OrderPaid, "Order*"]}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "avro").mkdir()
    (tmp_path / "avro" / "org.acme.LoanV1.0123456789abcdef.avsc").write_text("{}")
    file = tmp_path / "bridge.yaml"
    file.write_text(CONFIG)
    return str(file)


def completed(words: str, start: str) -> list[str]:
    found = ShellComplete(cli, {}, "hookferry", "_X").get_completions(words.split(), start)
    return [item.value for item in found]


@pytest.mark.parametrize(
    ("words", "start", "found"),
    [
        ("events off -c {}", "Order", ["OrderPaid"]),
        ("events off -c {}", "LoanApprovedB", ["LoanApprovedBusinessEvent"]),
        ("-c {} events on", "OrderP", ["OrderPaid"]),
        ("parked list -c {} --type", "OrderP", ["OrderPaid"]),
        ("render -c {} -s", "LoanApprovedB", ["LoanApprovedBusinessEvent"]),
        ("route -c {} --source", "", ["bank", "orders"]),
        ("schemas list -c {} --source", "b", ["bank"]),
        ("schemas show -c {}", "Loan", ["LoanV1"]),
        ("schemas show -c {}", "org", ["org.acme.LoanV1"]),
        ("schemas diff -c {}", "0123", ["0123456789abcdef"]),
        ("-c {} endpoints off", "", ["crm"]),
        ("status -o", "", ["table", "json", "yaml"]),
    ],
)
def test_names_are_completed(config: str, words: str, start: str, found: list[str]) -> None:
    assert completed(words.format(config), start) == found


def test_a_configuration_that_cannot_be_read_completes_no_names(config: str) -> None:
    for words in (
        "schemas show -c absent.yaml",
        "route -c absent.yaml --source",
        "events off -c absent.yaml",
    ):
        assert completed(words, "") == []
