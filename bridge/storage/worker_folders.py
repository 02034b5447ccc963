"""The state folders of several workers, below the ``state_dir`` of their supervisor.

Invariant: no process reads a journal that was left by a run with another number of workers. Offsets may have
been rewound since, and an old journal would mark events as settled that are to be sent again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from bridge.storage.dedupe_index.file import delete
from bridge.storage.journal import delete_segments
from bridge.telemetry import events

_log = structlog.get_logger()
_INDEX = "dedupe.sqlite"
_PREFIX = "worker-"
_MARK = "unused"
"""The file that marks a folder which a run did not use, and could not empty."""


def worker_folder(state_dir: Path, number: int) -> Path:
    """Return the folder of a worker: the same after every start, so that its name in the group lasts."""
    return state_dir / f"{_PREFIX}{number}"


def is_in_use(folder: Path) -> bool:
    """Return True if a process works in the folder."""
    with _locked(folder) as is_free:
        return not is_free


def discard_unused(state_dir: Path, workers: int) -> None:
    """Delete the journals and dedupe indexes that this run does not use. Call it with ``state_dir`` locked.

    ``workers``: their number; 0 for a single process, which uses ``state_dir`` itself. A folder in which an
    earlier worker still works gets a mark: ``discard_marked`` deletes its files when a process opens it.
    """
    used = {worker_folder(state_dir, number) for number in range(1, workers + 1)}
    for folder in sorted(state_dir.glob(f"{_PREFIX}*")):
        if folder not in used and _has_files(folder):
            with _locked(folder) as is_free:
                if is_free:
                    _discard(folder)
                else:
                    with suppress(OSError):
                        (folder / _MARK).touch()
    if workers and _has_files(state_dir):
        _discard(state_dir)


def discard_marked(folder: Path) -> None:
    """Delete what a folder keeps of an earlier run, if runs without it came since. Call it with it locked."""
    if (folder / _MARK).exists():
        _discard(folder)


def _has_files(folder: Path) -> bool:
    return (folder / _INDEX).exists() or any(folder.glob("journal.*"))


def _discard(folder: Path) -> None:
    delete_segments(folder)
    with suppress(OSError):
        delete(folder / _INDEX)
    with suppress(OSError):
        (folder / _MARK).unlink(missing_ok=True)
    _log.info(
        events.STATE_FORGOTTEN,
        folder=str(folder),
        cause="it was written with another number of workers",
        remedy="none needed: everything in it is read from Kafka again",
    )


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Yield True if no process works in the folder; while in the context, none can begin to."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # no process ever worked in it
        yield True
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    except OSError:  # a file system without locks
        yield True
    else:
        yield True
    finally:
        os.close(descriptor)
