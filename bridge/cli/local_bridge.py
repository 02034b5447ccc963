"""Ask the bridge that runs with the same configuration on this machine, over its admin port.

What an overloaded receiver's limits are is known in each bridge alone; Kafka does not have it.
"""

from __future__ import annotations

import http.client
import json
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
    slowed = _ask(host, port, settings.group) if port else None
    if slowed is None:
        return f"limits: {place} does not answer; each bridge shows its own at /readyz"
    shown = "; ".join(f"{name} to {limit}" for name, limit in slowed.items())
    return f"slowed in {place}: {shown or 'none'}"


def _ask(host: str, port: int, group: str) -> dict[str, str] | None:
    """Return the limits, by endpoint; None if no bridge of this group answers."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
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
