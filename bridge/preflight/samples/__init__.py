"""Sample events for trying filters, templates and presets: ``sample("LoanApprovedBusinessEvent")``.

The payloads have the form that decoders produce: amounts are ``Decimal`` with Fineract's eight digits, dates
ISO text, enumerations ``{id, code, value}``. ``payloads`` has realistic ones for the most common types.
``generated`` builds one for any type from the schemas of a Fineract.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from bridge.errors import ConfigError
from bridge.formats import derive_lane, exact_json, webhook_id
from bridge.formats.avro.schema_set import SchemaSet
from bridge.formats.timestamp import from_text
from bridge.model import Event, Partition, Record
from bridge.preflight.samples.generated import generate
from bridge.preflight.samples.payloads import CATEGORIES, ENTITIES, PAYLOADS, schema_of

MAX_FILE_BYTES = 4_194_304
TIME = "2026-06-29T08:15:30.123456Z"
NO_TOPIC = "samples"
"""The topic of a sample that does not name one."""
_TIMESTAMP_MS = 1_782_720_930_123
_ID = "5f2b1c9e-8d34-4a6f-b1e7-2c90d5a47e10"
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9._:-]{0,199}")
_KEYS = frozenset({"type", "id", "time", "entity", "tenant", "source", "topic", "headers", "context", "data"})


def sample(
    name_or_path: str | Path,
    *,
    source: str = "sample",
    topic: str | None = None,
    schemas: SchemaSet | None = None,
    id: str | None = None,
) -> Event:
    """Return an event of a type, or the event in a JSON file (a name that ends in ``.json``).

    With ``schemas`` the payload has every field of the type's schema, none of them null; without, only common
    fields. A type that is not Fineract's gets a payload of three fields. ``id``: the event's id, instead of a
    fixed one. Raises ``ConfigError`` for a name or a file that cannot be used.
    """
    if isinstance(name_or_path, Path) or name_or_path.endswith(".json"):
        return _build({"id": id, **_read(Path(name_or_path))}, source, topic)
    if not _TYPE.fullmatch(name_or_path):
        raise ConfigError(
            [f"{name_or_path[:80]!r} is not an event type; name a type, or a file that ends in .json"]
        )
    facts: dict[str, Any] = {"type": name_or_path, "id": id, "entity": ENTITIES.get(name_or_path, "1001")}
    if name_or_path.endswith("BusinessEvent"):
        facts |= {"tenant": "default", "topic": "external-events", "context": _context(name_or_path)}
    facts["data"] = _payload(name_or_path, schemas)
    return _build(facts, source, topic)


def _payload(type_: str, schemas: SchemaSet | None) -> Any:
    known = PAYLOADS.get(type_)
    if schemas is not None:
        layouts = schemas.named(schema_of(type_))
        if layouts:
            return generate(layouts[-1], known or {})
    return known if known is not None else {"id": 1001, "status": "ACTIVE", "amount": "150000.00"}


def _context(type_: str) -> dict[str, str]:
    category = next((name for prefix, name in CATEGORIES if type_.startswith(prefix)), "Loan")
    return {"category": category, "businessDate": "2026-06-29", "dataschema": schema_of(type_), "id": "121"}


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ConfigError([f"{path}: is larger than {MAX_FILE_BYTES} bytes; use a smaller sample"])
        facts = exact_json.loads(content)
    except orjson.JSONDecodeError as exc:
        raise ConfigError(
            [f"{path}:{exc.lineno}:{exc.colno}: is not JSON: {exc.msg}; correct the file there"]
        ) from exc
    except OSError as exc:
        raise ConfigError(
            [f"{path}: cannot be read ({exc.strerror}); name the file of a sample, or an event type"]
        ) from exc
    if not isinstance(facts, dict) or not isinstance(facts.get("type"), str) or "data" not in facts:
        raise ConfigError([f'{path}: a sample needs a type and data; write {{"type": "…", "data": {{…}}}}'])
    unknown = sorted(facts.keys() - _KEYS)
    if unknown:
        raise ConfigError(
            [f"{path}: {unknown[0]!r} is not a key of a sample; the keys are {', '.join(sorted(_KEYS))}"]
        )
    for name in ("id", "time", "entity", "tenant", "source", "topic"):
        if not isinstance(facts.get(name), str | None):
            raise ConfigError([f"{path}: {name} is not text; put it in quotes"])
    for name, kinds in (("headers", str | None), ("context", str | int | float)):
        texts = facts.get(name) or {}
        if not isinstance(texts, dict) or not all(isinstance(text, kinds) for text in texts.values()):
            raise ConfigError([f"{path}: {name} is not a mapping of texts; put its values in quotes"])
    if facts.get("time") is not None and from_text(facts["time"]) is None:
        raise ConfigError([f"{path}: time is not an instant; write it like {TIME}"])
    return facts


def _build(facts: Mapping[str, Any], source: str, topic: str | None) -> Event:
    """Build the event from these values; missing ones get the same defaults each time."""
    source = facts.get("source") or source
    entity, tenant, id_ = facts.get("entity"), facts.get("tenant"), facts.get("id") or _ID
    key = None if entity is None else entity.encode("utf-8", "replace")
    headers = tuple(
        (name, value if value is None else value.encode("utf-8", "replace"))
        for name, value in (facts.get("headers") or {}).items()
    )
    partition = Partition(topic or facts.get("topic") or NO_TOPIC, 0)
    record = Record(partition, 0, _TIMESTAMP_MS, key, orjson.dumps(facts["type"]), headers)
    return Event(
        record=record,
        source=source,
        id=id_,
        type=facts["type"],
        time=from_text(facts.get("time") or TIME) or TIME,
        entity=entity,
        tenant=tenant,
        lane=derive_lane(record, entity, tenant),
        payload=lambda: facts["data"],
        context=dict(facts.get("context") or {}),
        webhook_id=webhook_id(source, record.partition.topic, tenant, id_),
    )
