"""Records that are sent again: the topic ``<group>.again`` carries the original record and its origin.

``packed`` writes the layout and ``AgainDecoder`` reads it: key, value and headers are those of the
original, and ``hookferry-*`` headers name its offset and the endpoint. The original's own decoder then
decodes it. Of an event that is sent again as it was, the value is the body of the earlier request instead,
and a header has the rest of that request. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import NoReturn

from bridge.core import ordering_key
from bridge.errors import DecodeError
from bridge.formats import Decoder
from bridge.formats.stored_request import read_stored, write_stored
from bridge.model import Event, Header, Partition, Record, RedriveMark, Resend, StoredRequest

PREFIX = "hookferry-"
AGAIN_ID = "hookferry-again-id"
ENDPOINT = "hookferry-endpoint"
EVENT_INDEX = "hookferry-event-index"
ROUND = "hookferry-round"
WEBHOOK_ID = "hookferry-webhook-id"
COVERS = "hookferry-covers"
LANE = "hookferry-lane-key"
STORED = "hookferry-stored"
REPEATS = "hookferry-repeats"
NULL_VALUE = "hookferry-value-is-null"
"""The original has neither key nor value: Kafka's clients write a value then, which this header cancels."""
MARK_VALUE = b"release"
"""A mark needs a value: without a value it would be a tombstone."""

_WEBHOOK_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
"""What any version writes: it is signed and sent as a header, so nothing else is taken over."""
_REPEATS = re.compile(r"[0-9:]{1,40}")
_FOREIGN = "only `hookferry parked redrive` and `hookferry resend` should write to this topic"


class ResentDecodeError(DecodeError):
    """A record that is sent again cannot be decoded: park the original, for the endpoint of ``resend``."""

    def __init__(self, resend: Resend, place: str, cause: str, remedy: str) -> None:
        super().__init__(place, cause, remedy)
        self.resend = resend


class AgainDecoder:
    """Decodes the events of the original record, in the original's lane and with its webhook ids.

    Their ``record`` is the one of this topic, because its offset is the one to settle.
    """

    def __init__(self, find: Callable[[str], Decoder | None], endpoints: Collection[str]) -> None:
        """``find`` returns the decoder of a source topic.

        ``endpoints`` are all configured names; the caller may change the collection.
        """
        self._find = find
        self._endpoints = endpoints

    def decode(self, record: Record) -> tuple[Event | RedriveMark, ...]:
        """Return the events of the original record, or a mark. Raises ``DecodeError``."""
        if any(name == COVERS for name, _ in record.headers):
            mark = unpacked_mark(record)
            return (mark,) if mark.endpoint in self._endpoints else ()  # no endpoint, no hold
        resend = unpacked(record)
        if resend.stored is not None:
            return (self._as_it_was(resend, resend.stored, record),)
        events = self._original_events(resend)
        for event in events:
            event.record, event.resend = record, resend
            if resend.webhook_id and len(events) == 1:  # the id it was sent with, maybe by an earlier version
                event.webhook_id = resend.webhook_id
        return events

    def _as_it_was(self, resend: Resend, stored: StoredRequest, record: Record) -> Event:
        """Return the event of a stored request: it is in the lane of the original, and nothing is decoded."""
        self._check_endpoint(resend)
        place = resend.origin.place

        def payload() -> NoReturn:
            raise DecodeError(place, "it is sent again as it was, so its data is not decoded", "none needed")

        return Event(
            record=record,
            source="",
            id=stored.id,
            type=stored.type,
            time=stored.time,
            entity=stored.entity,
            tenant=stored.tenant,
            lane=None if stored.lane is None else tuple(stored.lane),
            payload=payload,
            index=resend.number,
            webhook_id=resend.webhook_id,
            resend=resend,
        )

    def _check_endpoint(self, resend: Resend) -> None:
        """Raise ``ResentDecodeError`` if the endpoint is not configured."""
        endpoint = resend.endpoint
        if endpoint is not None and endpoint not in self._endpoints:
            raise ResentDecodeError(
                resend,
                resend.origin.place,
                f"there is no endpoint {endpoint!r} any more",
                "configure the endpoint again, or discard this event",
            )

    def _original_events(self, resend: Resend) -> tuple[Event, ...]:
        origin, number = resend.origin, resend.number
        decoder = self._find(origin.partition.topic)
        if decoder is None:
            raise ResentDecodeError(
                resend,
                origin.place,
                f"no source reads topic {origin.partition.topic!r} any more",
                "name the topic in a source again, or discard this event",
            )
        self._check_endpoint(resend)
        try:
            events = decoder.decode(origin)
        except DecodeError as exc:
            raise ResentDecodeError(resend, exc.place, exc.cause, exc.remedy) from exc
        if not number:
            return events
        events = tuple(event for event in events if event.index == number)
        if not events:
            raise ResentDecodeError(
                resend,
                origin.place,
                f"the record is not split into events any more, or has none with number {number}",
                "set the source to split it as when it was parked (bulk: split), or discard this event",
            )
        return events


def packed(resend: Resend) -> tuple[Header, ...]:
    """Return the headers of the record that carries ``resend``; its key and value are the original's."""
    origin = resend.origin
    facts = {
        "hookferry-topic": origin.partition.topic,
        "hookferry-partition": str(origin.partition.number),
        "hookferry-offset": str(origin.offset),
        "hookferry-timestamp-ms": str(origin.timestamp_ms),
        AGAIN_ID: resend.again_id,
        **({ENDPOINT: resend.endpoint} if resend.endpoint is not None else {}),
        **({EVENT_INDEX: str(resend.number)} if resend.number else {}),
        **({ROUND: resend.round} if resend.round else {}),
        **({NULL_VALUE: "yes"} if origin.key is None and origin.value is None else {}),
        **({WEBHOOK_ID: resend.webhook_id} if resend.webhook_id else {}),
        **({STORED: write_stored(resend.stored)} if resend.stored is not None else {}),
        **({REPEATS: resend.repeats} if resend.repeats else {}),
    }
    own = tuple((name, value) for name, value in origin.headers if not name.startswith(PREFIX))
    return (*own, *((name, value.encode()) for name, value in facts.items()))


def unpacked(record: Record) -> Resend:
    """Return what a record carries. Raises ``DecodeError`` for one that ``packed`` did not make."""
    try:
        facts = {name: (value or b"").decode() for name, value in record.headers if name.startswith(PREFIX)}
        origin = original(record, facts)
        number, round = int(facts.get(EVENT_INDEX, "0")), facts.get(ROUND, "")
        webhook_id = known if _WEBHOOK_ID.fullmatch(known := facts.get(WEBHOOK_ID, "")) else ""
        stored = read_stored(facts[STORED]) if STORED in facts else None
        if stored is not None and not (webhook_id and facts.get(ENDPOINT)):
            raise ValueError("a stored request needs a webhook-id and an endpoint")
        repeats = known if _REPEATS.fullmatch(known := facts.get(REPEATS, "")) else ""
        return Resend(
            origin, facts.get(ENDPOINT), facts[AGAIN_ID], number, round, webhook_id, stored, repeats
        )
    except KeyError as exc:
        raise DecodeError(record.place, f"the header {exc.args[0]} is missing", _FOREIGN) from exc
    except ValueError as exc:
        raise DecodeError(record.place, f"a hookferry-* header is damaged ({exc})", _FOREIGN) from exc


def packed_mark(mark: RedriveMark) -> tuple[Header, ...]:
    """Return the headers of the record that is ``mark``; its value is ``MARK_VALUE``."""
    facts = {
        AGAIN_ID: mark.again_id,
        ENDPOINT: mark.endpoint,
        LANE: ordering_key.encode_lane(mark.lane),
        ROUND: mark.round,
        COVERS: str(mark.covers),
    }
    return tuple((name, value.encode()) for name, value in facts.items())


def unpacked_mark(record: Record) -> RedriveMark:
    """Return the mark that a record is. Raises ``DecodeError`` for one that ``packed_mark`` did not make."""
    try:
        facts = {name: (value or b"").decode() for name, value in record.headers}
        lane = ordering_key.decode_lane(facts[LANE])
        return RedriveMark(facts[ENDPOINT], lane, facts[AGAIN_ID], facts[ROUND], int(facts[COVERS]))
    except KeyError as exc:
        raise DecodeError(record.place, f"the header {exc.args[0]} is missing", _FOREIGN) from exc
    except ValueError as exc:
        raise DecodeError(record.place, f"a hookferry-* header is damaged ({exc})", _FOREIGN) from exc


def original(record: Record, facts: Mapping[str, str]) -> Record:
    """Return the record as it was in its own topic. Raises ``KeyError`` and ``ValueError``."""
    return Record(
        Partition(facts["hookferry-topic"], int(facts["hookferry-partition"])),
        int(facts["hookferry-offset"]),
        int(facts["hookferry-timestamp-ms"]),
        record.key,
        None if NULL_VALUE in facts else record.value,
        tuple((name, value) for name, value in record.headers if not name.startswith(PREFIX)),
    )
