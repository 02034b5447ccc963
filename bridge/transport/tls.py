"""TLS towards receivers, with the system's authorities, and towards services, with files of their own."""

from __future__ import annotations

import ssl
from pathlib import Path

from bridge.errors import ConfigError


def client_context() -> ssl.SSLContext:
    """For requests to receivers: verifies certificate and host name, TLS 1.2 and newer."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def service_context(
    place: str, ca_file: Path | None, cert_file: Path | None, key_file: Path | None, key_password: str | None
) -> ssl.SSLContext:
    """A context with these files. Raises ``ConfigError``, which names ``place``, when they do not load."""
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        if cert_file:
            context.load_cert_chain(cert_file, key_file, key_password)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            [f"{place}: the TLS files do not load ({exc}); check ca_file, cert_file and key_file"]
        ) from exc
    return context
