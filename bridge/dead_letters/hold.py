"""Which lanes are held, and why: the rule of it, and the text form of a hold.

An endpoint with ``on_park: hold`` sends nothing of a lane after one of its events was parked: the
later ones are parked behind it, until it was sent again or discarded. Takes what was parked, gives
what stands in the way. Rule floor, pure.
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
    """A record of the control topic under the key of a hold that is none."""


class HoldKey(NamedTuple):
    """A lane of an endpoint, by the name that stands in the control topic."""

    endpoint: str
    lane_id: str

    def to_bytes(self) -> bytes:
        """The key of its records."""
        return f"{_PREFIX}{self.endpoint}/{self.lane_id}".encode()


@dataclass(frozen=True, slots=True)
class Hold:
    """One held lane of one endpoint.

    ``first`` is the place of the event that the lane waits for, ``last`` of the latest live event
    that was parked behind it, ``parked`` how many were parked in all since the hold began. ``round``
    names the redrive whose events may pass: it changes whenever an event that was sent again is
    parked once more, so that what was sent with it is parked as well. ``answered`` is the id of the
    last release mark that did not lift the hold.
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
        """A live event was parked behind it."""
        return replace(self, last=place, parked=self.parked + 1)

    def with_resent(self, place: str, at_ms: int, round: str, *, refused: bool) -> Hold:
        """An event that was sent again was parked once more: ``refused`` itself, or behind another."""
        if refused:
            return replace(self, first=place, first_at_ms=at_ms, parked=self.parked + 1, round=round)
        return replace(self, parked=self.parked + 1, round=round)

    def with_answer(self, mark_id: str) -> Hold:
        """A mark came and did not lift it; whoever wrote the mark reads that here."""
        return replace(self, answered=mark_id)

    def released_by(self, round: str, covers: int) -> bool:
        """Whether all that was parked has passed when a mark of this round comes."""
        return round == self.round and self.parked <= covers

    def to_bytes(self) -> bytes:
        """The value of its record."""
        said = {
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
        return json.dumps(said).encode()


def read_key(key: bytes | None) -> HoldKey | None:
    """The lane that a record of the control topic speaks of; None when it speaks of something else."""
    text = (key or b"").decode("utf-8", "replace")
    endpoint, slash, lane_id = text.removeprefix(_PREFIX).partition("/")
    return HoldKey(endpoint, lane_id) if text.startswith(_PREFIX) and slash else None


def read_hold(value: bytes | None) -> Hold | None:
    """Read a record's value (None, a tombstone: not held). Raises ``DamagedHoldError``."""
    if value is None:
        return None
    try:
        said = json.loads(value)
        lane = ordering_key.decode_lane(said["lane"])
        numbers = [int(said[name]) for name in ("since_ms", "first_at_ms", "parked")]
        texts = [_plain(said[name]) for name in ("first", "last", "round", "entity", "answered")]
    except (ValueError, KeyError, TypeError) as exc:
        raise DamagedHoldError(f"it is no hold: {exc!r}") from exc
    since_ms, first_at_ms, parked = numbers
    first, last, round, entity, answered = texts
    return Hold(lane, since_ms, first, first_at_ms, last, parked, round, entity, answered)


def _plain(text: object) -> str:
    """One printable line: it is shown in terminals and logs, and anybody may write to a topic."""
    if not isinstance(text, str):
        raise TypeError("a text is missing")
    return "".join(char if char.isprintable() else " " for char in text[:_TEXT_CHARS])


class Holds:
    """The held lanes of the partitions that are ours: a few hundred bytes each, nothing per event."""

    def __init__(self) -> None:
        self._holds: dict[str, dict[Hashable, Hold]] = {}

    def of(self, endpoint: str, lane: Hashable) -> Hold | None:
        """What holds a lane, if anything does."""
        of_endpoint = self._holds.get(endpoint)
        return of_endpoint.get(lane) if of_endpoint else None

    def put(self, endpoint: str, lane: Hashable, hold: Hold | None) -> None:
        """The lane is held so from now on, or free (None)."""
        if hold is not None:
            self._holds.setdefault(endpoint, {})[lane] = hold
        elif endpoint in self._holds:
            self._holds[endpoint].pop(lane, None)

    def begin(self, partitions: Collection[Partition], found: Mapping[HoldKey, Hold]) -> None:
        """An assignment begins: these partitions are ours, and nothing is held but what was found."""
        self._holds = {}
        for key, hold in found.items():
            if hold.partition in partitions:
                self.put(key.endpoint, hold.lane, hold)

    def counts(self, partitions: Collection[Partition]) -> Counter[str]:
        """How many lanes of these partitions are held, by endpoint."""
        return Counter(
            endpoint
            for endpoint, lanes in self._holds.items()
            for hold in lanes.values()
            if hold.partition in partitions
        )
