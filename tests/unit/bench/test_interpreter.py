"""The interpreter of the measured processes: the fastest one that can run this code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import interpreter
from tests.bench.interpreter import MINOR, Interpreter, fastest

ROOT = Path(__file__).parents[3]


def test_the_fastest_one_runs_the_bridge_with_the_installed_packages() -> None:
    found = fastest()
    done = subprocess.run(
        [found.program, "-m", "bridge", "--version"], capture_output=True, text=True, timeout=60, check=True,
        cwd="/", env=os.environ | found.environment(ROOT),
    )  # fmt: skip
    assert "hookferry" in done.stdout
    assert found.version.startswith(f"{MINOR}.")
    assert found.factor > 0


@pytest.mark.parametrize(
    "text",
    ["exit 127", "echo 3.6.1 0.000001", "sleep 0; echo nothing"],
    ids=["fails", "is another version", "says nothing"],
)
def test_a_program_that_is_no_python_of_this_version_is_passed_over(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / f"python{MINOR}"
    shim.write_text(f"#!/bin/sh\n{text}\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fastest().program == sys.executable


def test_the_quickest_build_is_taken_and_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / f"python{MINOR}"
    other.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(
        interpreter, "_timed", lambda program: ("3.11.9", 0.1) if program == str(other) else ("3.11.7", 0.15)
    )
    found = fastest()
    assert found == Interpreter(str(other), "3.11.9", pytest.approx(1.5))
    assert found.description.startswith(f"3.11.9 ({other}; calls and objects 1.5 times as fast as in ")
