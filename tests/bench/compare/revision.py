"""Check another revision out next to this one, so that the benchmark runs both in turns."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.bridge_process import ROOT


class NoSuchRevision(Exception):
    """Git cannot check the revision out; the text is its message."""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoSuchRevision(done.stderr.strip())
    return done.stdout.strip()


def commit_of(revision: str = "HEAD") -> str:
    """Return the short name of a commit, with a mark if files in git have changed since."""
    commit = _git("rev-parse", "--short=8", f"{revision}^{{commit}}")
    changed = revision == "HEAD" and _git("status", "--porcelain", "--untracked-files=no")
    return f"{commit} with changes" if changed else commit


@contextmanager
def checkout(revision: str, folder: Path) -> Iterator[Path]:
    """Yield a worktree of the revision, and remove it at the end. Raises ``NoSuchRevision``.

    It runs with this environment, so it shows the cost of the code and not of other dependencies.
    """
    commit = _git("rev-parse", f"{revision}^{{commit}}")
    place = folder / f"base-{commit[:8]}"
    _git("worktree", "add", "--detach", str(place), commit)
    try:
        yield place
    finally:
        _git("worktree", "remove", "--force", str(place))
