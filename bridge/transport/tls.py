"""The TLS settings of requests to receivers: the system's authorities, TLS 1.2 and newer."""

from __future__ import annotations

import ssl


def client_context() -> ssl.SSLContext:
    """A context that verifies certificate and host name."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
