"""The state of the configuration of one process: which one is in force, and why another one is not. Pure.

Invariant: it contains no secret. It is what the admin port, the metrics and the reports of the pods show.
"""

from __future__ import annotations

from typing import NamedTuple


class ReloadState(NamedTuple):
    """The configuration in force, and the last error.

    ``hash`` is the same in all processes whose configurations are the same but for their secrets. ``since``
    is the instant (Unix seconds) at which it came into force. ``error`` is why a later one was not taken
    over, empty if there is none, and ``error_at`` when that was found.
    """

    hash: str = ""
    since: float = 0.0
    error: str = ""
    error_at: float = 0.0

    def taken_over(self, config_hash: str, at: float) -> ReloadState:
        """Return the state after another configuration came into force."""
        return ReloadState(config_hash, at)

    def unchanged(self) -> ReloadState:
        """Return the state after the file was found to be what is in force."""
        return self._replace(error="", error_at=0.0)

    def failed(self, error: str, at: float) -> ReloadState:
        """Return the state after a configuration was not taken over."""
        return self._replace(error=error, error_at=at)
