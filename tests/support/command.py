"""Run the command ``hookferry`` as an operator does, while a bridge runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import Any

import orjson

from tests.support.bridge_process import BridgeProcess
from tests.support.forked import run_command


def hookferry(
    bridge: BridgeProcess, *arguments: str, answer: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command with the configuration of the bridge; ``answer`` is the typed input."""
    first, *rest = arguments
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOOKFERRY_")}
    env = inherited | {"COLUMNS": "200"} | dict(environment or {})
    return run_command([first, rest[0], "-c", str(bridge.file), *rest[1:]], env=env, typed=answer)


def answer_of(bridge: BridgeProcess, *arguments: str, exits: int = 0, typed: str = "") -> str:
    """Return the output of a command, errors included."""
    done = hookferry(bridge, *arguments, answer=typed)
    assert done.returncode == exits, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def parked(bridge: BridgeProcess, *arguments: str, **options: Any) -> str:
    """Return the output of ``hookferry parked …``, which must succeed."""
    done = hookferry(bridge, "parked", *arguments, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def listed(bridge: BridgeProcess, *arguments: str) -> list[dict[str, Any]]:
    """Return the output of ``hookferry parked list --json``."""
    rows: list[dict[str, Any]] = orjson.loads(parked(bridge, "list", "--json", *arguments))
    return rows
