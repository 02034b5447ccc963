"""An audit is clean only if the service answered for every package."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tools.audit import CLEAN, NO_DATA, VULNERABLE, judge
from tools.dependencies import Pin

PINS = [Pin("aiohttp", "3.14.5", ()), Pin("click", "8.5.1", ())]


def report(*entries: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(entries), "fixes": []})


def entry(name: str, *ids: str) -> dict[str, Any]:
    vulnerabilities = [{"id": one, "fix_versions": ["9.0"], "aliases": []} for one in ids]
    return {"name": name, "version": "1", "vulns": vulnerabilities}


def test_an_answer_for_every_package_without_a_finding_is_clean() -> None:
    finding = judge(PINS, report(entry("aiohttp"), entry("click")), "No known vulnerabilities found")
    assert finding.exit_code == CLEAN
    assert finding.lines == ("audit: 2 packages, no known vulnerability",)


def test_a_vulnerability_is_named_with_the_version_that_fixes_it() -> None:
    finding = judge(PINS, report(entry("aiohttp", "CVE-1", "CVE-2"), entry("click")), "")
    assert finding.exit_code == VULNERABLE
    assert finding.lines[0] == "VULNERABLE: aiohttp 1: CVE-1; fixed in 9.0"
    assert len(finding.lines) == 2


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "not JSON",
        "{}",
        "[]",
        report(),
        report(entry("aiohttp")),
        report(entry("aiohttp"), {"name": "click", "skip_reason": "not found on the service"}),
        report(entry("aiohttp"), {"name": "click", "version": "1"}),
        report(entry("aiohttp"), {**entry("click"), "skip_reason": "yanked"}),
    ],
)
def test_an_audit_without_data_says_so_and_fails(answer: str) -> None:
    finding = judge(PINS, answer, "Traceback\nConnectionError: no route\n\n")
    assert finding.exit_code == NO_DATA != 0
    assert finding.lines[0].startswith("NO DATA: nothing is known about")
    assert "click" in finding.lines[0]
    expected = (
        json.loads(answer)["dependencies"][1]["skip_reason"]
        if "skip_reason" in answer
        else "ConnectionError: no route"
    )
    assert finding.lines[1] == f"pip-audit: {expected}"
    assert finding.lines[2].startswith("This is not a clean audit.")


def test_what_pip_audit_reports_without_an_answer_is_not_a_success() -> None:
    """It exits with 0 and this text when the service has none of the packages, as behind a mirror."""
    reason = "Dependency not found on PyPI and could not be audited: click (8.5.1)"
    skipped = [{"name": pin.name, "skip_reason": reason} for pin in PINS]
    finding = judge(PINS, report(*skipped), "No known vulnerabilities found")
    assert finding.exit_code == NO_DATA
    assert finding.lines[1] == f"pip-audit: {reason}"


def test_a_finding_counts_more_than_missing_data_and_both_are_shown() -> None:
    finding = judge(PINS, report(entry("aiohttp", "CVE-1")), "")
    assert finding.exit_code == VULNERABLE
    assert [line.split(":")[0] for line in finding.lines[:2]] == ["VULNERABLE", "NO DATA"]
