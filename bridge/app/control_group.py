"""Find the control group of the process, version 2 or 1: where a container's limits are read.

Invariant: a file that cannot be read yields nothing, and never an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def group_folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the process's group and of those above it.

    ``controller``: whose folder it is with version 1, such as ``memory``. In a container, the path may be the
    host's and not exist here: the folder that is mounted is its group.
    """
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            mounted = root / "sys/fs/cgroup" / (controller if controllers else "")
            group = mounted / path.strip("/")
            yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(mounted))
