"""Ask the bridge that runs with the same configuration on this machine, over its admin port.

Only the bridge itself has the limits that it found for an overloaded receiver: Kafka does not store them.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.settings import Settings

_TIMEOUT_S = 2.0
_MOST_BYTES = 1 << 20
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - only compared with


def ask_limits(settings: Settings) -> dict[str, str] | None:
    """Return the endpoints that are slowed there, with limit and reason; None if no bridge answers."""
    got = _get(settings, "/limits") if settings.admin.port else None
    if got is None:
        return None
    status, content = got
    try:
        document = json.loads(content)
    except ValueError:
        return None
    if status != http.client.OK or not isinstance(document, dict) or document.get("group") != settings.group:
        return None
    return {str(name): str(limit) for name, limit in dict(document.get("slowed", {})).items()}


def describe_limits(settings: Settings, slowed: Mapping[str, str] | None) -> str:
    """Return a line with the endpoints that are slowed, and why; or that no bridge answers."""
    place = "the bridge at {}:{}".format(*_place(settings))
    if slowed is None:
        return f"limits: {place} does not answer; each bridge shows its own at /readyz"
    shown = "; ".join(f"{name} to {limit}" for name, limit in slowed.items())
    return f"slowed in {place}: {shown or 'none'}"


def ask_readiness(settings: Settings) -> tuple[bool, str] | None:
    """Return whether the bridge there is ready, and its lines of /readyz; None if none answers."""
    got = _get(settings, "/readyz")
    if got is None:
        return None
    status, content = got
    lines = (" ".join(line.split()) for line in content.decode("utf-8", "replace").splitlines())
    return status == http.client.OK, "; ".join(filter(None, lines))


def _place(settings: Settings) -> tuple[str, int]:
    return _WILDCARDS.get(settings.admin.host, settings.admin.host), settings.admin.port


def _get(settings: Settings, target: str) -> tuple[int, bytes] | None:
    """Return status and body of an answer of the admin port; None if nothing answers there."""
    host, port = _place(settings)
    tls = settings.admin.tls
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        if tls is not None:
            context = _context(tls.cert_file)
            connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read(_MOST_BYTES)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _context(cert_file: Path) -> ssl.SSLContext:
    """Return a context that trusts the bridge's own certificate, whatever names are in it."""
    context = ssl.create_default_context(cafile=cert_file)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself, without its authority
    return context
