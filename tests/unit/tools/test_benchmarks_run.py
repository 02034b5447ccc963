"""Every benchmark can be imported, and those without Kafka run with their smallest sizes.

They are run by hand and rarely, so nothing else finds that one calls a function as it was before a change.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BENCH = ROOT / "tests" / "bench"
MODULES = sorted(".".join(file.relative_to(BENCH).with_suffix("").parts) for file in BENCH.rglob("*.py"))
SMALLEST = {
    "attempt": [],
    "console": ["--attempts", "400", "--times", "1", "--folder", "{folder}"],
    "decode": ["--rounds", "1"],
    "dedupe_commits": ["--keys", "20000", "--commits", "2"],
    "history": ["--rounds", "1"],
    "routing": ["--events", "20"],
    "scrub": ["--rounds", "1"],
    "sent": ["--events", "40", "--rounds", "1"],
    "signing": ["--rounds", "1"],
    "templates": ["--rounds", "1"],
    "transport": ["--requests", "50", "--connections", "1", "--rounds", "1"],
    "calls": ["--events", "40"],
    "fetched": ["--runs", "1"],
    "reload": ["--endpoints", "1"],
}
SLOW = {"calls", "fetched", "reload", "sent"}


@pytest.mark.parametrize("module", MODULES)
def test_every_benchmark_can_be_imported(module: str) -> None:
    importlib.import_module(f"tests.bench.{module}")


@pytest.mark.parametrize(
    "module", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in SMALLEST]
)
def test_a_benchmark_without_kafka_runs_and_prints_figures(module: str, tmp_path: Path) -> None:
    options = [option.format(folder=tmp_path) for option in SMALLEST[module]]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOOKFERRY_SHARED": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{module}", *options],
        capture_output=True, text=True, timeout=200, check=False, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert any(character.isdigit() for character in done.stdout + done.stderr)
