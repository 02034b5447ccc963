"""The words of the product as types: partition, record, event, request, response."""

from bridge.model.event import (
    NO_CONTEXT,
    WHOLE,
    Event,
    ExactNumber,
    FieldSet,
    IdKind,
    PartialPayload,
    RefusedField,
    TimeSource,
)
from bridge.model.exchange import AnswerKind, Request, Response, Url, Verdict
from bridge.model.record import Batch, Committed, Damage, Header, Partition, Record, Spot
from bridge.model.resend import LaneKey, RedriveMark, Resend, StoredRequest

__all__ = [
    "NO_CONTEXT",
    "WHOLE",
    "AnswerKind",
    "Batch",
    "Committed",
    "Damage",
    "Event",
    "ExactNumber",
    "FieldSet",
    "Header",
    "IdKind",
    "LaneKey",
    "PartialPayload",
    "Partition",
    "Record",
    "RedriveMark",
    "RefusedField",
    "Request",
    "Resend",
    "Response",
    "Spot",
    "StoredRequest",
    "TimeSource",
    "Url",
    "Verdict",
]
