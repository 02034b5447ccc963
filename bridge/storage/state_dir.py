"""The folder of a process's own files: whose it is, and that nobody else works in it.

What is kept there (the dedupe index, the journal) speaks of offsets, and so of one group at one cluster.
Read by another, it would take events for settled or for duplicates that are neither. Edge floor.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from errno import EACCES, EAGAIN, EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import NamedTuple

import orjson
import structlog

from bridge.errors import ConfigError
from bridge.telemetry import events

_log = structlog.get_logger()


class Owner(NamedTuple):
    """Whose offsets the files speak of. A broker may not tell its cluster's id."""

    group: str
    cluster: str | None


class StateFolder:
    """Held by one process from its start to its end, however it ends: the lock is the kernel's."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where there is none, and lock it. Raises ``ConfigError``.

        A full disk is no reason to stand still: what would be kept is done without, and no lock with it.
        """
        self._owner_file = folder / "owner.json"
        self._lock: int | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            if exc.errno in (ENOSPC, EDQUOT, EFBIG):
                return
            raise ConfigError(
                [f"state_dir {folder}: cannot keep files ({exc}); name a folder that can be written to"]
            ) from exc
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno in (EAGAIN, EACCES):
                os.close(self._lock)
                cause = f"state_dir {folder}: another process works in it"
                remedy = "stop that one, or name another folder for this one (HOOKFERRY_STATE_DIR=…)"
                raise ConfigError([f"{cause}; {remedy}"]) from exc
            # a file system that knows no locks: as good as it gets

    def owner(self) -> Owner | None:
        """Whose files they are; None where nobody said so."""
        try:
            told = orjson.loads(self._owner_file.read_bytes())
            return Owner(told["group"], told["cluster"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def give_to(self, owner: Owner) -> None:
        """Write down whose they are. Where that fails they are nobody's, and forgotten next time."""
        new = self._owner_file.with_suffix(".new")
        with suppress(OSError):
            self._owner_file.unlink(missing_ok=True)
        with suppress(OSError):
            new.write_bytes(orjson.dumps(owner._asdict()))
            new.rename(self._owner_file)

    def change_owner(self, owner: Owner, forget: Callable[[], None]) -> None:
        """Give the folder to ``owner``. If that changes, ``forget`` deletes the files of the one before."""
        before = self.owner()
        if owner == before:
            return
        if before is not None:
            _log.warning(
                events.STATE_FORGOTTEN,
                folder=str(self._owner_file.parent),
                cause=f"it was kept for group {before.group} at cluster {before.cluster}",
                remedy="none needed: what matters is read again from Kafka",
            )
        forget()
        self.give_to(owner)

    def release(self) -> None:
        """Give the folder up."""
        if self._lock is not None:
            os.close(self._lock)
