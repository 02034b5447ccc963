"""Each threat on the security page names the tests that hold it, and these tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "explanation" / "security.md"
SECTIONS = (
    "What is protected",
    "The borders",
    "Who can do what",
    "Threats, and what holds them",
    "What is not defended",
)


def threats() -> list[tuple[str, list[str]]]:
    """Return each threat with the tests in its last column."""
    part = PAGE.read_text("utf-8").partition("## Threats")[2].partition("## What is not defended")[0]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [
        (row[0].strip(), re.findall(r"`([^`]+)`", row[2]))
        for row in rows
        if row[0].strip() not in {"threat", "---"}
    ]


def test_the_page_has_all_its_parts() -> None:
    headings = re.findall(r"^## (.+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert headings == list(SECTIONS)
    assert len(threats()) > 25


@pytest.mark.parametrize(("threat", "tests"), threats())
def test_the_tests_that_hold_a_threat_exist(threat: str, tests: list[str]) -> None:
    assert tests, f"no test holds: {threat}"
    missing = [test for test in tests if not (ROOT / "tests" / test).is_file()]
    assert missing == []


def test_the_ways_to_report_and_what_is_supported_are_described() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    for part in ("## Report a vulnerability", "## What is supported", "docs/explanation/security.md"):
        assert part in text
