"""Ask the bridge that runs with the same configuration on this machine, over its admin port.

What an overloaded receiver's limits are is known in each bridge alone; Kafka does not have it.
"""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.settings import Settings

_TIMEOUT_S = 2.0
_MOST_BYTES = 1 << 20
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - only compared with


def describe_limits(settings: Settings) -> str:
    """Return a line with the endpoints that are slowed there, and why; or that no bridge answers."""
    host, port = _WILDCARDS.get(settings.admin.host, settings.admin.host), settings.admin.port
    place = f"the bridge at {host}:{port}"
    tls = settings.admin.tls
    slowed = _ask(host, port, settings.group, tls.cert_file if tls else None) if port else None
    if slowed is None:
        return f"limits: {place} does not answer; each bridge shows its own at /readyz"
    shown = "; ".join(f"{name} to {limit}" for name, limit in slowed.items())
    return f"slowed in {place}: {shown or 'none'}"


def _ask(host: str, port: int, group: str, cert_file: Path | None) -> dict[str, str] | None:
    """Return the limits, by endpoint; None if no bridge of this group answers."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        if cert_file is not None:
            context = _context(cert_file)
            connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
        connection.request("GET", "/limits")
        response = connection.getresponse()
        document = json.loads(response.read(_MOST_BYTES))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if response.status != http.client.OK or not isinstance(document, dict) or document.get("group") != group:
        return None
    return {str(name): str(limit) for name, limit in dict(document.get("slowed", {})).items()}


def _context(cert_file: Path) -> ssl.SSLContext:
    """Return a context that trusts the bridge's own certificate, whatever names are in it."""
    context = ssl.create_default_context(cafile=cert_file)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself, without its authority
    return context
