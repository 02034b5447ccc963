"""TLS settings: of requests to receivers, and of connections whose files a person names."""

from __future__ import annotations

import ssl
from os import PathLike


def client_context() -> ssl.SSLContext:
    """A context that verifies certificate and host name by the system's authorities; TLS 1.2 and newer."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def context_of(
    ca_file: PathLike[str] | str | None,
    cert_file: PathLike[str] | str | None,
    key_file: PathLike[str] | str | None,
    key_password: str | None,
) -> ssl.SSLContext:
    """A context with these files; the system's authorities if none. Raises ``OSError`` and ``ValueError``."""
    context = ssl.create_default_context(cafile=ca_file)
    if cert_file:
        # without any password OpenSSL asks for one at the terminal, and waits
        context.load_cert_chain(cert_file, key_file, key_password or "")
    return context


def why_not(exc: Exception) -> str:
    """What is wrong with such files, in a few words, without the place in OpenSSL's sources."""
    if isinstance(exc, ssl.SSLError):
        return (exc.reason or "not PEM").replace("_", " ").lower()
    return exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
