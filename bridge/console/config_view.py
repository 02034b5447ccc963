"""The configuration as the console shows it: the file without secrets, and what has changed in it since.

Invariant: a text is shown only after the secrets of this process were removed from it.
"""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from bridge.console.state_views import ConfigView, PodRow
from bridge.settings import Settings
from bridge.settings.fingerprint import config_hash
from bridge.settings.load import Reading, read
from bridge.telemetry.scrub import scrub

_MOST_LINES = 2000


class ConfigFile:
    """The settings file, as it was when the console started."""

    def __init__(self, path: Path, settings: Settings) -> None:
        """``settings`` are those that the console read from the file."""
        self._path = path
        self._hash = config_hash(settings)
        self._text = _read(path)
        self._read_s = time.time()

    def view(self, pods: Sequence[PodRow]) -> ConfigView:
        """Return what is in force, and how the file differs from it. It reads the file."""
        now = _read(self._path)
        reading = read(self._path, os.environ)
        before, after = scrub(self._text), scrub(now)
        lines = difflib.unified_diff(
            before.splitlines(), after.splitlines(), "in force", "in the file", lineterm="", n=2
        )
        difference = [] if now == self._text else list(lines)[:_MOST_LINES]
        return ConfigView(
            path=str(self._path),
            text=before,
            hash=self._hash,
            file_hash=_hash(reading),
            read_s=self._read_s,
            difference=difference,
            problems=[scrub(line) for line in reading.lines],
            pods=pods,
        )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _hash(reading: Reading) -> str:
    """Return the hash that a bridge with this file has; empty if the file has mistakes."""
    settings = reading.repaired()
    return "" if settings is None else config_hash(settings)
