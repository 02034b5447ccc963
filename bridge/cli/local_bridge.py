"""Ask the bridge that runs with the same configuration on this machine, over its admin port.

What an overloaded receiver's limits are is known in each bridge alone; Kafka does not have it.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.settings import Settings

_TIMEOUT_S = 2.0
_MOST_BYTES = 1 << 20
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - only compared with


def ask_limits(settings: Settings) -> dict[str, str] | None:
    """Return the endpoints that are slowed there, with limit and reason; None if no bridge answers."""
    host, port = _place(settings)
    return _ask(host, port, settings.group) if port else None


def describe_limits(settings: Settings, slowed: Mapping[str, str] | None) -> str:
    """Return a line with the endpoints that are slowed, and why; or that no bridge answers."""
    place = "the bridge at {}:{}".format(*_place(settings))
    if slowed is None:
        return f"limits: {place} does not answer; each bridge shows its own at /readyz"
    shown = "; ".join(f"{name} to {limit}" for name, limit in slowed.items())
    return f"slowed in {place}: {shown or 'none'}"


def ask_readiness(settings: Settings) -> tuple[bool, str] | None:
    """Return whether the bridge there is ready, and its line of /readyz; None if none answers."""
    host, port = _place(settings)
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        text = response.read(_MOST_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return response.status == http.client.OK, " ".join(text.split())


def _place(settings: Settings) -> tuple[str, int]:
    return _WILDCARDS.get(settings.admin.host, settings.admin.host), settings.admin.port


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
