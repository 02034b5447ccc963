"""Who uses the console, as the API and the pages see them, however they logged in.

Invariant: only the role ``operate`` may change something.
"""

from __future__ import annotations

from dataclasses import dataclass

OPERATE, READ = "operate", "read"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who sends a request: a name for the audit, and a role, ``read`` or ``operate``."""

    name: str
    role: str

    @property
    def may_operate(self) -> bool:
        """Return True if this person may change something."""
        return self.role == "operate"


EVERYONE = Actor("someone on this machine", OPERATE)
"""Every visitor of a console without a login."""
