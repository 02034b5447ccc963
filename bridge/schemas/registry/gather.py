"""Fetches a schema and everything it refers to, with limits on depth, number and size. Both APIs use it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MOST_REFERENCES = 100
DEEPEST = 20
MOST_CHARACTERS = 2 * 1024 * 1024


class UnusableSchemaError(Exception):
    """A schema cannot be fetched completely, and fetching it again would not help."""


class Fetched(NamedTuple):
    """One schema in the registry. ``kind`` is AVRO, JSON or PROTOBUF; each reference has a name and a key."""

    kind: str
    text: str
    references: tuple[tuple[str, Any], ...] = ()


Lookup = Callable[[Any], Awaitable[Fetched]]
"""Fetches the schema for the key of a reference."""


@dataclass(slots=True)
class Gathered:
    """A schema, and the texts of its references by name, innermost first."""

    kind: str
    text: str
    references: dict[str, str] = field(default_factory=dict)


async def gather(first: Fetched, lookup: Lookup) -> Gathered:
    """Fetch all references. Raises ``UnusableSchemaError``, and what ``lookup`` raises."""
    gathered = Gathered(first.kind, first.text)
    seen: set[Any] = set()
    characters = len(first.text)

    async def visit(references: tuple[tuple[str, Any], ...], depth: int) -> None:
        nonlocal characters
        for name, key in references:
            if key in seen:
                continue
            seen.add(key)
            if depth > DEEPEST:
                raise UnusableSchemaError(f"its references are nested more than {DEEPEST} deep")
            if len(seen) > MOST_REFERENCES:
                raise UnusableSchemaError(f"it refers to more than {MOST_REFERENCES} others")
            schema = await lookup(key)
            characters += len(schema.text)
            if characters > MOST_CHARACTERS:
                raise UnusableSchemaError(
                    f"with its references it is larger than {MOST_CHARACTERS} characters"
                )
            await visit(schema.references, depth + 1)
            gathered.references[name] = schema.text

    await visit(first.references, 1)
    return gathered
