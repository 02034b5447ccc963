"""Rules for the templates of endpoints: each compiles, and each body has exactly one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path as FilePath

from bridge.errors import ConfigError
from bridge.rendering.escape import Kind, header_text, insert_for, kind_of_content, query_text
from bridge.rendering.old_hooks import HOOKS
from bridge.rendering.request import is_template, split_expressions
from bridge.rendering.sandbox import Sandbox, TemplateMistake
from bridge.rendering.template import sandbox
from bridge.settings.models.fineract_types import FINERACT_TYPES
from bridge.settings.models.request import JSON, TemplateSettings, read_template
from bridge.settings.problem import Path, Place, Problem
from bridge.settings.reading.tree import Tree


def check_bodies(tree: Tree) -> Iterator[Problem]:
    """Check that a body that is a mapping has exactly one template."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "body")
        if not isinstance(tree.get(path), dict):
            continue
        templates = [key for key in ("template", "template_file") if tree.has((*path, key))]
        known = set(TemplateSettings.model_fields) >= set(tree.names(path))  # else an unknown key is reported
        if not templates and known and not tree.is_broken((*path, "template")):
            yield tree.problem(
                path, "has no template", "add template: | and its text, or template_file", key=True
            )
        if len(templates) > 1:
            yield tree.problem(
                (*path, "template_file"), "is set together with template", "keep one of the two", key=True
            )


def check_templates(tree: Tree) -> Iterator[Problem]:
    """Check the templates of bodies, URLs and headers."""
    for_body = cache(lambda kind: sandbox(insert_for(kind), kind))
    for_url, for_header = sandbox(query_text, Kind.TEXT), sandbox(header_text, Kind.TEXT)
    for name in tree.names(("endpoints",)):
        yield from _body(tree, ("endpoints", name, "body"), for_body)
        yield from _url(tree, ("endpoints", name, "url"), for_url)
        for header in tree.names(("endpoints", name, "headers")):
            path: Path = ("endpoints", name, "headers", header)
            text = tree.text(path)
            if text is not None and is_template(text):
                yield from _compile(tree, path, text, for_header)


def _body(tree: Tree, path: Path, for_body: Callable[[Kind], Sandbox]) -> Iterator[Problem]:
    if not isinstance(tree.get(path), dict):
        return
    content_type = tree.text((*path, "content_type")) or JSON
    compiler = for_body(kind_of_content(content_type))
    text, file = tree.text((*path, "template")), tree.text((*path, "template_file"))
    if text:
        yield from _compile(tree, (*path, "template"), text, compiler)
    elif file:
        path = (*path, "template_file")
        try:
            yield from _compile(tree, path, read_template(FilePath(file)), compiler, file)
        except ConfigError as exc:
            yield tree.problem(path, *exc.problems[0].removeprefix(f"{file}: ").split("; ", 1))


def _url(tree: Tree, path: Path, compiler: Sandbox) -> Iterator[Problem]:
    try:
        expressions = split_expressions(tree.text(path) or "")[1]
    except ValueError:
        return  # reported by the validation of the value itself
    if expressions:
        yield from _compile(tree, path, "".join(expressions), compiler)


def _compile(
    tree: Tree, path: Path, source: str, compiler: Sandbox, file: str | None = None
) -> Iterator[Problem]:
    try:
        compiler.compile(source, "")
    except TemplateMistake as exc:
        place = line_in(tree.place(path), source, exc.line) if file is None else Place(file, exc.line, 1)
        yield Problem(place, path, exc.cause, exc.remedy)


def line_in(value: Place, source: str, line: int) -> Place:
    """Return the place of a template's line; a template of several lines begins below its key."""
    if not value.line or "\n" not in source:
        return value
    return Place(value.source, value.line + line, 1)


def check_old_hook_types(tree: Tree) -> Iterator[Problem]:
    """Check that an endpoint with the body fineract-hook selects only types that the old hooks had."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "events")
        body = tree.get(("endpoints", name, "body"))
        by_preset = body is None and tree.text(("endpoints", name, "preset")) == "fineract-hook"
        if body != "fineract-hook" and not (by_preset and tree.has(path)):
            continue
        patterns = [pattern for _, pattern in tree.texts(path)] or ["*"]
        unknown = [kind for kind in FINERACT_TYPES if selects(patterns, kind) and kind not in HOOKS]
        if unknown:
            count = f"{len(unknown)} types" if len(unknown) > 1 else "a type"
            cause = f"selects {count} that Fineract's old hooks did not have, such as {unknown[0]}"
            yield tree.problem(path, cause, f"list event types from these: {', '.join(HOOKS)}", key=True)


def selects(patterns: Sequence[str], kind: str) -> bool:
    """Return True if an endpoint with these patterns receives events of this type."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return any(fnmatchcase(kind, pattern) for pattern in wanted) and not any(
        fnmatchcase(kind, pattern) for pattern in unwanted
    )


RULES: tuple[Callable[[Tree], Iterator[Problem]], ...] = (
    check_bodies,
    check_templates,
    check_old_hook_types,
)
