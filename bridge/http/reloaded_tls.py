"""Read certificate files again when they change, so that a renewed certificate needs no restart.

Invariant: a file that cannot be used never replaces one that can. The context in use stays, and the log
contains the reason.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from bridge.http.tls import VERSIONS, TlsFiles, describe_failure, load_context, unloadable
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_TRY_AGAIN_S = 1.0
"""Between two tries to load files that did not load: a writer needs time, and a dial must not wait for it."""

Stamp = tuple[tuple[int, ...] | None, ...]
"""Inode, size and times of each file; None for one that cannot be read."""


class ReloadedTls:
    """TLS with certificate files of its own, for one server.

    ``current`` looks at the files on every dial, which costs a ``stat`` of each. If one has changed, all are
    loaded into a new context. The stamps are taken before the files are loaded: what is written meanwhile is
    seen at the next dial. Connections that are open keep the context that they began with.
    """

    def __init__(
        self,
        setting: str,
        files: TlsFiles,
        min_version: str,
        server_name: str | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``setting`` is the name for messages. Raises ``ConfigError`` if the files do not load."""
        self.server_name = server_name
        self._setting = setting
        self._files = files
        self._min_version = VERSIONS[min_version]
        self._now = now
        self._try_at = 0.0
        self._throttle = Throttle(now=now)
        self._stamp = self._stamps()
        try:
            self._context = self._load()
        except (OSError, ValueError) as exc:
            raise unloadable(setting, exc) from exc

    def current(self) -> ssl.SSLContext:
        """Return the context of the files as they are, or the last one that could be loaded."""
        stamp = self._stamps()
        if stamp != self._stamp and self._now() >= self._try_at:
            self._reload(stamp)
        return self._context

    def _reload(self, stamp: Stamp) -> None:
        try:
            self._context = self._load()
        except (OSError, ValueError) as exc:
            self._try_at = self._now() + _TRY_AGAIN_S
            if self._throttle.allows():
                _log.warning(
                    events.CERTIFICATES_IGNORED,
                    setting=self._setting,
                    cause=f"the files changed and cannot be loaded ({describe_failure(exc)})",
                    remedy="write ca_file, cert_file and key_file again; until then the old ones are used",
                )
            return
        self._stamp, self._try_at = stamp, 0.0
        self._throttle = Throttle(now=self._now)
        _log.info(events.CERTIFICATES_READ, setting=self._setting)

    def _load(self) -> ssl.SSLContext:
        files = self._files
        for path in self._paths():
            _check_complete(path)
        password = files.key_password.get_secret_value() if files.key_password else None
        return load_context(files.ca_file, files.cert_file, files.key_file, password, self._min_version)

    def _stamps(self) -> Stamp:
        return tuple(_stamp(path) for path in self._paths())

    def _paths(self) -> Sequence[Path]:
        files = self._files
        return [Path(path) for path in (files.ca_file, files.cert_file, files.key_file) if path]


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes with every write; ``st_ctime`` also if a copy keeps the time of the original."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _check_complete(path: Path) -> None:
    """Raise ``ValueError`` for a PEM file that ends within a block. OpenSSL may read those before it."""
    content = path.read_bytes()
    if content.count(b"-----BEGIN ") != content.count(b"-----END "):
        raise ValueError(f"{path.name} ends within a PEM block")
