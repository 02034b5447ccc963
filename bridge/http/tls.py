"""Build TLS contexts: for requests to receivers, and from certificate files named in the settings."""

from __future__ import annotations

import ssl
from os import PathLike
from typing import Protocol

from bridge.errors import ConfigError

File = PathLike[str] | str | None


class Secret(Protocol):
    """A secret setting."""

    def get_secret_value(self) -> str:
        """Return the secret."""
        ...


class TlsFiles(Protocol):
    """The settings that name certificate files: of the brokers and of a registry."""

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


def build_client_context() -> ssl.SSLContext:
    """Return a context for TLS 1.2 or newer that verifies servers by the system's authorities."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def load_configured_context(setting: str, files: TlsFiles) -> ssl.SSLContext:
    """Return a context with the configured files. Raises ``ConfigError``, which names ``setting``."""
    password = files.key_password.get_secret_value() if files.key_password else None
    try:
        return load_context(files.ca_file, files.cert_file, files.key_file, password)
    except (OSError, ValueError) as exc:
        raise ConfigError(
            [
                f"{setting}: the TLS files cannot be loaded ({describe_failure(exc)});"
                " check ca_file, cert_file and key_file"
            ]
        ) from exc


def load_context(ca_file: File, cert_file: File, key_file: File, key_password: str | None) -> ssl.SSLContext:
    """Return a context with these files. Without ``ca_file`` it trusts the system's authorities.

    Raises ``OSError`` and ``ValueError``.
    """
    context = ssl.create_default_context(cafile=ca_file)
    if cert_file:
        # Without any password OpenSSL prompts for one at the terminal and waits.
        context.load_cert_chain(cert_file, key_file, key_password or "")
    return context


def describe_failure(exc: Exception) -> str:
    """Return the reason why files did not load, without the position in OpenSSL's sources."""
    if isinstance(exc, ssl.SSLError):
        return (exc.reason or "not PEM").replace("_", " ").lower()
    return exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
