"""The lines about one inspected record: its format, its events, and a source to start with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from bridge.cli.inspect_decoding import Judged, decoded
from bridge.cli.output import at_most, cut
from bridge.errors import HookferryError, SchemaNeeded
from bridge.formats.detect import Guess, explain_undetected
from bridge.formats.schema_cache import SchemaKey
from bridge.settings.models.registry import RegistrySettings

if TYPE_CHECKING:
    from bridge.model import Event, Record

_LONGEST = 4000


async def report(record: Record, guess: Guess | None, *, ask_registry: bool) -> Iterator[str]:
    """Return the lines about one record."""
    head = f"{record.place}: {describe(record)}"
    if guess is None:
        return iter([head, f"format:  not recognized: {explain_undetected(record.value or b'')}"])
    lines = [head, f"format:  {guess.format}, because {guess.why}"]
    try:
        events = await decoded(record, guess, ask_registry=ask_registry)
    except SchemaNeeded as needed:
        key = needed.key if isinstance(needed.key, SchemaKey) else "?"
        lines.append(f"event:   its schema has the {key}; give --registry URL to see it decoded")
    except HookferryError as exc:
        lines.append(f"event:   cannot be decoded: {exc}")
    else:
        lines += [line for event in events for line in _event(event)]
    return iter([*lines, "", "sources:", *_snippet(record, guess)])


def describe(record: Record) -> str:
    """Return size, key and headers of a record for people."""
    headers = ", ".join(name for name, _ in record.headers) or "none"
    return f"{len(record.value or b'')} bytes, key {_key(record.key)}, headers: {headers}"


def judgement(judged: Sequence[Judged]) -> Iterator[str]:
    """Yield how many records the source decodes, those that it does not, and ids that repeat."""
    good = sum(not one.cause for one in judged)
    if len(judged) > 1 or good < len(judged):
        yield f"judged:  {good} of {len(judged)} records are decoded with the source below"
    for one in judged:
        if one.cause:
            yield f"  {one.record.place}: {one.cause}"
    ids = Counter((event.tenant, event.id) for one in judged for event in one.events)
    for (_, id_), number in ids.most_common():
        if number > 1:
            yield (
                f"  the id {id_} comes {number} times: the bridge drops repetitions. If these are different"
                " events, name another place as id"
            )


def record_document(judged: Judged, format: str) -> dict[str, Any]:
    """Return what was found in a record as JSON values."""
    record = judged.record
    return {
        "place": record.place,
        "size_bytes": len(record.value or b""),
        "key": None if record.key is None else _key(record.key),
        "headers": [name for name, _ in record.headers],
        "format": format,
        "decoded": not judged.cause,
        "cause": judged.cause or None,
        "events": [_event_document(event) for event in judged.events],
    }


def _event_document(event: Event) -> dict[str, Any]:
    from bridge.rendering import to_json

    return {
        "id": event.id,
        "type": event.type,
        "entity": event.entity,
        "tenant": event.tenant,
        "time": event.time,
        "time_source": event.time_source,
        "webhook_id": event.webhook_id,
        "data": json.loads(to_json(event.payload())),
    }


def _event(event: Event) -> Iterator[str]:
    from bridge.rendering import to_json

    for name in ("id", "type", "entity", "tenant"):
        text = getattr(event, name)
        if text is not None:
            yield f"{name + ':':<8} {text}"
    sources = {"event": "the event", "record": "the record's timestamp", "clock": "the clock of this machine"}
    yield f"time:    {event.time} (from {sources[event.time_source]})"
    for field in event.refused:
        yield f"refused: {field.setting} {field.value!r}: {field.cause}; used instead: {field.instead}"
    yield f"webhook: {event.webhook_id}"
    try:
        shown = to_json(event.payload()).decode("utf-8", "replace")
    except HookferryError as exc:
        shown = f"cannot be decoded: {exc}"
    yield f"data:    {cut(shown, at_most(_LONGEST))}"


def _snippet(record: Record, guess: Guess) -> Iterator[str]:
    for hint in guess.open:
        yield f"  # {hint}"
    text = yaml.safe_dump(source_of(record, guess), sort_keys=False, default_flow_style=None, width=1000)
    for line in text.splitlines():
        yield f"  {line}"


def source_of(record: Record, guess: Guess) -> dict[str, Any]:
    """Return the source to start with, by its name, without the login of a registry."""
    name = (
        "".join(c if c.isalnum() else "-" for c in record.partition.topic.lower()).strip("-")[:63] or "events"
    )
    body = {"topics": [record.partition.topic], "format": guess.format, **guess.settings}
    if isinstance(body.get("registry"), RegistrySettings):
        body["registry"] = {"url": body["registry"].url}
    return {name: body}


def _key(key: bytes | None) -> str:
    if key is None:
        return "null"
    text = key.decode("utf-8", "replace")
    return repr(text[: at_most(80)]) if text.isprintable() else f"{key[: at_most(40)].hex()} (hex)"
