"""What a bulk re-send selects, and how: in the words of the command, the API, and the record of a job. Pure.

Invariant: ``read_query(query.to_json()) == query``, so a job that another process resumes selects the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bridge.core.instant import precise_instant
from bridge.history.selection import AttemptFilter, check_status

_TEXTS = ("endpoint", "event", "type", "entity", "tenant", "status", "verdict", "text")
_INSTANTS = {"since": "since_ms", "until": "until_ms"}


class ResendQuery(NamedTuple):
    """Which attempts are selected. With ``render``, their events are rendered anew; else sent as they were.

    With ``new_id``, each event gets another ``webhook-id``: its receiver takes it for a new event.
    """

    wanted: AttemptFilter
    render: bool = False
    new_id: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; filters that are not set are left out."""
        texts = {name: getattr(self.wanted, name) for name in _TEXTS}
        instants = {name: _instant(getattr(self.wanted, field)) for name, field in _INSTANTS.items()}
        given = {name: value for name, value in {**texts, **instants}.items() if value is not None}
        return given | {"render": self.render, "new_id": self.new_id}


def read_query(given: Mapping[str, Any]) -> ResendQuery:
    """Return the query of a job or a request. Raises ``ValueError`` for a wrong name or value."""
    unknown = given.keys() - {*_TEXTS, *_INSTANTS, "render", "new_id"}
    if unknown:
        raise ValueError(f"there is no filter {sorted(unknown)[0]!r}")
    texts: dict[str, Any] = {name: given[name] for name in _TEXTS if given.get(name) is not None}
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("a filter is no text")
    if "status" in texts:
        check_status(texts["status"])
    instants: dict[str, Any] = {
        field: _milliseconds(given[name]) for name, field in _INSTANTS.items() if given.get(name) is not None
    }
    return ResendQuery(
        AttemptFilter(**texts, **instants), bool(given.get("render")), bool(given.get("new_id"))
    )


def _instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else precise_instant(at_ms)


def _milliseconds(text: Any) -> int:
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not an instant such as 2026-06-29T08:15:00Z")
    at = datetime.fromisoformat(text)
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
