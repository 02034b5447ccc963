"""Create files and folders that only this user can read, and tighten those that exist.

Invariant: whatever the umask, a file that may contain bodies or keys is never readable by another user, not
even for a moment: it is created with its final mode.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_PATTERNS = (
    "lock", "owner.json", "owner.new", "member-id", "member-id.new", "journal.*", "left.new",
    "history.sqlite*", "dedupe.sqlite*",
)  # fmt: skip
"""The files of a state directory. Other files in the same folder are left alone."""


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if they are missing. Raises ``OSError``."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def make_file(path: Path) -> None:
    """Create an empty file if it is missing. SQLite gives the files next to it the same mode.

    Raises ``OSError``.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))


def replace_file(path: Path, new: Path, content: bytes) -> None:
    """Write a file atomically, by way of ``new`` in the same folder. Raises ``OSError``."""
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    new.rename(path)


def tighten(folder: Path) -> Iterator[Path]:
    """Take the rights of others away from a state directory and its files; yield what cannot be changed.

    A folder that has other files too, such as a working directory, is left as it is and yielded. Raises
    ``OSError``.
    """
    if _is_open(folder) and not (_has_only_ours(folder) and _set_mode(folder, FOLDER_MODE)):
        yield folder
    for file in _ours(folder):
        if _is_open(file) and not _set_mode(file, FILE_MODE):
            yield file


def _ours(folder: Path) -> list[Path]:
    return [path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_file()]


def _has_only_ours(folder: Path) -> bool:
    return set(folder.iterdir()) <= set(_ours(folder))


def _is_open(path: Path) -> bool:
    """Return True if others have any right to a file or folder."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _set_mode(path: Path, mode: int) -> bool:
    try:
        path.chmod(mode)
    except OSError:
        return False
    return True
