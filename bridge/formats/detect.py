"""Detect the format of a record, for a person who has a topic and no configuration yet.

Where the signs are weak it returns None: a wrong guess costs more than no guess.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from bridge.formats.avro.single_object import MARKER
from bridge.formats.debezium import expand_json, strip_schema_wrapper
from bridge.formats.field_paths import value_at
from bridge.formats.fineract import ENVELOPE_HEADERS
from bridge.formats.registry.framing import APICURIO_HEADERS, CONFLUENT_HEADER
from bridge.model import Record

_NAMES = {
    "id": ("eventId", "event_id", "messageId", "message_id", "idempotencyKey", "uuid", "id"),
    "type": ("eventType", "event_type", "type", "eventName", "event_name", "event", "kind", "name"),
    "entity": ("aggregateId", "aggregate_id", "entityId", "entity_id", "entity", "subject"),
    "time": ("occurredAt", "occurred_at", "createdAt", "created_at", "timestamp", "time"),
    "tenant": ("tenantId", "tenant_id", "tenant"),
    "data": ("data", "payload", "body"),
}
_INSIDE = ("meta", "metadata", "header", "headers", "event", "envelope")
_EXAMPLE_REGISTRY = {"url": "http://registry:8081"}
NO_ID = (
    "no id of the producer's was found: set id to the field that contains it,"
    " or repeated events are not recognized"
)


@dataclass(slots=True)
class Guess:
    """A format, the reason for it, and the first settings of a source.

    ``open`` lists what a person must still check.
    """

    format: str
    why: str
    settings: dict[str, Any] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)


def detect_format(record: Record) -> Guess | None:
    """Return the format of a record, or None if the record does not show it."""
    headers = {name: value or b"" for name, value in record.headers}
    value = record.value or b""
    return _by_header(headers) or _by_first_bytes(value) or _by_json(headers, value, record.partition.topic)


def explain_undetected(value: bytes) -> str:
    """Describe a value whose format was not detected, and what to do about it."""
    if not value:
        return "it has no value (a tombstone)"
    if value[:2] == MARKER:
        return "it is Avro in single-object encoding (c301), but not Fineract's envelope, so no format fits"
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return (
            f"it begins with {value[:8].hex()}, which no format begins with. Bare Avro has no marker:"
            " if this is Avro, give its schema with --schema-file. Protobuf without a prefix is not supported"
        )
    if _is_change_event(strip_schema_wrapper(document)):
        return (
            "it is a change event of Debezium (before, after, op): a table row, not an outbox event."
            " Configure the connector to use the outbox event router"
        )
    return "it is JSON, but not an object that contains an id and a type"


def _is_change_event(document: Any) -> bool:
    """Return True if Debezium wrote the value without the outbox event router."""
    return isinstance(document, dict) and {"before", "after", "op"} <= document.keys()


def _by_header(headers: Mapping[str, bytes]) -> Guess | None:
    media = next((raw for name, raw in headers.items() if name.lower() == "content-type"), b"").lower()
    if media.startswith(b"application/cloudevents"):
        return Guess("cloudevents", f"its header content-type is {media.decode(errors='replace')[:80]}")
    if "ce_specversion" in headers:
        return Guess("cloudevents", "it has a header ce_specversion (binary mode)")
    if CONFLUENT_HEADER in headers:
        why = f"it has a header {CONFLUENT_HEADER}, which Confluent's newer serializers write"
        return _of_registry("confluent", why)
    for name in APICURIO_HEADERS:
        if name in headers:
            return _of_registry("apicurio", f"it has a header {name}, which Apicurio's serializers write")
    return None


def _by_first_bytes(value: bytes) -> Guess | None:
    if value[:10] in ENVELOPE_HEADERS:
        why = f"it begins with {value[:10].hex()}, Avro's single-object header of Fineract's MessageV1"
        return Guess(
            "fineract",
            why,
            {"schemas": "schemas/fineract"},
            ["import the schemas of your Fineract from its jar or checkout: hookferry schemas import"],
        )
    if value[:1] == b"\1" and len(value) > 17:
        return _of_registry("confluent", "it begins with 01, the prefix of a schema GUID")
    if value[:1] != b"\0" or len(value) < 6:
        return None
    if value[1:5] == b"\0\0\0\0" and len(value) >= 9:
        number = int.from_bytes(value[1:9], "big")
        return _of_registry("apicurio", f"it begins with 00 and a number of 8 bytes, the global id {number}")
    number = int.from_bytes(value[1:5], "big")
    guess = _of_registry("confluent", f"it begins with 00 and a number of 4 bytes, the schema id {number}")
    guess.open.append("Apicurio 3 writes the same bytes: if that is your registry, set format: apicurio")
    return guess


def _of_registry(format: str, why: str) -> Guess:
    path = "" if format == "confluent" else "/apis/registry/v3"
    registry = {"url": _EXAMPLE_REGISTRY["url"] + path}
    return Guess(format, why, {"registry": registry, "id": "record:offset"}, [NO_ID])


def _by_json(headers: Mapping[str, bytes], value: bytes, topic: str) -> Guess | None:
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    if _is_change_event(strip_schema_wrapper(document)):
        return None
    tram = value_at(document, ("headers", "ID"))
    if isinstance(tram, str) and "payload" in document:
        return Guess("eventuate", "it is an object with payload and headers, and a header ID")
    return _debezium(headers, document, topic) or _plain(headers, document)


def _debezium(headers: Mapping[str, bytes], document: Any, topic: str) -> Guess | None:
    signs = []
    if "id" in headers and "__TypeId__" not in headers:
        signs.append("it has a header id")
    if topic.startswith("outbox.event."):
        signs.append("its topic begins with outbox.event.")
    inner = strip_schema_wrapper(document)
    if inner is not document:
        signs.append("JsonConverter wrapped it as schema and payload")
    if isinstance(inner, str) and not isinstance(expand_json(inner), str):
        signs.append("its payload was encoded twice")
    if not signs or ("id" not in headers and len(signs) < 2):
        return None
    guess = Guess("debezium", ", and ".join(signs))
    inner = expand_json(inner)
    if "id" not in headers:
        guess.open.append("the header id is missing: without it the event has no id")
    if isinstance(inner, dict) and "payload" in inner and "eventType" not in headers:
        kind = _first(inner, "type")
        guess.settings |= {"envelope": True} | ({"type": kind} if kind and kind != "eventType" else {})
    elif "eventType" not in headers:
        kind = next((name for name in _NAMES["type"] if name in headers), None)
        guess.settings["type"] = f"header:{kind}" if kind else "record:topic"
        if kind is None:
            guess.open.append(
                "no event type was found; configure Debezium to send it:"
                " transforms.outbox.table.fields.additional.placement=type:header:eventType"
            )
    return guess


def _plain(headers: Mapping[str, bytes], document: Any) -> Guess | None:
    if not isinstance(document, dict):
        return None
    paths = find_field_paths(document, headers)
    if "__TypeId__" in headers:
        settings = {"id": paths.get("id", "record:offset")}
        return Guess(
            "modulith",
            "it is JSON with a header __TypeId__, which Spring writes",
            settings,
            [] if "id" in paths else [NO_ID],
        )
    if "type" not in paths:
        return None
    open_ = [] if "id" in paths else [NO_ID]
    if "specversion" in document:
        open_.append(
            "it looks like a CloudEvent, but lacks the header content-type: application/cloudevents+json"
        )
    return Guess("json", "it is a JSON object", {"id": "record:offset", **paths}, open_)


def find_field_paths(document: Any, headers: Container[str]) -> dict[str, str]:
    """Return the field paths of the event's parts, found by usual names in a document and its headers."""
    paths = {setting: path for setting in _NAMES if (path := _first(document, setting))}
    for setting in ("id", "type"):
        if setting not in paths:
            name = next((name for name in _NAMES[setting] if name in headers), None)
            paths |= {setting: f"header:{name}"} if name else {}
    return paths


def _first(document: Any, setting: str) -> str | None:
    wanted: type | tuple[type, ...] = (dict, list) if setting == "data" else (str, int)
    if setting == "type":
        wanted = str
    for outer in ("", *_INSIDE):
        for name in _NAMES[setting]:
            path = (outer, name) if outer else (name,)
            value = value_at(document, path)
            if isinstance(value, wanted) and not isinstance(value, bool) and value != "":
                return ".".join(path)
    return None
