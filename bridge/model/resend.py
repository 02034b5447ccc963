"""A request to send a record again, and the mark that ends the redrive of a held lane."""

from __future__ import annotations

from typing import NamedTuple

from bridge.model.record import Record


class LaneKey(NamedTuple):
    """An ordering key: the record key (or, without one, the entity) of a partition, per tenant.

    A number identifies the events of one record without a key. The lane of an event is a plain tuple
    that equals it.
    """

    topic: str
    number: int
    key: bytes | str | int
    tenant: str


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
