"""Map the file of one journal segment, and use the file of an earlier one again.

A new file costs several calls that wait for the file system's own journal, and so would stop the event loop
for milliseconds at each commit. Invariant: a file that is used again contains nothing of the segment before,
except after a power cut, and then the CRCs of these entries do not match (``journal_segment.py``).
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path

from bridge.storage.private_files import FILE_MODE, make_folder


class SegmentFile:
    """A mapped file of ``size`` bytes, all of them zero at first."""

    def __init__(self, path: Path, size: int) -> None:
        """Create the file. Raises ``OSError``."""
        self.path = path
        self.size = size
        make_folder(path.parent)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        try:
            # reserved, not sparse: a full disk must be an error here and not a SIGBUS later
            os.posix_fallocate(handle, 0, size)
            self.map = mmap.mmap(handle, size)
        finally:
            os.close(handle)

    def clear(self, used: int) -> None:
        """Set the first ``used`` bytes to zero: this is no segment any more."""
        self.map[:used] = bytes(used)

    def rename(self, path: Path) -> None:
        """Give the file another name. Raises ``OSError``."""
        self.path.replace(path)
        self.path = path

    def close(self, used: int) -> None:
        """Unmap the file, and release what is behind the first ``used`` bytes of it."""
        self.map.close()
        with suppress(OSError):
            os.truncate(self.path, used)

    def delete(self) -> None:
        """Unmap and delete the file. Raises ``OSError``."""
        self.map.close()
        self.path.unlink(missing_ok=True)
