"""Finds fields in filters that no event has, and filters that are never true, before real events come.

For ``hookferry check``. The fields are known where every source of an endpoint is Fineract's, without
types of the installation's own, from the schemas in its folder. A path is wrong when it leads nowhere in
all layouts of all types that the endpoint wants; a filter, when it is false for each of them whatever the
rest of the event holds. Pure but for reading the schema folders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from bridge.core.filter import ABSENT, UNKNOWN, FieldPath, Filter
from bridge.formats.avro.schema_set import Schema, SchemaSet
from bridge.formats.fineract.bulk import BULK
from bridge.preflight.samples.payloads import schema_of
from bridge.settings import EndpointSettings, FineractSource, Settings
from bridge.settings.models.fineract_types import FINERACT_TYPES
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree
from bridge.settings.rules.rendering import selects
from bridge.wiring.decoders import read_schema_sets

_DEEPEST = 4

Kinds = list[dict[str, Any]]
"""What may stand at a place of a payload: records, lists and maps; nothing for plain values."""


def misspelt(settings: Settings, tree: Tree) -> list[str]:
    """What is wrong, one line each as ``hookferry check`` prints it. Raises ``ConfigError``."""
    filtered = {name: one for name, one in settings.endpoints.items() if one.when is not None}
    if not filtered:
        return []
    schemas = read_schema_sets(settings)
    return [
        str(problem)
        for name, endpoint in filtered.items()
        for problem in _of_endpoint(name, endpoint, _layouts(endpoint, settings, schemas), tree)
    ]


def _layouts(
    endpoint: EndpointSettings, settings: Settings, schemas: Mapping[str, SchemaSet]
) -> list[tuple[str, Schema]]:
    """Every event type it wants with every layout of its payload; empty when that is not known."""
    found: dict[tuple[str, bytes], Schema] = {}
    for name in endpoint.sources or settings.sources:
        source = settings.sources[name]
        if not isinstance(source, FineractSource) or source.custom_types:
            return []
        for type_ in (one for one in FINERACT_TYPES if selects(endpoint.wanted, one)):
            full_name = schema_of(type_)
            if full_name != BULK:
                found.update(((type_, one.fingerprint), one) for one in schemas[name].named(full_name))
            elif source.bulk == "whole":
                return []  # its items are of any type
    return [(type_, layout) for (type_, _), layout in found.items()]


def _of_endpoint(
    name: str, endpoint: EndpointSettings, layouts: list[tuple[str, Schema]], tree: Tree
) -> Iterator[Problem]:
    if not layouts or endpoint.when is None:
        return
    found = Filter(endpoint.when)
    looks = [look for look in found.paths if look.root == "data"]
    nowhere = [look for look in looks if not any(_leads(layout, look.steps) for _, layout in layouts)]
    for look in nowhere:
        cause = f"{look.text} is in none of the events that this endpoint wants, so it is always none"
        yield _problem(name, look, cause, [layout for _, layout in layouts], tree)
    if nowhere or any(found.can_match(_known(type_, layout)) for type_, layout in layouts):
        return
    type_, layout = min(layouts, key=lambda one: sum(not _leads(one[1], look.steps) for look in looks))
    lacking = [look for look in looks if not _leads(layout, look.steps)]
    if lacking:
        cause = f"is never true: {type_} has no {lacking[0].text}, and the others lack as much or more"
        yield _problem(name, lacking[0], cause, [layout], tree)
    else:
        cause = "is never true for the events that this endpoint wants"
        yield _problem(name, found.paths[0], cause, [], tree)


def _problem(name: str, look: FieldPath, cause: str, layouts: list[Schema], tree: Tree) -> Problem:
    path: Path = ("endpoints", name, "when")
    if path in tree.hidden:  # what a reference brought in is never shown, nor any part of it
        return tree.problem(
            path, "names a field that is not there, or is never true", "try it: hookferry route"
        )
    return Problem(tree.place_within(path, look.at), path, cause, _remedy(look, layouts), tree.shown(path))


def _known(type_: str, layout: Schema) -> Callable[[FieldPath], Any]:
    """What is known of every event of a type: its type, and what its payload never has."""

    def known(look: FieldPath) -> Any:
        if look.root == "type" and not look.steps:
            return type_
        return ABSENT if look.root == "data" and not _leads(layout, look.steps) else UNKNOWN

    return known


def _leads(layout: Schema, steps: tuple[str | int, ...]) -> bool:
    """Whether a path leads to something in a layout."""
    kinds: Kinds = [layout.parsed]
    for step in steps:
        inner = _below(kinds, step, layout)
        if inner is None:
            return False
        kinds = inner
    return True


def _below(kinds: Kinds, step: str | int, layout: Schema) -> Kinds | None:
    """What stands one step further; None when there is no such step."""
    found: list[Any] = []
    for kind in kinds:
        if kind["type"] == "record":
            found += [field["type"] for field in kind["fields"] if field["name"] == step]
        elif kind["type"] == "map" and isinstance(step, str):
            found.append(kind["values"])
        elif kind["type"] == "array" and isinstance(step, int):
            found.append(kind["items"])
    return [one for kind in found for one in _kinds(kind, layout)] if found else None


def _kinds(kind: Any, layout: Schema) -> Iterator[dict[str, Any]]:
    """The records, lists and maps that a type may be."""
    if isinstance(kind, list):
        for one in kind:
            yield from _kinds(one, layout)
    elif isinstance(kind, dict):
        if kind["type"] in ("record", "array", "map"):
            yield kind
        elif not isinstance(kind["type"], str):
            yield from _kinds(kind["type"], layout)
    elif kind in layout.named:
        yield from _kinds(layout.named[kind], layout)


def _remedy(look: FieldPath, layouts: list[Schema]) -> str:
    """The path that was probably meant: the same ending elsewhere, or a name that is written like it."""
    paths = sorted(
        {path for layout in layouts for path in _paths([layout.parsed], layout, (), 0)},
        key=lambda p: (len(p), p),
    )
    names = tuple(step for step in look.steps if isinstance(step, str))
    same_end = [path for path in paths if path[-len(names) :] == names]
    texts = [".".join(path) for path in paths]
    near = get_close_matches(".".join(names), texts, n=1, cutoff=0.6)
    guesses = [".".join(path) for path in same_end[:3]] or near
    if not guesses:
        return "hookferry route --sample TYPE shows what it looks at"
    return f"did you mean {' or '.join(f'data.{guess}' for guess in guesses)}?"


def _paths(kinds: Kinds, layout: Schema, above: tuple[str, ...], depth: int) -> Iterator[tuple[str, ...]]:
    """The names on the way to every field, a few levels deep; lists are left out, for they need positions."""
    for kind in kinds:
        if kind["type"] != "record" or depth >= _DEEPEST:
            continue
        for field in kind["fields"]:
            path = (*above, field["name"])
            yield path
            yield from _paths(list(_kinds(field["type"], layout)), layout, path, depth + 1)
