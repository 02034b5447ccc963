"""Lock the state directory for one process, name it, and bind its files to one group at one cluster.

Invariant: what an earlier run stored about the offsets of another group or cluster is never read.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from contextlib import suppress
from errno import EACCES, EAGAIN, EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import NamedTuple

import orjson
import structlog

from bridge.errors import ConfigError
from bridge.storage.dedupe_index import KeyIndex
from bridge.storage.journal import delete_segments
from bridge.storage.private_files import make_folder, replace_file, tighten
from bridge.telemetry import events

_log = structlog.get_logger()
_MOVE_STATE = "name a folder with no other files as state_dir, or run: chmod 700 on this folder"
_MOUNTED = (
    "none needed for a mounted volume, which belongs to another user: the files in it are readable by this"
    " user alone"
)


class Owner(NamedTuple):
    """The group and the cluster whose offsets the files contain. A broker may not report a cluster id."""

    group: str
    cluster: str | None


class StateDir:
    """The directory of a process's own files, locked from its start to its end.

    The kernel holds the lock (``flock``), so it is released however the process ends.
    """

    def __init__(self, folder: Path) -> None:
        """Create the directory if it is missing, and lock it. Raises ``ConfigError``.

        A full disk does not prevent the start: the process then runs without files and without a lock.
        """
        self.path = folder
        self._owner_file = folder / "owner.json"
        self._lock: int | None = None
        try:
            make_folder(folder)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            if exc.errno in (ENOSPC, EDQUOT, EFBIG):
                return
            raise ConfigError(
                [f"state_dir {folder}: cannot keep files ({exc}); name a directory that is writable"]
            ) from exc
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno in (EAGAIN, EACCES):
                os.close(self._lock)
                cause = f"state_dir {folder}: another process works in it"
                remedy = "stop that process, or name another directory for this one (HOOKFERRY_STATE_DIR=…)"
                raise ConfigError([f"{cause}; {remedy}"]) from exc
            # a file system without locks: there is no better protection
        self._tighten()

    def _tighten(self) -> None:
        """Take the rights of other users away, and log what this user cannot change."""
        try:
            for path in tighten(self.path):
                is_ours = path.stat().st_uid == os.geteuid()
                log = _log.warning if is_ours else _log.info
                log(events.STATE_EXPOSED, path=str(path), remedy=_MOVE_STATE if is_ours else _MOUNTED)
        except OSError as exc:
            _log.warning(events.STATE_EXPOSED, path=str(self.path), cause=str(exc), remedy=_MOVE_STATE)

    def owner(self) -> Owner | None:
        """Return the recorded owner; None if there is no record or it cannot be read."""
        try:
            record = orjson.loads(self._owner_file.read_bytes())
            return Owner(record["group"], record["cluster"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def record_owner(self, owner: Owner) -> None:
        """Record the owner. If writing fails there is no record, and the next start discards the files."""
        new = self._owner_file.with_suffix(".new")
        with suppress(OSError):
            self._owner_file.unlink(missing_ok=True)
        with suppress(OSError):
            replace_file(self._owner_file, new, orjson.dumps(owner._asdict()))

    def identity(self) -> str | None:
        """Return the random id of this directory, created at the first call; None if it cannot be kept.

        A process without the lock gets None: another process may work in the same directory.
        """
        if self._lock is None:
            return None
        file = self.path / "member-id"
        with suppress(OSError, ValueError):
            return uuid.UUID(file.read_text()).hex
        identity, new = uuid.uuid4().hex, file.with_suffix(".new")
        try:
            replace_file(file, new, identity.encode())
        except OSError:
            return None
        return identity

    def release(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)


def claim_state(state: StateDir, owner: Owner, index: KeyIndex) -> None:
    """Discard the dedupe index and the journal unless ``owner`` wrote them, and record the owner.

    Both contain offsets. Read for another group or another cluster's log, they would mark events as
    settled or as duplicates that are neither, and these events would be lost.
    """
    previous = state.owner()
    if owner == previous:
        return
    if previous is not None:
        _log.warning(
            events.STATE_FORGOTTEN,
            folder=str(state.path),
            cause=f"it was written for group {previous.group} at cluster {previous.cluster}",
            remedy="none needed: everything in it is read from Kafka again",
        )
    index.forget()
    delete_segments(state.path)
    state.record_owner(owner)
