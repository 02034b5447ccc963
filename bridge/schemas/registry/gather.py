"""A schema and everything it refers to, fetched with bounds: how deep, how many, how large.

Edge floor. What the two APIs share; each gives a ``Lookup``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MOST_REFERENCES = 100
DEEPEST = 20
MOST_CHARACTERS = 2 * 1024 * 1024


class Unfit(Exception):
    """A schema that cannot be had whole, for a reason that asking again does not mend."""


class Fetched(NamedTuple):
    """One schema as the registry has it: ``kind`` is AVRO, JSON or PROTOBUF; references by name."""

    kind: str
    text: str
    references: tuple[tuple[str, Any], ...] = ()


Lookup = Callable[[Any], Awaitable[Fetched]]


@dataclass(slots=True)
class Gathered:
    """A schema, and the texts of what it refers to by name, innermost first."""

    kind: str
    text: str
    references: dict[str, str] = field(default_factory=dict)


async def gather(first: Fetched, lookup: Lookup) -> Gathered:
    """Fetch all references. Raises ``Unfit``, and what ``lookup`` raises."""
    gathered = Gathered(first.kind, first.text)
    seen: set[Any] = set()
    characters = len(first.text)

    async def visit(references: tuple[tuple[str, Any], ...], depth: int) -> None:
        nonlocal characters
        for name, where in references:
            if where in seen:
                continue
            seen.add(where)
            if depth > DEEPEST:
                raise Unfit(f"its references are nested more than {DEEPEST} deep")
            if len(seen) > MOST_REFERENCES:
                raise Unfit(f"it refers to more than {MOST_REFERENCES} others")
            found = await lookup(where)
            characters += len(found.text)
            if characters > MOST_CHARACTERS:
                raise Unfit(f"with its references it is larger than {MOST_CHARACTERS} characters")
            await visit(found.references, depth + 1)
            gathered.references[name] = found.text

    await visit(first.references, 1)
    return gathered
