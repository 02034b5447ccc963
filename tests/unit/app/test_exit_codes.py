"""The exit codes: each one is documented, and the process ends with nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.app.exit_codes import ExitCode
from bridge.app.stop import OVERTIME_S

ROOT = Path(__file__).parents[3]


def test_the_numbers_are_those_that_scripts_rely_on() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "SUCCESS": 0, "FAILURE": 1, "USAGE": 2, "ABANDONED": 3, "INTERRUPTED": 130,
    }  # fmt: skip


def test_every_code_has_a_meaning_and_a_remedy() -> None:
    for code in ExitCode:
        assert code.meaning.endswith("."), code
        assert code.remedy.endswith("."), code
        assert code.__doc__ == f"{code.meaning} {code.remedy}"


def test_the_time_in_the_meaning_of_abandoned_is_the_time_that_a_stop_has() -> None:
    assert f"{OVERTIME_S:g} s after the drain deadline" in ExitCode.ABANDONED.meaning


def test_no_exit_code_is_written_as_a_number() -> None:
    numbers = re.compile(r"(exit|SystemExit|_exit)\(\d")
    places = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / "bridge").rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if numbers.search(line)
    ]
    assert places == []
