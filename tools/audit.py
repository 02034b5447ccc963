"""Ask a vulnerability service about every pinned dependency, with pip-audit: ``make audit``.

Invariant: exit code 0 means that the service answered for every package, and reported no vulnerability. An
audit without data is never a success: it ends with ``NO DATA`` and exit code 3. pip-audit itself ends
with 0 and "No known vulnerabilities found" if the service has none of the packages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tools.dependencies import BUILD, RUNTIME, Pin, read_lock

CLEAN, VULNERABLE, NO_DATA = 0, 1, 3


class Finding(NamedTuple):
    """The result of an audit: the exit code, and the lines for a person."""

    exit_code: int
    lines: tuple[str, ...]


def judge(pins: Iterable[Pin], report: str, complaint: str) -> Finding:
    """Return the result for the JSON that pip-audit wrote, and what it wrote to standard error."""
    wanted = {pin.name: pin.version for pin in pins}
    try:
        answered = {entry["name"]: entry for entry in json.loads(report)["dependencies"]}
    except (ValueError, KeyError, TypeError):
        return _no_data(sorted(wanted), complaint)
    known = {
        name
        for name, entry in answered.items()
        if isinstance(entry.get("vulns"), list) and "skip_reason" not in entry
    }
    found = [line for name in sorted(known) for line in _vulnerabilities(answered[name])]
    unknown = sorted(set(wanted) - known)
    if unknown:
        reasons = [
            answered[name]["skip_reason"] for name in unknown if "skip_reason" in answered.get(name, {})
        ]
        no_data = _no_data(unknown, reasons[0] if reasons else complaint)
        return Finding(VULNERABLE if found else NO_DATA, (*found, *no_data.lines))
    if found:
        return Finding(VULNERABLE, tuple(found))
    return Finding(CLEAN, (f"audit: {len(wanted)} packages, no known vulnerability",))


def _vulnerabilities(entry: dict[str, Any]) -> list[str]:
    return [
        f"VULNERABLE: {entry['name']} {entry.get('version')}: {vulnerability['id']};"
        f" fixed in {', '.join(vulnerability.get('fix_versions') or ['no version yet'])}"
        for vulnerability in entry["vulns"]
    ]


def _no_data(names: list[str], complaint: str) -> Finding:
    last = next(
        (line.strip() for line in reversed(complaint.splitlines()) if line.strip()), "no reason given"
    )
    return Finding(
        NO_DATA,
        (
            f"NO DATA: nothing is known about {len(names)} packages: {', '.join(names)}",
            f"pip-audit: {last[:300]}",
            "This is not a clean audit. Run it where the vulnerability service can be reached.",
        ),
    )


def run(lock: Path) -> Finding:
    """Run pip-audit on a lock file."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(lock),
        "--disable-pip",
        "--require-hashes",
    ]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return judge(read_lock(lock), done.stdout, done.stderr)


def main() -> int:
    """Audit what runs and what builds; return the exit code of the worse result."""
    codes = []
    for lock in (RUNTIME, BUILD):
        finding = run(lock)
        print("\n".join((f"== {lock.name}", *finding.lines)))
        codes.append(finding.exit_code)
    return VULNERABLE if VULNERABLE in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
