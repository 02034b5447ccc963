"""Dead letters: parked records, the markers that settled them, and filters over them.

The dead-letter topic records both: a parked record is a letter, and a later marker records that
the letter was redriven or discarded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import NamedTuple

from bridge.dead_letters import stub
from bridge.formats.resent import NULL_VALUE, PREFIX, REPEATS, STORED
from bridge.formats.stored_request import read_stored
from bridge.model import Header, Partition, Record, StoredRequest

_SETTLES = "hookferry-settles"
_ADDRESS = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")
STORED_FACT, REPEATS_FACT = STORED.removeprefix(PREFIX), REPEATS.removeprefix(PREFIX)
_NULL_FACT = NULL_VALUE.removeprefix(PREFIX)
_REQUIRED_FACTS = ("topic", "partition", "offset", "timestamp-ms", "parked-at-ms", "cause")
EVERYONE = "*"
"""Filter value for letters that were rejected before their endpoints were known."""


class Address(NamedTuple):
    """The place of a letter in the dead-letter topic; typed by operators as ``partition:offset``."""

    number: int
    offset: int

    def __str__(self) -> str:
        return f"{self.number}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address. Raises ``ValueError``."""
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not an address like 0:17")
        return cls(int(match[1]), int(match[2]))


class Fate(StrEnum):
    """The state of a letter."""

    WAITING = "waiting"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


class Settlement(NamedTuple):
    """A marker: what was done with a letter, when, and by which user."""

    address: Address
    fate: Fate
    at_ms: int
    by: str
    reason: str = ""
    again_id: str = ""

    def headers(self) -> tuple[Header, ...]:
        """Return the headers of the marker record; ``to_settlement`` reads them."""
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
    """A parked record: the reason, and the original as it was in its topic.

    ``facts`` are its ``hookferry-*`` headers without the prefix. A letter that is only listed has
    no ``value``, but its ``size_bytes``. A stub has only the beginning of the value.
    """

    address: Address
    origin: Record
    size_bytes: int
    facts: Mapping[str, str]
    settlements: list[Settlement] = field(default_factory=list)
    queued: bool = False
    """True for a redriven letter whose request still waits in ``<group>.again``, as far as that was read."""

    @property
    def fate(self) -> Fate:
        """The state according to the latest marker."""
        return self.settlements[-1].fate if self.settlements else Fate.WAITING

    @property
    def state(self) -> str:
        """The state for a person: its fate, or ``queued``."""
        return "queued" if self.queued else self.fate.value

    @property
    def endpoint(self) -> str | None:
        """The endpoint it could not be delivered to; None if it was rejected for all."""
        return self.facts.get("endpoint")

    @property
    def index(self) -> int:
        """The number of the event in a record of several, from 1; 0 for the whole record."""
        return int(self.facts.get("event-index", "0"))

    @property
    def raw_of(self) -> str:
        """What the value contains instead of a value: "record" or "batch"; "" for a value."""
        return self.facts.get("raw-of", "")

    @property
    def last_offset(self) -> int:
        """Return the last of its offsets: the bytes of a batch have several."""
        text = self.facts.get("last-offset", "")
        return int(text) if text.isdecimal() else self.origin.offset

    @property
    def entity(self) -> str | None:
        """The entity of the event, as it was decoded; else the record key as text."""
        return self.facts.get("entity") or _key_text(self.origin.key)

    @property
    def held_behind(self) -> str | None:
        """The place of the parked event that blocked this one; None if it was parked for itself."""
        return self.facts.get("held-behind")

    @property
    def is_stub(self) -> bool:
        """Return True if the original was too large: it must be read at its place to send it again."""
        return stub.VALUE_BYTES in self.facts

    @property
    def stored(self) -> StoredRequest | None:
        """The request that it is to be sent as; None if it is rendered. Raises ``ValueError``: it is cut."""
        text = self.facts.get(STORED_FACT)
        return None if text is None else read_stored(text)

    @property
    def repeats(self) -> str:
        """The id of the attempt that it is a re-send of; empty for any other event."""
        return self.facts.get(REPEATS_FACT, "")

    @property
    def parked_at_ms(self) -> int:
        """When it was parked (Unix milliseconds)."""
        return int(self.facts["parked-at-ms"])

    @property
    def again_id(self) -> str:
        """The id of its next redrive.

        It changes only when a marker records a redrive. A redrive that is repeated because it ended
        half-way has the same id, so the bridge recognizes it as a duplicate.
        """
        redriven = sum(settlement.fate is Fate.REDRIVEN for settlement in self.settlements)
        text = f"{self.address} {self.origin.place} {self.endpoint} {self.parked_at_ms} {redriven}"
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters are selected; a field that is None selects all.

    ``lanes`` are pairs of an endpoint and a lane id, as the letters contain them.
    """

    endpoint: str | None = None
    entity: str | None = None
    type: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    reason: str | None = None
    lanes: frozenset[tuple[str, str]] | None = None

    def matches(self, letter: Letter) -> bool:
        """Return True if the letter is selected.

        The type is a pattern, as in an endpoint's ``events``; the reason is a part of the cause in any case.
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


def to_letter(record: Record) -> Letter | None:
    """Read a record of the dead-letter topic; None if the bridge did not park it, or it is unreadable."""
    facts = _facts(record)
    try:
        if any(name not in facts for name in _REQUIRED_FACTS):
            return None
        int(facts["parked-at-ms"])
        int(facts.get("event-index", "0"))
        origin = record._replace(
            partition=Partition(facts["topic"], int(facts["partition"])),
            offset=int(facts["offset"]),
            timestamp_ms=int(facts["timestamp-ms"]),
            value=None if _NULL_FACT in facts else record.value,
            headers=tuple((name, value) for name, value in record.headers if not name.startswith(PREFIX)),
            damage=None,
        )
        size_bytes = int(facts.get(stub.VALUE_BYTES, "0").replace(stub.NULL, "0")) or len(record.value or b"")
    except ValueError:
        return None
    return Letter(Address(record.partition.number, record.offset), origin, size_bytes, facts)


def to_settlement(record: Record) -> Settlement | None:
    """Read a record of the dead-letter topic; None if it is no marker."""
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


def _facts(record: Record) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX): (value or b"").decode("utf-8", "replace")
        for name, value in record.headers
        if name.startswith(PREFIX)
    }


def _key_text(key: bytes | None) -> str | None:
    """Return a key as text, or as the number that eight bytes encode (Fineract)."""
    if key is None:
        return None
    text = key.decode("utf-8", "replace")
    if text.isprintable() and "\ufffd" not in text:
        return text
    return str(int.from_bytes(key, "big", signed=True)) if len(key) == 8 else key.hex()
