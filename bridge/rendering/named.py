"""The bodies that have a name: what most receivers want without a template.

Part of step 7. Rule floor, pure. ``NAMED`` is the list; each is a ``MakeBody``.
"""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import quote

from bridge.errors import RenderError
from bridge.model import Event
from bridge.rendering import CONTENT_TYPE, Headers, MakeBody, about, standard_body, to_json
from bridge.rendering.old_hooks import fineract_hook

_JSON: Headers = ((b"content-type", CONTENT_TYPE),)
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}")
_CE_SAFE = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")


def standard(event: Event) -> tuple[Headers, bytes]:
    """Standard Webhooks: ``{type, timestamp, entity?, tenant?, data}``."""
    return _JSON, standard_body(event)


def thin(event: Event) -> tuple[Headers, bytes]:
    """The standard body with the entity's id in place of the data; the payload is not even decoded."""
    return _JSON, to_json({**about(event), "data": {} if event.entity is None else {"id": event.entity}})


def raw(event: Event) -> tuple[Headers, bytes]:
    """The payload alone: as JSON, or as it is where it is text or bytes."""
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
    whole: dict[str, Any] = dict(_attributes(event))
    payload = event.payload()
    if isinstance(payload, bytes):
        whole["data_base64"] = base64.b64encode(payload).decode("ascii")
    else:
        whole["data"] = payload
    return ((b"content-type", b"application/cloudevents+json"),), to_json(whole)


def cloudevents_binary(event: Event) -> tuple[Headers, bytes]:
    """CloudEvents 1.0, binary: attributes in ``ce-`` headers (HTTP binding 3.1.3), the payload as body."""
    headers, body = raw(event)
    attributes = _attributes(event)
    attributes.pop("datacontenttype", None)
    own = (
        (b"ce-" + name.encode("ascii"), quote(value, safe=_CE_SAFE, errors="replace").encode("ascii"))
        for name, value in attributes.items()
    )
    return (*headers, *own), body


def _attributes(event: Event) -> dict[str, str]:
    """The attributes; those of an event that came in as a CloudEvent are its own."""
    id_, source = event.webhook_id, f"/hookferry/{event.source}"
    extensions: dict[str, str] = {}
    origin = event.context.get("source", "")
    head = origin.replace("\\", "\\\\").replace(" ", "\\ ") + " "  # as the decoder joins source and id
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
    "fineract-hook": fineract_hook,
    "none": nothing,
}


def named(name: str) -> MakeBody:
    """The body of that name. Raises ``RenderError`` for none."""
    if name not in NAMED:
        raise RenderError(f"there is no body {name!r}")
    return NAMED[name]
