"""The words of the product as types: partition, record, event, request, response.

Bottom floor, pure. ``Partition``, ``Record`` and the wire types are named tuples because one of
each is made per event on the hot path, and a tuple costs a third of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, NamedTuple

Header = tuple[str, bytes]
"""A Kafka record header: name and raw value (Kafka allows a null value; it becomes ``b""``)."""

AnswerKind = Literal["ok", "throttled", "unavailable", "failed", "other"]
"""What an answer says about its endpoint as a whole, whatever it means for its event.

``ok``: a 2xx. ``throttled``: 429, alive but asked for too much. ``unavailable``: 502, 503, 504, too
much or down. ``failed``: another 5xx or no answer, which may be this event's own fault. ``other``:
alive, and what is wrong is not the endpoint's load.
"""


class Partition(NamedTuple):
    """One partition of one source topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.number}"


class Record(NamedTuple):
    """What Kafka gives: bytes at a place in the log, not yet understood."""

    partition: Partition
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()

    @property
    def place(self) -> str:
        """``topic-partition@offset``, the way a record is named in logs and reasons."""
        return f"{self.partition}@{self.offset}"

    def header(self, name: str) -> str | None:
        """The last header of this name as text, as Kafka's clients take it; None when there is none."""
        for key, value in reversed(self.headers):
            if key == name:
                return value.decode("utf-8", "replace")
        return None


Batch = tuple[Partition, list[Record]]
"""Records of one partition, in the order of the log."""


Spot = tuple[int, int]
"""An offset and a part: which event of its record (``Event.index``), 0 for the only one or for all."""


class Committed(NamedTuple):
    """An offset and the metadata string beside it. ``offset`` is the next one to read."""

    offset: int
    metadata: str


class LaneKey(NamedTuple):
    """An ordering key: the record key (or, without one, the entity) of a partition, per tenant.

    A number stands for the events of one record without a key. The lane of an event is a plain tuple
    that equals it.
    """

    topic: str
    number: int
    key: bytes | str | int
    tenant: str


class Resend(NamedTuple):
    """A request to send a record again: to one endpoint, or to all that want it (None).

    ``origin`` is the record as it first came in. ``number`` selects one event of several
    (``Event.index``); 0 means all events of the record. ``round`` names the redrive of a held lane that
    the request belongs to, if any. ``again_id`` identifies the request.
    """

    origin: Record
    endpoint: str | None
    again_id: str
    number: int = 0
    round: str = ""


class RedriveMark(NamedTuple):
    """The end of a redrive of a held lane: it follows all events of the redrive, in the same lane.

    It is never sent. It lifts the hold on the lane if the redrive ``covers`` all parkings under the
    hold (``bridge/dead_letters/hold.py``).
    """

    endpoint: str
    lane: LaneKey
    again_id: str
    round: str
    covers: int


@dataclass(slots=True, eq=False)
class Event:
    """A decoded record: what happened, to which entity, and a payload that is decoded on demand.

    ``id`` is the producer's idempotency key, ``time`` an RFC 3339 instant, ``entity`` the
    aggregate's id in the form that receivers read. ``lane`` is the ordering key: two events of one
    lane reach an endpoint in the order of the log; ``None`` means that order does not matter.
    ``index`` is 0 for the only event of a record; the events of a bulk record are numbered from 1.

    An event that is sent again has a ``resend``; its ``record`` is the one that carries the request.
    """

    record: Record
    source: str
    id: str
    type: str
    time: str
    entity: str | None
    tenant: str | None
    lane: Hashable | None
    payload: Callable[[], Any]
    """Returns the event's data as JSON-like objects; leaves may be ``Decimal`` and ``bytes`` as well.

    The result is the same at each call and decoded only once, for all endpoints. Raises ``DecodeError``
    when the bytes do not follow their schema.
    """
    context: dict[str, str] = field(default_factory=dict)
    index: int = 0
    webhook_id: str = ""
    rendered: bytes | None = None
    resend: Resend | None = None

    @property
    def origin(self) -> Record:
        """The record that the event first came in."""
        return self.record if self.resend is None else self.resend.origin

    @property
    def topic(self) -> str:
        """The topic that the event first came in."""
        return self.origin.partition.topic


class ExactNumber(float):
    """A number no double can hold: it counts as the nearest one and is written as ``text``."""

    __slots__ = ("text",)

    def __new__(cls, text: str) -> ExactNumber:
        """The number that JSON writes as ``text``."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __str__(self) -> str:
        """The digits as they came."""
        return self.text

    @property
    def exact(self) -> Decimal:
        """The number itself, to compare and count with."""
        return Decimal(self.text)


class Url(NamedTuple):
    """A parsed http(s) URL: what is dialled and what is asked for."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """``scheme://host:port``: all of a URL that may be shown, since paths carry secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def authority(self) -> str:
        """The ``Host`` header: the port is left out where the scheme implies it (RFC 9110 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


class Request(NamedTuple):
    """One HTTP request, ready to be written: ``headers`` exclude Host and Content-Length."""

    method: str
    url: Url
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Response(NamedTuple):
    """What came back: header names lower-cased, body cut at the transport's limit."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header (``name`` in lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Verdict(StrEnum):
    """What an attempt means for its delivery."""

    DELIVERED = "delivered"
    AGAIN = "again"
    PARK = "park"
    OFF = "off"
    """The endpoint as a whole wants nothing more: it is turned off, the event waits and costs no attempt."""
