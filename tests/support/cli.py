"""Run the command ``hookferry`` in a separate process, without a bridge."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.forked import run_command

ROOT = Path(__file__).parents[2]


def hookferry(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a separate process, as users do."""
    return run_command(args, env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **(env or {})})
