"""What the models allow at a path: keys, type, default, and whether the value is secret. Pure.

A path into a source can mean several models, one for each format. All of them count, because the right one is
known only if ``format`` is valid.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bridge.settings.models.settings import Settings
from bridge.settings.problem import Path


class Slot(NamedTuple):
    """One meaning of a path: its annotation, and its field unless it is an entry of a list or mapping."""

    annotation: Any
    field: FieldInfo | None


def alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the plain types of an annotation, including ``NoneType``."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for member in get_args(annotation):
            yield from alternatives(member)
    else:
        yield annotation


def models(annotation: Any) -> list[type[BaseModel]]:
    """List the models among the types of an annotation."""
    return [a for a in alternatives(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]


def slots(path: Path) -> tuple[Slot, ...]:
    """List the meanings of a path; empty if there is no such key."""
    if (
        len(path) > 1 and path[0] in _NAMED
    ):  # what it means is the same for all names, of a thousand endpoints
        path = (path[0], "", *path[2:])
    return _slots(path)


@lru_cache(maxsize=8192)
def _slots(path: Path) -> tuple[Slot, ...]:
    """List the meanings of a path. The rules look up the same paths again."""
    if not path:
        return (Slot(Settings, None),)
    return tuple(child for slot in _slots(path[:-1]) for child in _children(slot.annotation, path[-1]))


def _children(annotation: Any, step: str | int) -> Iterator[Slot]:
    for member in alternatives(annotation):
        origin = get_origin(member)
        if origin is dict and isinstance(step, str):
            yield Slot(get_args(member)[1], None)
        elif origin is tuple and isinstance(step, int):
            yield Slot(get_args(member)[0], None)
        elif isinstance(member, type) and issubclass(member, BaseModel) and step in member.model_fields:
            field = member.model_fields[str(step)]
            yield Slot(field.annotation, field)


_NAMED = frozenset(
    name
    for name, field in Settings.model_fields.items()
    if any(get_origin(member) is dict for member in alternatives(field.annotation))
)
"""The sections whose keys are names that the user chooses."""


def keys(path: Path) -> list[str]:
    """List the fixed keys at a path; empty if the user chooses the names or it is not a mapping."""
    names: dict[str, None] = {}
    for slot in slots(path):
        for model in models(slot.annotation):
            names.update(dict.fromkeys(model.model_fields))
    return list(names)


def is_free(path: Path) -> bool:
    """Return True if the user chooses the keys at a path."""
    return any(get_origin(a) is dict for slot in slots(path) for a in alternatives(slot.annotation))


def is_nested(path: Path) -> bool:
    """Return True if the value at a path can be a list or a mapping."""
    return any(
        get_origin(a) in {dict, tuple} or models(a)
        for slot in slots(path)
        for a in alternatives(slot.annotation)
    )


def takes_text(path: Path) -> bool:
    """Return True if the value at a path can be plain text."""
    return any(a is str for slot in slots(path) for a in alternatives(slot.annotation))


def is_nullable(path: Path) -> bool:
    """Return True if the value at a path can be null."""
    return any(a is types.NoneType for slot in slots(path) for a in alternatives(slot.annotation))


def names_a_file(path: Path) -> bool:
    """Return True if the value at a path is the path of a file or a folder."""
    return any(member is FilePath for slot in slots(path) for member in alternatives(slot.annotation))


def is_secret(path: Path) -> bool:
    """Return True if the value at a path is or contains a secret, or the path is unknown."""
    meanings = slots(path)
    return not meanings or any(_contains_secret(slot.annotation) for slot in meanings)


def _contains_secret(annotation: Any) -> bool:
    for member in alternatives(annotation):
        if member is SecretStr or any(
            _contains_secret(arg) for arg in get_args(member) if arg is not Ellipsis
        ):
            return True
        if any(
            _contains_secret(field.annotation)
            for model in models(member)
            for field in model.model_fields.values()
        ):
            return True
    return False


def default(path: Path) -> Any:
    """Return the default of the field at a path, or None."""
    for slot in slots(path):
        if slot.field is not None and not slot.field.is_required():
            return slot.field.get_default(call_default_factory=True)
    return None


def description(path: Path) -> str:
    """Return the first sentence of the description of the field at a path, without its period."""
    for slot in slots(path):
        if slot.field is not None and slot.field.description:
            return slot.field.description.split(". ")[0].rstrip(".")
    return ""
