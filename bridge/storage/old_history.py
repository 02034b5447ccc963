"""The history file of releases before the history was a topic. Nothing reads it any more."""

from __future__ import annotations

from pathlib import Path

import structlog

from bridge.telemetry import events

_log = structlog.get_logger()
_NAMES = ("history.sqlite", "history.sqlite-wal", "history.sqlite-shm", "history.sqlite.damaged")


def report_old_history(state_dir: Path) -> None:
    """Log which files an older release left: they contain requests, and only an operator may delete them."""
    left = [name for name in _NAMES if (state_dir / name).exists()]
    if left:
        _log.info(
            events.HISTORY_FILE_LEFT,
            folder=str(state_dir),
            files=left,
            remedy="delete or move these files: the bridge does not use them, and they contain requests",
        )
