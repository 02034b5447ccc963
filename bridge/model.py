"""The words of the product as types: partition, record, event, request, response.

``Partition``, ``Record`` and the wire types are named tuples: one of each is created per event, and a
tuple costs a third of a frozen dataclass.
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
"""What an answer means for its endpoint as a whole, whatever it means for its event.

``ok``: a 2xx. ``throttled``: 429, the endpoint works but receives too many requests. ``unavailable``:
502, 503 or 504, overloaded or down. ``failed``: another 5xx or no answer, which this event alone may
have caused. ``other``: the endpoint works, and the cause is not its load.
"""


class Partition(NamedTuple):
    """One partition of one source topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.number}"


class Record(NamedTuple):
    """A record as read from Kafka, not decoded."""

    partition: Partition
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()

    @property
    def place(self) -> str:
        """Return ``topic-partition@offset``, the name of a record in logs and reasons."""
        return f"{self.partition}@{self.offset}"

    def header(self, name: str) -> str | None:
        """Return the last header of this name as text, as Kafka's clients do; None if there is none."""
        for key, value in reversed(self.headers):
            if key == name:
                return value.decode("utf-8", "replace")
        return None


Batch = tuple[Partition, list[Record]]
"""Records of one partition, in log order."""


Spot = tuple[int, int]
"""An offset and a part: which event of its record (``Event.index``), 0 for the only one or for all."""


class Committed(NamedTuple):
    """A committed offset (the next one to read) and its metadata string."""

    offset: int
    metadata: str


@dataclass(slots=True, eq=False)
class Event:
    """A decoded record: who it is about, what happened, and a payload that is decoded on demand.

    ``id`` is the producer's idempotency key, ``time`` an RFC 3339 instant, ``entity`` the
    aggregate's id as a receiver would read it. ``lane`` is the ordering key: two events with the
    same lane reach an endpoint in the order of the log; ``None`` asks for no order at all.
    ``index`` is 0 for the only event of a record; a record of several (bulk) numbers them from 1.

    An event that is sent again has the ``record`` that asked for it, and ``origin`` is the one it
    first came in; ``only`` names the endpoint it is for (None: whoever wants it), and ``claim_id``
    stands for ``id`` where duplicates are told. ``round`` names the redrive of a held lane that it is
    part of; one that ``covers`` a number of parkings is no event but the mark that ends such a
    redrive in its lane (``bridge/dead_letters/hold.py``).
    """

    record: Record
    source: str
    id: str
    type: str
    time: str
    entity: str | None
    tenant: str | None
    lane: Hashable | None
    decode_payload: Callable[[], Any]
    context: dict[str, Any] = field(default_factory=dict)
    index: int = 0
    webhook_id: str = ""
    rendered: bytes | None = None
    origin: Record | None = None
    only: str | None = None
    claim_id: str = ""
    round: str = ""
    covers: int | None = None
    _payload: Any = None
    _decoded: bool = False

    @property
    def topic(self) -> str:
        """The topic it first came in."""
        return (self.origin or self.record).partition.topic

    def payload(self) -> Any:
        """The event's data as JSON-like objects, decoded once for all endpoints.

        Leaves may also be ``Decimal`` and ``bytes`` (see ``bridge.rendering.to_json``).
        Raises ``DecodeError`` when the bytes do not follow their schema.
        """
        if not self._decoded:
            self._payload = self.decode_payload()
            self._decoded = True
        return self._payload


class ExactNumber(float):
    """A number with more digits than a double has: counts as the nearest one, and prints ``text``."""

    __slots__ = ("text",)

    def __new__(cls, text: str) -> ExactNumber:
        """Return the number that JSON writes as ``text``."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __str__(self) -> str:
        """Return the digits as they were received."""
        return self.text

    @property
    def exact(self) -> Decimal:
        """Return the exact number, for comparison and arithmetic."""
        return Decimal(self.text)


class Url(NamedTuple):
    """A parsed http(s) URL: the host to connect to, and the target to request."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """Return ``scheme://host:port``. Nothing else of a URL may be shown: paths contain secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def authority(self) -> str:
        """Return the ``Host`` header, without the scheme's default port (RFC 9110 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


class Request(NamedTuple):
    """One HTTP request, ready to be written. ``headers`` exclude Host and Content-Length."""

    method: str
    url: Url
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Response(NamedTuple):
    """One HTTP response: header names in lower case, the body truncated at the transport's limit."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header (``name`` in lower case), or None."""
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
    """The endpoint accepts nothing more: it is turned off, and the event waits and uses no attempt."""
