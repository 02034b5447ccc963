"""Which lanes are held and why: the rule, and the stored form of a hold.

An endpoint with ``on_park: hold`` sends nothing more of a lane once one of its events was parked. Later
events of the lane are parked, too, until the first one was redriven or discarded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from bridge.core import ordering_key
from bridge.model import LaneKey, Partition

_PREFIX = "hold/"
_TEXT_CHARS = 500


class DamagedHoldError(ValueError):
    """A record of the control topic has the key of a hold, but its value is not one."""


class HoldKey(NamedTuple):
    """A lane of an endpoint, as the control topic names it."""

    endpoint: str
    lane_id: str

    def to_bytes(self) -> bytes:
        """Return the record key."""
        return f"{_PREFIX}{self.endpoint}/{self.lane_id}".encode()


@dataclass(frozen=True, slots=True)
class Hold:
    """One held lane of one endpoint.

    ``first`` is the place of the event that the lane waits for, ``last`` that of the latest live event
    parked after it. ``parked`` counts all events parked since the hold began. ``round`` names the
    redrive whose events may pass. It changes whenever an event that was sent again is parked once
    more, so that the rest of that redrive is parked as well. ``answered`` is the id of the last
    release mark that did not lift the hold.
    """

    lane: LaneKey
    since_ms: int
    first: str
    first_at_ms: int
    last: str
    parked: int
    round: str
    entity: str = ""
    answered: str = ""

    @property
    def partition(self) -> Partition:
        """The partition whose owner holds the lane."""
        return Partition(self.lane.topic, self.lane.number)

    def with_live(self, place: str) -> Hold:
        """Return the hold after a live event of the lane was parked."""
        return replace(self, last=place, parked=self.parked + 1)

    def with_resent(self, place: str, at_ms: int, round: str, *, refused: bool) -> Hold:
        """Return the hold after an event that was sent again was parked once more.

        ``refused`` is True if the receiver refused it, False if it was parked because of the hold.
        """
        if refused:
            return replace(self, first=place, first_at_ms=at_ms, parked=self.parked + 1, round=round)
        return replace(self, parked=self.parked + 1, round=round)

    def with_answer(self, mark_id: str) -> Hold:
        """Return the hold after a mark did not lift it; the sender of the mark reads its id here."""
        return replace(self, answered=mark_id)

    def released_by(self, round: str, covers: int) -> bool:
        """Return True if a mark of this round lifts the hold: everything that was parked has passed."""
        return round == self.round and self.parked <= covers

    def to_bytes(self) -> bytes:
        """Return the record value."""
        fields = {
            "lane": ordering_key.encode_lane(self.lane),
            "since_ms": self.since_ms,
            "first": self.first,
            "first_at_ms": self.first_at_ms,
            "last": self.last,
            "parked": self.parked,
            "round": self.round,
            "entity": self.entity[:_TEXT_CHARS],
            "answered": self.answered,
        }
        return json.dumps(fields).encode()


def read_key(key: bytes | None) -> HoldKey | None:
    """Return the lane that a record key of the control topic names; None for other keys."""
    text = (key or b"").decode("utf-8", "replace")
    endpoint, slash, lane_id = text.removeprefix(_PREFIX).partition("/")
    return HoldKey(endpoint, lane_id) if text.startswith(_PREFIX) and slash else None


def read_hold(value: bytes | None) -> Hold | None:
    """Read a record value; None (a tombstone) means not held. Raises ``DamagedHoldError``."""
    if value is None:
        return None
    try:
        fields = json.loads(value)
        lane = ordering_key.decode_lane(fields["lane"])
        numbers = [int(fields[name]) for name in ("since_ms", "first_at_ms", "parked")]
        texts = [_printable(fields[name]) for name in ("first", "last", "round", "entity", "answered")]
    except (ValueError, KeyError, TypeError) as exc:
        raise DamagedHoldError(f"the value is no hold: {exc!r}") from exc
    since_ms, first_at_ms, parked = numbers
    first, last, round, entity, answered = texts
    return Hold(lane, since_ms, first, first_at_ms, last, parked, round, entity, answered)


def _printable(text: object) -> str:
    """Return one printable line: it is shown in terminals and logs, and others may write to the topic."""
    if not isinstance(text, str):
        raise TypeError("a text is missing")
    return "".join(char if char.isprintable() else " " for char in text[:_TEXT_CHARS])


class Holds:
    """The held lanes of this process's partitions: a few hundred bytes each, nothing per event."""

    def __init__(self) -> None:
        self._holds: dict[str, dict[Hashable, Hold]] = {}

    def of(self, endpoint: str, lane: Hashable) -> Hold | None:
        """Return the hold of a lane, if it has one."""
        lanes = self._holds.get(endpoint)
        return lanes.get(lane) if lanes else None

    def put(self, endpoint: str, lane: Hashable, hold: Hold | None) -> None:
        """Set the hold of a lane; None frees it."""
        if hold is not None:
            self._holds.setdefault(endpoint, {})[lane] = hold
        elif endpoint in self._holds:
            self._holds[endpoint].pop(lane, None)

    def begin(self, partitions: Collection[Partition], loaded: Mapping[HoldKey, Hold]) -> None:
        """Begin an assignment: keep only the loaded holds of these partitions."""
        self._holds = {}
        for key, hold in loaded.items():
            if hold.partition in partitions:
                self.put(key.endpoint, hold.lane, hold)

    def counts(self, partitions: Collection[Partition]) -> Counter[str]:
        """Return the number of held lanes in these partitions, by endpoint."""
        return Counter(
            endpoint
            for endpoint, lanes in self._holds.items()
            for hold in lanes.values()
            if hold.partition in partitions
        )
