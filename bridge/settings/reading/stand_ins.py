"""Build ``Settings`` although some values have mistakes: each of these becomes a default or a stand-in. Pure.

For commands that do not use these values, and for checks that go on after a mistake. Invariant: a value
without a mistake is never changed, and a stand-in is no secret of anybody: a request with it fails.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from bridge.settings.models.settings import Settings, layered
from bridge.settings.problem import Path, Problem
from bridge.settings.reading import shape
from bridge.settings.reading.explain import explain
from bridge.settings.reading.tree import Tree

_MOST_ROUNDS = 8
_TEXT = "hookferry-stand-in"
_CANDIDATES = (
    _TEXT,
    f"https://{_TEXT}.invalid/",
    "whsec_" + base64.b64encode(b"hookferry: stands in, no secret!").decode(),
    "HookferryStandInForARoutingKey01",
    f"{_TEXT}:9092",
    "1",
)
"""Tried in this order until one passes the validation of a setting."""


def build_repaired(
    tree: Tree, problems: Collection[Problem], defaults: Mapping[str, Any], *, drop: bool
) -> Settings | None:
    """Return the settings without these mistakes; None if that cannot be done.

    With ``drop``, a source or an endpoint that cannot be repaired is left out.
    """
    data = copy.deepcopy(tree.data)
    paths = [problem.path for problem in problems]
    for _ in range(_MOST_ROUNDS):
        if not all(_repair(data, path, drop=drop) for path in paths):
            return None
        no_arguments: dict[str, object] = {}
        try:
            with layered(data, defaults):
                return Settings(**no_arguments)  # type: ignore[arg-type]  # the values come from ``layered``
        except ValidationError as exc:
            paths = [problem.path for problem in explain(exc, Tree(tree.root, data=data))]
            if not paths:
                return None
    return None


def _repair(data: dict[str, Any], path: Path, *, drop: bool) -> bool:
    """Repair the value at a path, else what contains it. Return False if that is not possible."""
    if path[2:3] == ("body",):
        path = path[:3]  # half of a body is of no use
    while path:
        if _replace(data, path):
            return True
        if len(path) == 2 and path[0] in ("sources", "endpoints"):
            entries = data.get(str(path[0]))
            return drop and isinstance(entries, dict) and entries.pop(path[1], None) is not None
        path = path[:-1]
    return False


def _replace(data: dict[str, Any], path: Path) -> bool:
    """Remove the value if it is unknown or has a default, else put a stand-in there."""
    parent: Any = data
    for step in path[:-1]:
        try:
            parent = parent[step]
        except (KeyError, IndexError, TypeError):
            return False
    meanings, key = shape.slots(path), path[-1]
    if isinstance(parent, dict) and (not meanings or any(_is_optional(slot) for slot in meanings)):
        return parent.pop(key, None) is not None or bool(meanings)
    value = next((value for slot in meanings if (value := _stand_in(slot)) is not None), None)
    if value is None:
        return False
    if isinstance(parent, list) and isinstance(key, int) and key < len(parent):
        before, parent[key] = parent[key], value
    elif isinstance(parent, dict):
        before, parent[key] = parent.get(key), value
    else:
        return False
    return bool(before != value)


def _is_optional(slot: shape.Slot) -> bool:
    return slot.field is not None and not slot.field.is_required()


def _stand_in(slot: shape.Slot) -> Any:
    """Return a value that is valid there; None if there is none."""
    metadata = slot.field.metadata if slot.field is not None else []
    adapter: TypeAdapter[Any] = TypeAdapter(
        Annotated[(slot.annotation, *metadata)] if metadata else slot.annotation  # type: ignore[arg-type]
    )
    for value in (*_CANDIDATES, [f"{_TEXT}:9092"], {"bootstrap_servers": [f"{_TEXT}:9092"]}):
        try:
            adapter.validate_python(value)
        except ValidationError:
            continue
        return value
    return None
