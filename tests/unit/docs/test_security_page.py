"""Each threat on the security page names the tests that hold it, and these tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "explanation" / "security.md"
BRANCHES = {
    "contract/http/test_address_table.py", "contract/http/test_endpoint_tls.py",
    "contract/http/test_oauth2_endpoint.py", "contract/storage/test_private_files.py",
    "integration/test_canaries.py", "integration/test_signing_keys.py", "unit/app/test_admin_access.py",
    "unit/app/test_admin_limits.py", "unit/app/test_admin_tls.py", "unit/cli/test_cli_keys.py",
    "unit/cli/test_streams_without_secrets.py", "unit/core/test_addresses.py",
    "unit/core/test_signature_failure.py", "unit/core/test_signing_forms.py",
    "unit/core/test_signing_vendors.py", "unit/docs/test_verifying_pages.py", "unit/http/test_authorized.py",
    "unit/http/test_token_request.py", "unit/http/test_token_source.py", "unit/pipeline/test_key_overlap.py",
    "unit/pipeline/test_signature_watch.py", "unit/telemetry/test_scrub.py", "unit/verifier/test_verifier.py",
    "unit/wiring/test_canaries.py",
}  # fmt: skip
"""Tests of parts that are merged separately. Remove this set when all of them are there."""
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
    missing = [test for test in tests if not (ROOT / "tests" / test).is_file() and test not in BRANCHES]
    assert missing == []


def test_the_ways_to_report_and_what_is_supported_are_described() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    for part in ("## Report a vulnerability", "## What is supported", "docs/explanation/security.md"):
        assert part in text
