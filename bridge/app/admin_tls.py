"""The TLS context of the admin port, which follows its certificate files.

Invariant: files that cannot be loaded, such as half-written ones, leave the certificate in use unchanged.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable

import structlog

from bridge.errors import ConfigError
from bridge.http.tls import describe_failure
from bridge.settings import AdminTlsSettings
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_LOOK_EVERY_S = 1.0
_Stamp = tuple[tuple[int, int, int], ...]
"""Inode, size and time of change of each file."""


class AdminTls:
    """Returns the context for a new connection, with the certificate that the files contain now."""

    def __init__(self, files: AdminTlsSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """Load the files. Raises ``ConfigError``."""
        self._files = files
        self._clock = clock
        self._throttle = Throttle()
        self._looked_at = clock()
        self._stamp = self._look()
        try:
            self._context = self._load()
        except (OSError, ValueError) as exc:
            raise ConfigError(
                [
                    f"admin.tls: the TLS files cannot be loaded ({describe_failure(exc)});"
                    " check cert_file and key_file"
                ]
            ) from exc

    def context(self) -> ssl.SSLContext:
        """Return the context, after a look at the files at most once per second."""
        now = self._clock()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            self._reload()
        return self._context

    def _reload(self) -> None:
        stamp = self._look()
        if stamp == self._stamp:
            return
        try:
            self._context = self._load()
        except (OSError, ValueError) as exc:  # tried again on the next look
            if self._throttle.allows():
                _log.warning(events.ADMIN_CERTIFICATE_KEPT, cause=describe_failure(exc))
            return
        self._stamp = stamp

    def _load(self) -> ssl.SSLContext:
        password = self._files.key_password
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Without any password OpenSSL prompts for one at the terminal and waits.
        context.load_cert_chain(
            self._files.cert_file, self._files.key_file, password.get_secret_value() if password else ""
        )
        return context

    def _look(self) -> _Stamp:
        try:
            stats = [file.stat() for file in (self._files.cert_file, self._files.key_file)]
        except OSError:  # while they are replaced
            return ()
        return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats)
