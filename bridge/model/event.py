"""An event: a decoded record, whose data is decoded when it is needed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from bridge.model.record import Record
from bridge.model.resend import Resend

IdKind = Literal["text", "number", "boolean"]
"""The JSON type of an event's id. The ids 1 and "1" have the same text, and are two ids."""

TimeSource = Literal["event", "record", "clock"]
"""Where an event's time comes from: the event, the timestamp of its record, or the bridge's clock."""

FieldSet = frozenset[tuple[str, ...]]
"""Paths into a payload. A path includes all below it; the empty path is the whole payload."""

WHOLE: FieldSet = frozenset({()})


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
