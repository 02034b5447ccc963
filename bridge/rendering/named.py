"""The named bodies, which most receivers accept without a template. ``NAMED`` lists them."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import quote

from bridge.errors import RenderError
from bridge.model import Event, FieldSet
from bridge.rendering import CONTENT_TYPE, Headers, MakeBody, envelope, old_hooks, standard_body, to_json

_JSON: Headers = ((b"content-type", CONTENT_TYPE),)
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}")
_CE_SAFE = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")


def standard(event: Event) -> tuple[Headers, bytes]:
    """Standard Webhooks: ``{type, timestamp, entity?, tenant?, data}``."""
    return _JSON, standard_body(event)


def thin(event: Event) -> tuple[Headers, bytes]:
    """The standard body with the entity's id instead of the data; the payload is not decoded."""
    return _JSON, to_json({**envelope(event), "data": {} if event.entity is None else {"id": event.entity}})


def raw(event: Event) -> tuple[Headers, bytes]:
    """The payload alone: as JSON, or unchanged if it is text or bytes."""
    payload = event.payload()
    if not isinstance(payload, str | bytes):
        return _JSON, to_json(payload)
    usual = "text/plain; charset=utf-8" if isinstance(payload, str) else "application/octet-stream"
    given = event.context.get("datacontenttype", usual)
    content_type = given if re.fullmatch(r"[\x21-\x7e][\x20-\x7e]{0,200}", given) else usual
    body = payload.encode("utf-8", "replace") if isinstance(payload, str) else payload
    return ((b"content-type", content_type.encode("ascii")),), body


def nothing(_event: Event) -> tuple[Headers, bytes]:
    """No body at all."""
    return (), b""


def cloudevents(event: Event) -> tuple[Headers, bytes]:
    """CloudEvents 1.0, structured: everything in one JSON object."""
    document: dict[str, Any] = dict(_attributes(event))
    payload = event.payload()
    if isinstance(payload, bytes):
        document["data_base64"] = base64.b64encode(payload).decode("ascii")
    else:
        document["data"] = payload
    return ((b"content-type", b"application/cloudevents+json"),), to_json(document)


def cloudevents_binary(event: Event) -> tuple[Headers, bytes]:
    """CloudEvents 1.0, binary: attributes in ``ce-`` headers (HTTP binding 3.1.3), the payload as body."""
    headers, body = raw(event)
    attributes = _attributes(event)
    attributes.pop("datacontenttype", None)
    own = (
        (b"ce-" + name.encode("ascii"), quote(_text(value), safe=_CE_SAFE, errors="replace").encode("ascii"))
        for name, value in attributes.items()
    )
    return (*headers, *own), body


def _text(value: Any) -> str:
    """Return an attribute as text for a header: true and 5 as in JSON (CloudEvents 1.0, type system)."""
    return value if isinstance(value, str) else to_json(value).decode()


def _attributes(event: Event) -> dict[str, Any]:
    """Return the attributes; an event that was received as a CloudEvent keeps its own, with their types."""
    id_, source = event.webhook_id, f"/hookferry/{event.source}"
    extensions: dict[str, Any] = {}
    origin = event.context.get("source", "")
    head = origin.replace("\\", "\\\\").replace(" ", "\\ ") + " "  # as in the decoder's joined id
    if origin and event.id.startswith(head):
        id_, source = event.id.removeprefix(head), origin
        extensions = {
            name: value
            for name, value in event.context.items()
            if _ATTRIBUTE.fullmatch(name) and name not in {"source", "subject"}
        }
    attributes = {"specversion": "1.0", "id": id_, "source": source, "type": event.type, "time": event.time}
    if event.entity is not None:
        attributes["subject"] = event.entity
    if event.tenant is not None:
        attributes["tenant"] = event.tenant
    return {**attributes, "datacontenttype": "application/json", **extensions}


NAMED: dict[str, MakeBody] = {
    "standard": standard,
    "thin": thin,
    "raw": raw,
    "cloudevents": cloudevents,
    "cloudevents-binary": cloudevents_binary,
    "fineract-hook": old_hooks.fineract_hook,
    "none": nothing,
}

READS: dict[str, FieldSet] = {
    "thin": frozenset(), "none": frozenset(), "fineract-hook": old_hooks.READS,
}  # fmt: skip
"""What these bodies read of the payload; the others send all of it."""


def named_body(name: str) -> MakeBody:
    """Return the body with this name. Raises ``RenderError`` for an unknown name."""
    if name not in NAMED:
        raise RenderError(f"there is no body {name!r}; use {', '.join(NAMED)}")
    return NAMED[name]
