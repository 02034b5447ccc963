"""Finds fields in filters that no event has, and filters that are never true. For ``hookferry check``.

The fields are known from the schema folders if every source of an endpoint is Fineract's and has no custom
types. A path is a mistake if no layout of any type that the endpoint selects has it. A filter is a mistake
if it is false for each of them, whatever the rest of the event contains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from bridge.core.filter import ABSENT, UNKNOWN, FieldPath, Filter
from bridge.formats.avro.schema_set import Schema, SchemaSet
from bridge.formats.fineract.bulk import BULK
from bridge.preflight.files import readable_schemas
from bridge.preflight.samples.payloads import schema_of
from bridge.settings import EndpointSettings, FineractSource, Settings
from bridge.settings.models.fineract_types import FINERACT_TYPES
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree
from bridge.settings.rules.rendering import selects

_DEEPEST = 4

Kinds = list[dict[str, Any]]
"""The record, list and map types that a field can have; none for plain values."""


def check_filter_fields(settings: Settings, tree: Tree) -> list[Problem]:
    """Return the mistakes. The fields of a schema folder that cannot be read count as unknown."""
    filtered = {name: endpoint for name, endpoint in settings.endpoints.items() if endpoint.when is not None}
    if not filtered:
        return []
    schemas = readable_schemas(settings)
    return [
        problem
        for name, endpoint in filtered.items()
        for problem in _check_endpoint(name, endpoint, _layouts(endpoint, settings, schemas), tree)
    ]


def _layouts(
    endpoint: EndpointSettings, settings: Settings, schemas: Mapping[str, SchemaSet]
) -> list[tuple[str, Schema]]:
    """List the event types that an endpoint selects, each with every layout of its payload.

    Empty if not all of them are known.
    """
    layouts: dict[tuple[str, bytes], Schema] = {}
    for name in endpoint.sources or settings.sources:
        source = settings.sources.get(name)
        if not isinstance(source, FineractSource) or source.custom_types:
            return []
        if not schemas[name].by_fingerprint:
            return []
        for type_ in (kind for kind in FINERACT_TYPES if selects(endpoint.wanted, kind)):
            full_name = schema_of(type_)
            if full_name != BULK:
                layouts.update(
                    ((type_, layout.fingerprint), layout) for layout in schemas[name].named(full_name)
                )
            elif source.bulk == "whole":
                return []  # its items can have any type
    return [(type_, layout) for (type_, _), layout in layouts.items()]


def _check_endpoint(
    name: str, endpoint: EndpointSettings, layouts: list[tuple[str, Schema]], tree: Tree
) -> Iterator[Problem]:
    if not layouts or endpoint.when is None:
        return
    condition = Filter(endpoint.when)
    looks = [look for look in condition.paths if look.root == "data"]
    unknown = [look for look in looks if not any(_has_path(layout, look.steps) for _, layout in layouts)]
    for look in unknown:
        cause = f"{look.text} is in none of the events that this endpoint selects, so it is always none"
        yield _problem(name, look, cause, [layout for _, layout in layouts], tree)
    if unknown or any(condition.can_match(_facts(type_, layout)) for type_, layout in layouts):
        return
    type_, layout = min(layouts, key=lambda typed: sum(not _has_path(typed[1], look.steps) for look in looks))
    missing = [look for look in looks if not _has_path(layout, look.steps)]
    if missing:
        cause = f"is never true: {type_} has no {missing[0].text}, and every other type lacks a field, too"
        yield _problem(name, missing[0], cause, [layout], tree)
    else:
        cause = "is never true for the events that this endpoint selects"
        yield _problem(name, condition.paths[0], cause, [], tree)


def _problem(name: str, look: FieldPath, cause: str, layouts: list[Schema], tree: Tree) -> Problem:
    path: Path = ("endpoints", name, "when")
    if path in tree.hidden:  # a value with a reference is never shown, nor any part of it
        return tree.problem(
            path, "names a field that no event has, or is never true", "try it with: hookferry route"
        )
    return Problem(tree.place_within(path, look.at), path, cause, _remedy(look, layouts), tree.shown(path))


def _facts(type_: str, layout: Schema) -> Callable[[FieldPath], Any]:
    """Return what is certain about every event of a type: the type, and fields that its payload never has."""

    def fact(look: FieldPath) -> Any:
        if look.root == "type" and not look.steps:
            return type_
        return ABSENT if look.root == "data" and not _has_path(layout, look.steps) else UNKNOWN

    return fact


def _has_path(layout: Schema, steps: tuple[str | int, ...]) -> bool:
    """Return True if a layout has a field at a path."""
    kinds: Kinds = [layout.parsed]
    for step in steps:
        inner = _below(kinds, step, layout)
        if inner is None:
            return False
        kinds = inner
    return True


def _below(kinds: Kinds, step: str | int, layout: Schema) -> Kinds | None:
    """Return the types one step further; None if there is no such step."""
    types: list[Any] = []
    for kind in kinds:
        if kind["type"] == "record":
            types += [field["type"] for field in kind["fields"] if field["name"] == step]
        elif kind["type"] == "map" and isinstance(step, str):
            types.append(kind["values"])
        elif kind["type"] == "array" and isinstance(step, int):
            types.append(kind["items"])
    return [kind for type_ in types for kind in _kinds(type_, layout)] if types else None


def _kinds(kind: Any, layout: Schema) -> Iterator[dict[str, Any]]:
    """Yield the records, lists and maps among the alternatives of a type."""
    if isinstance(kind, list):
        for member in kind:
            yield from _kinds(member, layout)
    elif isinstance(kind, dict):
        if kind["type"] in ("record", "array", "map"):
            yield kind
        elif not isinstance(kind["type"], str):
            yield from _kinds(kind["type"], layout)
    elif kind in layout.named:
        yield from _kinds(layout.named[kind], layout)


def _remedy(look: FieldPath, layouts: list[Schema]) -> str:
    """Suggest the path that was probably meant: one with the same ending, or one that is spelled like it."""
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
        return "see its fields with: hookferry route --sample TYPE"
    return f"did you mean {' or '.join(f'data.{guess}' for guess in guesses)}?"


def _paths(kinds: Kinds, layout: Schema, above: tuple[str, ...], depth: int) -> Iterator[tuple[str, ...]]:
    """Yield the path of every field, a few levels deep; without lists, which need positions."""
    for kind in kinds:
        if kind["type"] != "record" or depth >= _DEEPEST:
            continue
        for field in kind["fields"]:
            path = (*above, field["name"])
            yield path
            yield from _paths(list(_kinds(field["type"], layout)), layout, path, depth + 1)
