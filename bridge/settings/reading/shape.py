"""What the models allow at a path: which keys, which type, whether it is secret, which default.

Pure. A path through the tagged union of sources may mean several models; all of them are answers,
since the one that applies is known only once ``format`` is right.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bridge.settings.models.settings import Settings
from bridge.settings.problem import Path


class Slot(NamedTuple):
    """One meaning of a path: its annotation, and the field if it is one."""

    annotation: Any
    field: FieldInfo | None


def alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the plain types an annotation stands for, ``NoneType`` among them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for member in get_args(annotation):
            yield from alternatives(member)
    else:
        yield annotation


def models(annotation: Any) -> list[type[BaseModel]]:
    """List the models an annotation may hold itself."""
    return [a for a in alternatives(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]


def slots(path: Path) -> list[Slot]:
    """List the meanings of a path; empty when there is no such key."""
    found = [Slot(Settings, None)]
    for step in path:
        found = [child for slot in found for child in _children(slot.annotation, step)]
    return found


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


def keys(path: Path) -> list[str]:
    """List the fixed keys at a path; empty where names are free or there is no mapping."""
    names: dict[str, None] = {}
    for slot in slots(path):
        for model in models(slot.annotation):
            names.update(dict.fromkeys(model.model_fields))
    return list(names)


def is_free(path: Path) -> bool:
    """Whether the keys at a path are names of the user's choice."""
    return any(get_origin(a) is dict for slot in slots(path) for a in alternatives(slot.annotation))


def is_nested(path: Path) -> bool:
    """Whether the value at a path is a list or a mapping."""
    return any(
        get_origin(a) in {dict, tuple} or models(a)
        for slot in slots(path)
        for a in alternatives(slot.annotation)
    )


def takes_text(path: Path) -> bool:
    """Whether plain text is a value at a path, maybe beside a list or a mapping."""
    return any(a is str for slot in slots(path) for a in alternatives(slot.annotation))


def is_nullable(path: Path) -> bool:
    """Whether null is a value at a path."""
    return any(a is types.NoneType for slot in slots(path) for a in alternatives(slot.annotation))


def names_a_file(path: Path) -> bool:
    """Whether the value at a path is the path of a file or a folder."""
    return any(member is FilePath for slot in slots(path) for member in alternatives(slot.annotation))


def is_secret(path: Path) -> bool:
    """Whether the value at a path is, holds, or may have been meant for a secret."""
    found = slots(path)
    return not found or any(_holds_secret(slot.annotation) for slot in found)


def _holds_secret(annotation: Any) -> bool:
    for member in alternatives(annotation):
        if member is SecretStr or any(_holds_secret(arg) for arg in get_args(member) if arg is not Ellipsis):
            return True
        if any(
            _holds_secret(field.annotation)
            for model in models(member)
            for field in model.model_fields.values()
        ):
            return True
    return False


def default(path: Path) -> Any:
    """Give the default of the field at a path, or None."""
    for slot in slots(path):
        if slot.field is not None and not slot.field.is_required():
            return slot.field.get_default(call_default_factory=True)
    return None


def description(path: Path) -> str:
    """Give the first sentence of what the field at a path means, without its full stop."""
    for slot in slots(path):
        if slot.field is not None and slot.field.description:
            return slot.field.description.split(". ")[0].rstrip(".")
    return ""
