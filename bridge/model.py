"""The words of the product as types: partition, record, event, request, response.

``Partition``, ``Record`` and the wire types are named tuples: one of each is created per event, and a
tuple costs a third of a frozen dataclass.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

Header = tuple[str, bytes | None]
"""A Kafka record header: name and raw value, which may be null. A record may have a name several times."""
_HEADER_BYTES = 170
"""What a header uses besides its bytes: two objects and a tuple."""

AnswerKind = Literal["ok", "throttled", "unavailable", "failed", "other"]
"""What an answer means for its endpoint as a whole, whatever it means for its event.

``ok``: a 2xx. ``throttled``: 429, the endpoint works but receives too many requests. ``unavailable``:
502, 503 or 504, overloaded or down. ``failed``: another 5xx or no answer, which this event alone may
have caused. ``other``: the endpoint works, and the cause is not its load.
"""


IdKind = Literal["text", "number", "boolean"]
"""The JSON type of an event's id. The ids 1 and "1" have the same text, and are two ids."""

TimeSource = Literal["event", "record", "clock"]
"""Where an event's time comes from: the event, the timestamp of its record, or the bridge's clock."""


class Partition(NamedTuple):
    """One partition of one source topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.number}"


class Damage(NamedTuple):
    """Why a record cannot be read from the log, and the offset after the last one that it covers.

    ``raw_of`` is what the record's value contains: "" for its own value, "record" for the bytes of
    the record, "batch" for those of the whole batch.
    """

    cause: str
    remedy: str
    end: int
    raw_of: Literal["", "record", "batch"] = ""


class Record(NamedTuple):
    """A record as read from Kafka, not decoded. With ``damage`` it must not be decoded."""

    partition: Partition
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    damage: Damage | None = None

    @property
    def end(self) -> int:
        """Return the offset after it: plus one, except for damaged records."""
        return self.offset + 1 if self.damage is None else self.damage.end

    @property
    def place(self) -> str:
        """Return ``topic-partition@offset``, the name of a record in logs and reasons."""
        return f"{self.partition}@{self.offset}"

    @property
    def size_bytes(self) -> int:
        """Return what key, value and headers use in memory."""
        size = len(self.value or b"") + len(self.key or b"")
        for name, value in self.headers:
            size += _HEADER_BYTES + len(name) + len(value or b"")
        return size

    def last_header(self, name: str) -> bytes | None:
        """Return the last header of this name, as ``lastHeader`` of Kafka's clients does.

        None if there is none, or if the last one is null.
        """
        for key, value in reversed(self.headers):
            if key == name:
                return value
        return None

    def header_texts(self) -> dict[str, str | None]:
        """Return the last header of each name as text; null is None."""
        return {name: _header_text(value) for name, value in self.headers}

    def all_header_texts(self) -> dict[str, list[str | None]]:
        """Return all headers of each name as text, in the order of the record."""
        texts: dict[str, list[str | None]] = {}
        for name, value in self.headers:
            texts.setdefault(name, []).append(_header_text(value))
        return texts


def _header_text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


Batch = tuple[Partition, list[Record]]
"""Records of one partition, in log order."""


Spot = tuple[int, int]
"""An offset and a part: which event of its record (``Event.index``), 0 for the only one or for all."""


class Committed(NamedTuple):
    """A committed offset (the next one to read) and its metadata string."""

    offset: int
    metadata: str


class LaneKey(NamedTuple):
    """An ordering key: the record key (or, without one, the entity) of a partition, per tenant.

    A number identifies the events of one record without a key. The lane of an event is a plain tuple
    that equals it.
    """

    topic: str
    number: int
    key: bytes | str | int
    tenant: str


FieldSet = frozenset[tuple[str, ...]]
"""Paths into a payload. A path includes all below it; the empty path is the whole payload."""

WHOLE: FieldSet = frozenset({()})


class StoredRequest(NamedTuple):
    """The request of an earlier attempt, which is sent again as it was, and the event that it was made of.

    ``headers`` are those that were rendered: neither secrets nor a signature. ``url`` is as the history has
    it, with masks for what the configuration contains. The body is the value of ``Resend.origin``.
    """

    method: str
    url: str
    headers: tuple[tuple[bytes, bytes], ...]
    id: str
    type: str
    time: str
    entity: str | None
    tenant: str | None
    lane: LaneKey | None


class Resend(NamedTuple):
    """A request to send a record again: to one endpoint, or to all that want it (None).

    ``origin`` is the record as it first came in. ``number`` selects one event of several
    (``Event.index``); 0 means all events of the record. ``round`` names the redrive of a held lane that
    the request belongs to, if any. ``again_id`` identifies the request. ``webhook_id`` is the one that the
    event is sent with; empty if it was not recorded. With a ``stored`` request, nothing is decoded or
    rendered, and the value of ``origin`` is the body. ``repeats`` is the id of the attempt that is repeated.
    """

    origin: Record
    endpoint: str | None
    again_id: str
    number: int = 0
    round: str = ""
    webhook_id: str = ""
    stored: StoredRequest | None = None
    repeats: str = ""


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


class PartialPayload:
    """The payload of an event that can be decoded in part (``Event.payload``).

    It has no metaclass: ``isinstance`` is called for each event.
    """

    __slots__ = ()

    @abstractmethod
    def __call__(self) -> Any:
        """Return all of the data. Raises ``DecodeError``."""

    @abstractmethod
    def part(self, paths: FieldSet) -> Any:
        """Return the data with at least what is at these paths. Raises ``DecodeError``."""


class RefusedField(NamedTuple):
    """A part of an event that could not be used, and what is used instead.

    ``setting`` is ``time``, ``entity`` or ``timestamp`` (of the record). ``value`` is an excerpt.
    """

    setting: str
    value: str
    cause: str
    instead: str


NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})
"""The context of events whose format has none."""


@dataclass(slots=True, eq=False)
class Event:
    """A decoded record: what happened, to which entity, and a payload that is decoded on demand.

    ``id`` is the producer's idempotency key, ``time`` an RFC 3339 instant, ``entity`` the
    aggregate's id in the form that receivers read. ``lane`` is the ordering key: two events of one
    lane reach an endpoint in the order of the log; ``None`` means that order does not matter.
    ``index`` is 0 for the only event of a record; the events of a bulk record are numbered from 1.
    ``digest`` is a checksum of what a receiver gets, type and data; 0 if it is unknown.

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

    The result is equal at each call. It is decoded only once, for all endpoints, until ``forget_decoded``.
    Raises ``DecodeError`` when the bytes do not follow their schema.
    """
    context: Mapping[str, Any] = field(default_factory=lambda: NO_CONTEXT)
    index: int = 0
    webhook_id: str = ""
    rendered: bytes | None = None
    resend: Resend | None = None
    id_kind: IdKind = "text"
    time_source: TimeSource = "event"
    digest: int = 0
    refused: tuple[RefusedField, ...] = ()
    decode_again: Callable[[], Any] | None = None
    """Decodes the data from the record at each call and keeps nothing; None if ``payload`` keeps nothing."""
    is_fresh: bool = True
    """False once the event waits: from then on it keeps its record, and neither data nor body."""
    first: Event | None = None
    """The first event of the same record, if there are several: it counts for all of them."""
    holders: int = 0
    """At how many endpoints the event waits, or all events of its record together."""

    def data(self, paths: FieldSet) -> Any:
        """Return the payload with at least what is at these paths; the format may leave out the rest.

        Raises ``DecodeError``, also for bytes outside of these paths that do not follow their schema.
        """
        payload = self.payload
        return payload.part(paths) if isinstance(payload, PartialPayload) else payload()

    def forget_decoded(self) -> None:
        """Keep only the bytes of the record; data and body are made again when they are needed."""
        self.is_fresh = False
        self.rendered = None
        if self.decode_again is not None:
            self.payload = self.decode_again

    @property
    def origin(self) -> Record:
        """The record that the event first came in."""
        return self.record if self.resend is None else self.resend.origin

    @property
    def topic(self) -> str:
        """The topic that the event first came in."""
        return self.origin.partition.topic


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
