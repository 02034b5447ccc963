"""The benchmarks that no other test runs still run, with few events."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "arguments", [["sent", "--events", "300", "--rounds", "1"], ["calls", "--time", "1", "--events", "300"]]
)
def test_a_benchmark_of_the_path_prints_what_an_event_costs(arguments: list[str]) -> None:
    name, *options = arguments
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{name}", *options],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"[1-9][\d.]* µs of CPU per event", done.stdout)
