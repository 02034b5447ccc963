"""Records sent again: the original record travels inside another one, and is decoded as it was at first.

A format of step 2, around the others. ``packed`` and ``AgainDecoder`` are the two sides of one layout:
key and value are the original's, so are its headers, and ``hookferry-*`` headers tell where it stood and
whom it is for. Rule floor, pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from bridge.core import ordering_key
from bridge.core.ordering_key import LaneKey
from bridge.errors import DecodeError
from bridge.formats import Decoder
from bridge.model import Event, Header, Partition, Record

PREFIX = "hookferry-"
AGAIN_ID = "hookferry-again-id"
ENDPOINT = "hookferry-endpoint"
EVENT_INDEX = "hookferry-event-index"
ROUND = "hookferry-round"
COVERS = "hookferry-covers"
LANE = "hookferry-lane-key"
MARK_VALUE = b"release"
"""A mark needs a value: without one it would be a tombstone."""

_FOREIGN = "only `hookferry parked redrive` should write to this topic"


class Resent(NamedTuple):
    """A record that is sent again: as it first stood in its topic, for one endpoint or for all.

    ``number`` chooses one event of several (``Event.index``); 0 is whatever the record holds. ``round`` is
    that of the hold on its lane, where there is one.
    """

    origin: Record
    endpoint: str | None
    again_id: str
    number: int = 0
    round: str = ""


class Mark(NamedTuple):
    """What ends the redrive of a held lane: it stands behind all events of it, in the same lane."""

    endpoint: str
    lane: LaneKey
    again_id: str
    round: str
    covers: int


class ResentDecodeError(DecodeError):
    """A record sent again that cannot be decoded; what must be parked is the original, for its endpoint."""

    def __init__(self, resent: Resent, place: str, cause: str, remedy: str) -> None:
        super().__init__(place, cause, remedy)
        self.resent = resent


class AgainDecoder:
    """Gives the events of the original record, in the original's lane and under its webhook-ids.

    Their ``record`` is the one of this topic, because that is the offset which settles; ``claim_id``
    tells one redrive from another of the same event, and one round from another: what came with an
    earlier round may have been parked once more since, and must not stand for what comes with this one.
    """

    def __init__(self, decoders: Mapping[str, Decoder], endpoints: Collection[str]) -> None:
        """``decoders`` are those of the source topics, ``endpoints`` all that are configured."""
        self._decoders = decoders
        self._endpoints = frozenset(endpoints)

    def decode(self, record: Record) -> tuple[Event, ...]:
        """The events of the original record, or a mark as one. Raises ``DecodeError``."""
        if any(name == COVERS for name, _ in record.headers):
            return self._mark(record)
        resent = unpacked(record)
        origin, endpoint, again_id, number, round = resent
        decoder = self._decoders.get(origin.partition.topic)
        if decoder is None:
            raise ResentDecodeError(
                resent,
                origin.place,
                f"no source reads topic {origin.partition.topic!r} any more",
                "name the topic in a source again, or discard this event",
            )
        if endpoint is not None and endpoint not in self._endpoints:
            raise ResentDecodeError(
                resent,
                origin.place,
                f"there is no endpoint {endpoint!r} any more",
                "configure the endpoint again, or discard this event",
            )
        try:
            events = decoder.decode(origin)
        except DecodeError as exc:
            raise ResentDecodeError(resent, exc.place, exc.cause, exc.remedy) from exc
        if number:
            events = tuple(event for event in events if event.index == number)
            if not events:
                raise ResentDecodeError(
                    resent,
                    origin.place,
                    f"the record is not split into events any more, or has none with number {number}",
                    "set the source to split it as when it was parked (bulk: split), or discard this event",
                )
        for event in events:
            event.record, event.origin = record, origin
            event.only, event.round = endpoint, round
            event.claim_id = again_id + round
        return events

    def _mark(self, record: Record) -> tuple[Event, ...]:
        """A mark as an event of its lane; none for an endpoint that is gone, which holds nothing."""
        mark = unpacked_mark(record)
        if mark.endpoint not in self._endpoints:
            return ()
        return (
            Event(
                record=record,
                source="",
                id=mark.again_id,
                type="",
                time="",
                entity=None,
                tenant=None,
                lane=mark.lane,
                decode_payload=dict,
                only=mark.endpoint,
                claim_id=mark.again_id,
                round=mark.round,
                covers=mark.covers,
            ),
        )


def packed(resent: Resent) -> tuple[Header, ...]:
    """The headers of the record that carries ``resent``; its key and value are the original's."""
    origin = resent.origin
    facts = {
        "hookferry-topic": origin.partition.topic,
        "hookferry-partition": str(origin.partition.number),
        "hookferry-offset": str(origin.offset),
        "hookferry-timestamp-ms": str(origin.timestamp_ms),
        AGAIN_ID: resent.again_id,
        **({ENDPOINT: resent.endpoint} if resent.endpoint is not None else {}),
        **({EVENT_INDEX: str(resent.number)} if resent.number else {}),
        **({ROUND: resent.round} if resent.round else {}),
    }
    own = tuple((name, value) for name, value in origin.headers if not name.startswith(PREFIX))
    return (*own, *((name, value.encode()) for name, value in facts.items()))


def unpacked(record: Record) -> Resent:
    """What a record carries. Raises ``DecodeError`` for one that ``packed`` did not make."""
    try:
        facts = {name: value.decode() for name, value in record.headers if name.startswith(PREFIX)}
        origin = original(record, facts)
        number, round = int(facts.get(EVENT_INDEX, "0")), facts.get(ROUND, "")
        return Resent(origin, facts.get(ENDPOINT), facts[AGAIN_ID], number, round)
    except KeyError as exc:
        raise DecodeError(record.place, f"the header {exc.args[0]} is missing", _FOREIGN) from exc
    except ValueError as exc:
        raise DecodeError(record.place, f"a hookferry-* header is damaged ({exc})", _FOREIGN) from exc


def packed_mark(mark: Mark) -> tuple[Header, ...]:
    """The headers of the record that is ``mark``; its value is ``MARK_VALUE``."""
    facts = {
        AGAIN_ID: mark.again_id,
        ENDPOINT: mark.endpoint,
        LANE: ordering_key.encode_lane(mark.lane),
        ROUND: mark.round,
        COVERS: str(mark.covers),
    }
    return tuple((name, value.encode()) for name, value in facts.items())


def unpacked_mark(record: Record) -> Mark:
    """The mark that a record is. Raises ``DecodeError`` for one that ``packed_mark`` did not make."""
    try:
        facts = {name: value.decode() for name, value in record.headers}
        lane = ordering_key.decode_lane(facts[LANE])
        return Mark(facts[ENDPOINT], lane, facts[AGAIN_ID], facts[ROUND], int(facts[COVERS]))
    except KeyError as exc:
        raise DecodeError(record.place, f"the header {exc.args[0]} is missing", _FOREIGN) from exc
    except ValueError as exc:
        raise DecodeError(record.place, f"a hookferry-* header is damaged ({exc})", _FOREIGN) from exc


def original(record: Record, facts: Mapping[str, str]) -> Record:
    """The record as it first stood in its topic. Raises ``KeyError`` and ``ValueError``."""
    return Record(
        Partition(facts["hookferry-topic"], int(facts["hookferry-partition"])),
        int(facts["hookferry-offset"]),
        int(facts["hookferry-timestamp-ms"]),
        record.key,
        record.value,
        tuple((name, value) for name, value in record.headers if not name.startswith(PREFIX)),
    )
