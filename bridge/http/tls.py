"""Build TLS contexts: for requests to receivers, and from certificate files named in the settings.

Invariant: every context verifies the server, and accepts nothing older than TLS 1.2.
"""

from __future__ import annotations

import ssl
from os import PathLike
from typing import Protocol

from bridge.errors import ConfigError

File = PathLike[str] | str | None
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Secret(Protocol):
    """A secret setting."""

    def get_secret_value(self) -> str:
        """Return the secret."""
        ...


class TlsFiles(Protocol):
    """The settings that name certificate files: of the brokers, a registry, or an endpoint."""

    @property
    def ca_file(self) -> File:
        """The certificates of the authorities, in PEM."""

    @property
    def cert_file(self) -> File:
        """The client certificate, in PEM."""

    @property
    def key_file(self) -> File:
        """The key of the client certificate, in PEM."""

    @property
    def key_password(self) -> Secret | None:
        """The password of the key."""


class ClientTls(Protocol):
    """The TLS of new connections to one server. ``current`` is called on every dial, so it may change."""

    @property
    def server_name(self) -> str | None:
        """The name for SNI, which the certificate must contain. None: the host of the URL."""
        ...

    def current(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        ...


class SystemTls:
    """TLS with the authorities of the system, or those of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.

    The context is built on first use, because reading the authorities takes 20 ms.
    """

    server_name = None

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None

    def current(self) -> ssl.SSLContext:
        """See ``ClientTls``."""
        if self._context is None:
            self._context = build_client_context()
        return self._context


class FixedTls:
    """TLS with a context that never changes."""

    def __init__(self, context: ssl.SSLContext, server_name: str | None = None) -> None:
        self.server_name = server_name
        self._context = context

    def current(self) -> ssl.SSLContext:
        """See ``ClientTls``."""
        return self._context


def client_tls(tls: ssl.SSLContext | ClientTls | None) -> ClientTls:
    """Return ``tls`` as ``ClientTls``: a context never changes, and None is the system's authorities."""
    if tls is None:
        return SystemTls()
    return FixedTls(tls) if isinstance(tls, ssl.SSLContext) else tls


def build_client_context() -> ssl.SSLContext:
    """Return a context for TLS 1.2 or newer that verifies servers by the system's authorities."""
    return load_context(None, None, None, None)


def load_configured_context(setting: str, files: TlsFiles) -> ssl.SSLContext:
    """Return a context with the configured files. Raises ``ConfigError``, which names ``setting``."""
    password = files.key_password.get_secret_value() if files.key_password else None
    try:
        return load_context(files.ca_file, files.cert_file, files.key_file, password)
    except (OSError, ValueError) as exc:
        raise unloadable(setting, exc) from exc


def unloadable(setting: str, exc: Exception, files: str = "ca_file, cert_file and key_file") -> ConfigError:
    """Return the error for TLS files that do not load."""
    cause = f"the TLS files cannot be loaded ({describe_failure(exc)})"
    return ConfigError([f"{setting}: {cause}; check {files}"])


def load_context(
    ca_file: File,
    cert_file: File,
    key_file: File,
    key_password: str | None,
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
) -> ssl.SSLContext:
    """Return a context with these files. Without ``ca_file`` it trusts the system's authorities.

    Raises ``OSError`` and ``ValueError``.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = min_version
    if cert_file:
        # Without any password OpenSSL prompts for one at the terminal and waits.
        context.load_cert_chain(cert_file, key_file, key_password or "")
    return context


def describe_failure(exc: Exception) -> str:
    """Return the reason why files did not load, without the position in OpenSSL's sources."""
    if isinstance(exc, ssl.SSLError):
        return (exc.reason or "not PEM").replace("_", " ").lower()
    return exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
