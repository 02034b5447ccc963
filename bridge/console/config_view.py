"""The configuration as the console shows it: the file without secrets, and what has changed in it since.

Invariant: a text is shown only after the secrets of this process were removed from it.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from bridge.console.views import ConfigView, PodRow
from bridge.settings.load import read
from bridge.telemetry.scrub import scrub

_MOST_LINES = 2000


class ConfigFile:
    """The settings file, as it was when the console started."""

    def __init__(self, path: Path) -> None:
        self._path = path
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
            hash=_hash(self._text),
            file_hash=_hash(now),
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


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
