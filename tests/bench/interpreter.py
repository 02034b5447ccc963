"""Find the fastest build of this Python on the machine, as an image has one that is built with optimizations.

One that was compiled without profile-guided optimization takes a quarter more CPU for the same code.
Invariant: it has the version of ``sys.executable`` up to the minor number, so the installed packages fit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
ROUNDS = 3
_UNFIT = (OSError, subprocess.SubprocessError, ValueError)
"""No Python of this version: a shim of another one, or no Python."""
_STEPS = """
import sqlite3, ssl, sys, time
class Step:
    def __init__(self, number): self.number = number
    def value(self): return self.number + 1
began, table = time.process_time(), {}
for number in range(150_000):
    table[number & 255] = Step(number).value()
print(f"{sys.version.split()[0]} {time.process_time() - began:.6f}")
"""


class Interpreter(NamedTuple):
    """An interpreter, and how many times as fast as ``sys.executable`` it runs calls and makes objects."""

    program: str
    version: str
    factor: float

    @property
    def description(self) -> str:
        """Return the version, and what it has ahead of ``sys.executable`` if it is another program."""
        if self.program == sys.executable:
            return self.version
        own = sys.version.split()[0]
        return (
            f"{self.version} ({self.program}; calls and objects {self.factor:.1f} times as fast as in {own})"
        )

    def environment(self, root: Path) -> dict[str, str]:
        """Return what it needs to run a checkout with the packages that are installed here."""
        return {"PYTHONPATH": os.pathsep.join([str(root), sysconfig.get_path("purelib")])}


def _timed(program: str) -> tuple[str, float]:
    """Return version and seconds of CPU. Raises ``_UNFIT``."""
    done = subprocess.run(
        [program, "-I", "-c", _STEPS], capture_output=True, text=True, timeout=60, check=True
    )
    version, seconds = done.stdout.split()
    if not version.startswith(f"{MINOR}."):
        raise ValueError(f"{program} is {version}")
    return version, float(seconds)


def _on_path() -> list[str]:
    """Return each program of this minor version that ``PATH`` has, and this one first."""
    found = {sys.executable: None}
    for folder in os.get_exec_path():
        program = Path(folder) / f"python{MINOR}"
        if program.is_file() and os.access(program, os.X_OK):
            found[str(program)] = None
    return list(found)


def fastest() -> Interpreter:
    """Time all of them in turns, and return the one with the least CPU time."""
    times: dict[str, list[tuple[float, str]]] = {program: [] for program in _on_path()}
    for _ in range(ROUNDS):
        for program, done in times.items():
            try:
                version, seconds = _timed(program)
            except _UNFIT:
                continue
            done.append((seconds, version))
    own_s = min(times[sys.executable])[0]
    program, done = min((one for one in times.items() if one[1]), key=lambda one: min(one[1]))
    seconds, version = min(done)
    return Interpreter(program, version, own_s / seconds)
