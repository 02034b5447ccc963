"""What a URL selects: its query as filters, and filters as a query. Pure.

Invariant: the whole state of a page is in its URL, so that a link shows another person the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from bridge.console.pages.words import NoInstant, instant_s
from bridge.console.query import AttemptQuery, ParkedQuery
from bridge.history.selection import check_status

ATTEMPT_FIELDS = (
    "text", "endpoint", "type", "entity", "tenant", "event", "status", "verdict", "since", "until",
)  # fmt: skip
PARKED_FIELDS = ("text", "endpoint", "type", "entity", "reason", "since", "until", "state")
_MOST_CHARS = 500


class Filters(NamedTuple):
    """The filters of a URL as typed, and what is wrong with them."""

    given: Mapping[str, str]
    mistakes: tuple[str, ...] = ()

    @property
    def query(self) -> str:
        """Return them as the query of a URL, without ``?``."""
        return urlencode(self.given)


def read(fields: tuple[str, ...], given: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that have a text, without white space around it."""
    texts = {name: given.get(name, "").strip()[:_MOST_CHARS] for name in fields}
    return {name: text for name, text in texts.items() if text}


def attempts(given: Mapping[str, str], now_s: float) -> tuple[AttemptQuery, Filters]:
    """Return the query for attempts. With a mistake, the query leaves that filter out."""
    typed = read(ATTEMPT_FIELDS, given)
    since_s, until_s, mistakes = _times(typed, now_s)
    status = typed.get("status")
    if status is not None:
        try:
            status = check_status(status)
        except ValueError as exc:
            mistakes.append(str(exc))
            status = None
    plain = {name: typed.get(name) for name in ATTEMPT_FIELDS if name not in ("since", "until", "status")}
    query = AttemptQuery(**plain, status=status, since_s=since_s, until_s=until_s)
    return query, Filters(typed, tuple(mistakes))


def parked(given: Mapping[str, str], now_s: float) -> tuple[ParkedQuery, Filters]:
    """Return the query for parked events. With a mistake, the query leaves that filter out."""
    typed = read(PARKED_FIELDS, given)
    since_s, until_s, mistakes = _times(typed, now_s)
    plain = {name: typed.get(name) for name in PARKED_FIELDS if name not in ("since", "until", "state")}
    state = "all" if typed.get("state") == "all" else "parked"
    return ParkedQuery(**plain, since_s=since_s, until_s=until_s, state=state), Filters(
        typed, tuple(mistakes)
    )


def _times(typed: Mapping[str, str], now_s: float) -> tuple[float | None, float | None, list[str]]:
    times: list[float | None] = []
    mistakes = []
    for name in ("since", "until"):
        try:
            times.append(instant_s(typed.get(name, ""), now_s))
        except NoInstant as exc:
            times.append(None)
            mistakes.append(str(exc))
    return times[0], times[1], mistakes
