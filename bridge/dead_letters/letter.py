"""Dead letters: what a parked record says, what became of it since, and which of them are asked for.

The dead-letter topic is its own book: a parked record is a letter, and a marker behind it says
that it was redriven or discarded. Takes records, gives letters. Rule floor, pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import NamedTuple

from bridge.model import Header, Partition, Record

PREFIX = "hookferry-"
_SETTLES = "hookferry-settles"
_ADDRESS = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")
_NEEDED = ("topic", "partition", "offset", "timestamp-ms", "parked-at-ms", "cause")
EVERYONE = "*"
"""The endpoint of a letter that was rejected before it was known who wants it."""


class Address(NamedTuple):
    """Where a letter stands in the dead-letter topic; as people type it: ``partition:offset``."""

    number: int
    offset: int

    def __str__(self) -> str:
        return f"{self.number}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address in a text. Raises ``ValueError``."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not an address like 0:17")
        return cls(int(found[1]), int(found[2]))


class Fate(StrEnum):
    """What became of a letter."""

    WAITING = "waiting"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


class Settlement(NamedTuple):
    """A marker: what was done with a letter, when, and by whom."""

    address: Address
    fate: Fate
    at_ms: int
    by: str
    reason: str = ""
    again_id: str = ""

    def headers(self) -> tuple[Header, ...]:
        """The headers of the marker record; ``settlement`` reads them."""
        facts = {
            _SETTLES: str(self.address),
            "hookferry-settled-as": self.fate.value,
            "hookferry-settled-at-ms": str(self.at_ms),
            "hookferry-settled-by": self.by,
            "hookferry-settled-reason": self.reason,
            "hookferry-again-id": self.again_id,
        }
        return tuple((name, value.encode("utf-8", "replace")) for name, value in facts.items() if value)


@dataclass(slots=True)
class Letter:
    """A parked record: why, and the original as it stood in its topic.

    ``facts`` are its ``hookferry-*`` headers without the prefix. A letter that is only listed has
    no ``value``; its ``size_bytes`` is known.
    """

    address: Address
    origin: Record
    size_bytes: int
    facts: Mapping[str, str]
    settlements: list[Settlement] = field(default_factory=list)

    @property
    def fate(self) -> Fate:
        """What became of it last."""
        return self.settlements[-1].fate if self.settlements else Fate.WAITING

    @property
    def endpoint(self) -> str | None:
        """Whom it could not be delivered to; None when it was rejected for all."""
        return self.facts.get("endpoint")

    @property
    def index(self) -> int:
        """Which event of a record of several it is, from 1; 0 for the whole record."""
        return int(self.facts.get("event-index", "0"))

    @property
    def entity(self) -> str | None:
        """Whom the event is about: as it was decoded, else the record key as far as it can be read."""
        return self.facts.get("entity") or _key_text(self.origin.key)

    @property
    def held_behind(self) -> str | None:
        """The place of the event that it was parked behind, unsent; None when it was parked for itself."""
        return self.facts.get("held-behind")

    @property
    def parked_at_ms(self) -> int:
        """When it was parked (Unix milliseconds)."""
        return int(self.facts["parked-at-ms"])

    @property
    def again_id(self) -> str:
        """The id of its next redrive.

        The same until a marker says that one took place, so that a redrive which is repeated
        because it ended half-way is known as the one it repeats.
        """
        redriven = sum(one.fate is Fate.REDRIVEN for one in self.settlements)
        text = f"{self.address} {self.origin.place} {self.endpoint} {self.parked_at_ms} {redriven}"
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are asked for; what is None asks nothing.

    ``lanes`` are pairs of an endpoint and a lane's name, as letters of endpoints carry them.
    """

    endpoint: str | None = None
    entity: str | None = None
    type: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    reason: str | None = None
    lanes: frozenset[tuple[str, str]] | None = None

    def matches(self, letter: Letter) -> bool:
        """Whether a letter is one of them.

        The type is a pattern, as in an endpoint's ``events``; the reason a part of the cause in any case.
        """
        return (
            (self.endpoint is None or self.endpoint == (letter.endpoint or EVERYONE))
            and (self.entity is None or self.entity in (letter.entity, _key_text(letter.origin.key)))
            and (self.type is None or fnmatchcase(letter.facts.get("event-type", ""), self.type))
            and (self.since_ms is None or letter.parked_at_ms >= self.since_ms)
            and (self.until_ms is None or letter.parked_at_ms < self.until_ms)
            and (self.lanes is None or (letter.endpoint, letter.facts.get("lane")) in self.lanes)
            and (self.reason is None or self.reason.casefold() in letter.facts["cause"].casefold())
        )


class Errand(NamedTuple):
    """One original record (or one of its events) to be sent again, and every letter that this settles.

    ``round`` is that of the hold on its lane, where there is one.
    """

    letter: Letter
    settles: tuple[Letter, ...]
    round: str = ""

    @property
    def line(self) -> object:
        """What it must not overtake, nor be overtaken by, on its way to the broker."""
        origin = self.letter.origin
        return origin.partition, self.letter.endpoint, self.letter.facts.get("lane", origin.key)


def to_letter(record: Record) -> Letter | None:
    """The letter that a record of the dead-letter topic is; None when it is none of ours."""
    facts = _facts(record)
    try:
        if any(name not in facts for name in _NEEDED):
            return None
        int(facts["parked-at-ms"])
        int(facts.get("event-index", "0"))
        place = Partition(facts["topic"], int(facts["partition"]))
        origin = record._replace(
            partition=place,
            offset=int(facts["offset"]),
            timestamp_ms=int(facts["timestamp-ms"]),
            headers=tuple((name, value) for name, value in record.headers if not name.startswith(PREFIX)),
        )
    except ValueError:
        return None
    return Letter(Address(record.partition.number, record.offset), origin, len(record.value or b""), facts)


def to_settlement(record: Record) -> Settlement | None:
    """The marker that a record of the dead-letter topic is; None when it is no marker."""
    if not any(name == _SETTLES for name, _ in record.headers):
        return None
    facts = _facts(record)
    try:
        return Settlement(
            Address.parse(facts["settles"]),
            Fate(facts["settled-as"]),
            int(facts["settled-at-ms"]),
            facts.get("settled-by", ""),
            facts.get("settled-reason", ""),
            facts.get("again-id", ""),
        )
    except (KeyError, ValueError):
        return None


def errands(letters: Iterable[Letter]) -> list[Errand]:
    """What is to be sent again for these letters, in the order of the source topics.

    A crash between parking and commit parks an event twice; it is sent again once, as its latest
    letter: what was sent for an earlier one may be what was parked again, and is known by its id.
    """
    by_event: dict[tuple[Partition, int, int, str | None], list[Letter]] = {}
    for one in letters:
        by_event.setdefault((*_place(one), one.endpoint), []).append(one)
    found = [Errand(max(same, key=_parked), tuple(same)) for same in by_event.values()]
    return sorted(found, key=lambda errand: _place(errand.letter))


def obstacle(
    letter: Letter, topics: Iterable[str], endpoints: Iterable[str], partitions: int
) -> tuple[str, str] | None:
    """Why a letter cannot be sent again (cause and remedy); None when it can."""
    topic, number = letter.origin.partition
    if topic not in topics:
        return f"no source reads topic {topic!r}", "name it in a source, or discard the event"
    if letter.endpoint is not None and letter.endpoint not in endpoints:
        return f"there is no endpoint {letter.endpoint!r}", "configure it, or discard the event"
    if number >= partitions:
        return (
            f"partition {number} of {topic!r} is newer than the topic for what is sent again",
            "restart the bridge, which lets that topic grow",
        )
    return None


def in_turns(errands: Sequence[Errand]) -> list[list[Errand]]:
    """The errands in turns: no two of a line in one, and each line in its order."""
    turns: list[list[Errand]] = []
    taken: Counter[object] = Counter()
    for errand in errands:
        turn = taken[errand.line]
        taken[errand.line] += 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(errand)
    return turns


def runs(offsets: Sequence[int], gap: int) -> list[tuple[int, int]]:
    """Stretches [start, end) that hold all of these ascending offsets, split where a gap is longer."""
    found: list[tuple[int, int]] = []
    for offset in offsets:
        if found and offset - found[-1][1] <= gap:
            found[-1] = (found[-1][0], offset + 1)
        else:
            found.append((offset, offset + 1))
    return found


def _parked(letter: Letter) -> tuple[int, Address]:
    return letter.parked_at_ms, letter.address


def _place(letter: Letter) -> tuple[Partition, int, int]:
    return letter.origin.partition, letter.origin.offset, letter.index


def _facts(record: Record) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX): value.decode("utf-8", "replace")
        for name, value in record.headers
        if name.startswith(PREFIX)
    }


def _key_text(key: bytes | None) -> str | None:
    """A key as people write it: as text, or as the number that eight bytes are (Fineract)."""
    if key is None:
        return None
    text = key.decode("utf-8", "replace")
    if text.isprintable() and "\ufffd" not in text:
        return text
    return str(int.from_bytes(key, "big", signed=True)) if len(key) == 8 else key.hex()
