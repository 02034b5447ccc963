"""The configuration file of a running process: read and judged as a whole, and watched for changes.

Invariant: what is returned was tried as ``hookferry check`` tries it, so nothing in it is found to be wrong
later that could have been found without a connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.preflight.examine import Examined, examine
from bridge.settings import Settings, load
from bridge.settings.fingerprint import config_hash, file_digests, files_of
from bridge.settings.models.settings import ENV_PREFIX
from bridge.settings.reading.tree import Tree

_SECRET_FILE = re.compile(r"\$\{file:([^${}\0]+)\}")
Stamps = Mapping[Path, tuple[int, ...] | None]
"""Inode, size and times of each file; None for one that does not exist."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the file contains now. ``settings`` is None if there are ``problems``, one line each.

    ``digests`` are of the files that the requests of each endpoint are made with. ``stamps`` are those of all
    files that were read, from before they were read.
    """

    settings: Settings | None
    problems: list[str]
    digests: Mapping[str, str]
    hash: str
    stamps: Stamps


class ConfigFile:
    """The file, the environment of the process, and the files that both name. Every method may block."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path = path.absolute()
        self._environ = dict(environ)
        self._named: frozenset[Path] = frozenset()
        self._stamp: tuple[int, ...] | None = None
        self._secrets: tuple[Path, ...] = ()
        """What the file named when it had that stamp: it is read only after a change."""

    def watch_files_of(self, settings: Settings) -> None:
        """Take stamps also of the files that settings name, which were read from this file."""
        self._named = frozenset(files_of(settings))

    def read(self) -> Candidate:
        """Read the configuration, and try everything in it that needs no connection."""
        stamps = dict(self.stamps())
        examined = examine(self._path, self._environ)
        self._named = frozenset(_named_in(examined))
        for path in self._named - stamps.keys():
            stamps[path] = _stamp(path)
        settings, problems = examined.reading.settings, examined.lines
        if settings is None or problems:
            return Candidate(None, problems, {}, "", stamps)
        return Candidate(settings, [], file_digests(settings), config_hash(settings), stamps)

    def stamps(self) -> Stamps:
        """Return the stamps of the file and of all that it names.

        Links are followed: Kubernetes exchanges a link when a mounted ConfigMap or Secret changes.
        """
        stamp = _stamp(self._path)
        if stamp is None or stamp != self._stamp:
            self._stamp, self._secrets = stamp, tuple(self._find_secrets())
        return {path: _stamp(path) for path in (self._path, *self._secrets, *self._named)}

    def _find_secrets(self) -> Iterator[Path]:
        """Yield the files that ``${file:}`` references name, also in a file with mistakes."""
        try:
            texts = [self._path.read_text("utf-8")]
        except (OSError, ValueError):
            texts = []
        texts += [text for name, text in self._environ.items() if name.startswith(ENV_PREFIX)]
        for text in texts:
            yield from (self._path.parent / name for name in _SECRET_FILE.findall(text))


@dataclass(frozen=True, slots=True)
class Source:
    """Where the settings of a process come from, and what was there when they were read."""

    file: ConfigFile
    digests: Mapping[str, str]
    hash: str
    stamps: Stamps


def open_source(path: Path, environ: Mapping[str, str]) -> tuple[Settings, Source]:
    """Read the settings to start with. Raises ``ConfigError`` with every mistake."""
    file = ConfigFile(path, environ)
    before = file.stamps()
    settings = load(path, environ)
    file.watch_files_of(settings)
    stamps = {**file.stamps(), **before}
    return settings, Source(file, file_digests(settings), config_hash(settings), stamps)


def _named_in(examined: Examined) -> Iterator[Path]:
    """Yield the files that settings name: templates, keys, certificates."""
    tree: Tree | None = examined.reading.tree
    if tree is None:
        return
    for path, value in tree.walk():
        if str(path[-1]).endswith("_file") and isinstance(value, str) and not tree.is_broken(path):
            yield Path(value)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes with every write; ``st_ctime`` also if a copy keeps the time of the original."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
