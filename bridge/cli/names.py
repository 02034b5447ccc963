"""Refuse an endpoint that the configuration does not have. ``bridge.settings.names`` refuses other names."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path


def require_endpoint(path: Path, name: str, known: Collection[str]) -> None:
    """Raise ``ConfigError`` unless the configuration has an endpoint of this name."""
    from bridge.settings.names import require_known

    require_known(f"{path} has no endpoint", name, known, "the endpoints are")
