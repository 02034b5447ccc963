"""Decide what is remembered of an endpoint's cursors where it does not expire: in the control topic.

Committed offsets expire, and Kafka deletes those of a deleted topic. Invariant: a partition is in
``cursors`` only after an offset was committed for it, so its cursor is lost if that offset is gone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

_PREFIX = "begun/"
_MOST_PARTITIONS = 100_000
"""Partitions of one topic that a record may name: bounds the memory for the record of another program."""
_TEXT_CHARS = 500


class DamagedBeginningError(ValueError):
    """A record of the control topic that does not describe the beginning of an endpoint."""


class TopicPlaces(NamedTuple):
    """The partitions of one topic in which an endpoint has begun.

    ``topic_id`` is None if the broker has no topic ids. ``begins`` are partitions without a cursor so
    far: the endpoint begins there at this offset.
    """

    topic_id: str | None = None
    cursors: frozenset[int] = frozenset()
    begins: Mapping[int, int] = {}

    def merged(self, later: TopicPlaces) -> TopicPlaces:
        """Return both together; the later ones alone if they are about another topic of the same name."""
        if self.topic_id and later.topic_id and self.topic_id != later.topic_id:
            return later
        cursors = self.cursors | later.cursors
        if cursors == later.cursors:
            cursors = later.cursors  # mostly the same set for all endpoints: keep one of them
        begins = {
            number: min(places.begins[number] for places in (self, later) if number in places.begins)
            for number in {*self.begins, *later.begins} - cursors
        }
        return TopicPlaces(later.topic_id or self.topic_id, cursors, begins)


NO_PLACES = TopicPlaces()


class Beginning(NamedTuple):
    """When an endpoint began (an RFC 3339 instant, empty if unknown), and where, by topic."""

    began: str = ""
    topics: Mapping[str, TopicPlaces] = {}

    def merged(self, later: Beginning) -> Beginning:
        """Return both together. Pods write without waiting for each other, so neither may be dropped."""
        topics = {
            name: self.topics.get(name, NO_PLACES).merged(later.topics.get(name, NO_PLACES))
            for name in sorted({*self.topics, *later.topics})
        }
        return Beginning(min(filter(None, (self.began, later.began)), default=""), topics)

    def to_bytes(self) -> bytes:
        """Return the value of its record."""
        topics = {
            name: {
                "id": places.topic_id,
                "cursors": _runs(places.cursors),
                "begins": {str(number): places.begins[number] for number in sorted(places.begins)},
            }
            for name, places in sorted(self.topics.items())
        }
        return json.dumps({"began": self.began, "topics": topics}, separators=(",", ":")).encode()


class Beginnings:
    """The beginnings of all endpoints, as read from the topic and as this process adds to them."""

    def __init__(self) -> None:
        self._known: dict[str, Beginning] = {}
        self._written: dict[str, Beginning] = {}

    def __getitem__(self, endpoint: str) -> Beginning | None:
        return self._known.get(endpoint)

    def names(self) -> list[str]:
        """Return the endpoints that have begun, sorted."""
        return sorted(self._known)

    def put(self, endpoint: str, beginning: Beginning | None) -> None:
        """Add what a record of the topic contains; None deletes what is known."""
        if beginning is None:
            self._known.pop(endpoint, None)
            self._written.pop(endpoint, None)
            return
        self.note(endpoint, beginning)
        known = self._known[endpoint]
        self._written[endpoint] = known if known == beginning else beginning

    def note(self, endpoint: str, beginning: Beginning) -> None:
        """Add what this process has decided. It is ``unwritten`` until a record of the topic contains it."""
        known = self._known.get(endpoint)
        if known != beginning:
            self._known[endpoint] = beginning if known is None else known.merged(beginning)

    def written(self, beginnings: Mapping[str, Beginning]) -> None:
        """Store that the topic has these records now."""
        self._written.update(beginnings)

    def unwritten(self, endpoints: Iterable[str]) -> dict[str, Beginning]:
        """Return those of these endpoints whose last record lacks something."""
        return {
            name: self._known[name]
            for name in endpoints
            if name in self._known and self._known[name] != self._written.get(name)
        }


def key_of(endpoint: str) -> bytes:
    """Return the key of an endpoint's record in the control topic."""
    return f"{_PREFIX}{endpoint}".encode()


def endpoint_of(key: bytes | None) -> str | None:
    """Return the endpoint of a record by its key; None if it is about something else."""
    text = (key or b"").decode("utf-8", "replace")
    return text.removeprefix(_PREFIX) if text.startswith(_PREFIX) and len(text) < _TEXT_CHARS else None


def read_beginning(value: bytes | None) -> Beginning | None:
    """Return the beginning in a record's value; None for a tombstone. Raises ``DamagedBeginningError``."""
    if value is None:
        return None
    try:
        document = json.loads(value)
        topics = {name: _places(entry) for name, entry in document["topics"].items()}
        return Beginning(str(document.get("began", ""))[:_TEXT_CHARS], topics)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise DamagedBeginningError(f"it does not list an endpoint's topics ({exc!r})") from exc


def _places(entry: Mapping[str, Any]) -> TopicPlaces:
    topic_id = entry.get("id")
    if topic_id is not None and not isinstance(topic_id, str):
        raise TypeError("a topic id is no text")
    begins = {int(number): int(offset) for number, offset in entry.get("begins", {}).items()}
    return TopicPlaces(topic_id, _numbers(entry.get("cursors", [])), begins)


def _runs(numbers: Collection[int]) -> list[list[int]]:
    """Return the numbers as runs [first, last]."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


def _numbers(runs: Iterable[tuple[int, int]]) -> frozenset[int]:
    numbers: set[int] = set()
    for first, last in runs:
        if not 0 <= first <= last < _MOST_PARTITIONS:
            raise ValueError("a partition is out of range")
        numbers.update(range(first, last + 1))
    return frozenset(numbers)
