"""Render the operator's templates with the values of an event: bodies, URLs and header values.

``VARIABLES`` lists what a template can read. The payload is decoded only for a template that reads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import orjson
from jinja2 import Environment, TemplateError

from bridge.errors import RenderError
from bridge.model import WHOLE, Event, FieldSet
from bridge.rendering import Headers
from bridge.rendering.escape import (
    Escape,
    Kind,
    insert_for,
    kind_of_content,
    name_in_tag,
    outside_quotes,
    to_bytes,
)
from bridge.rendering.filters import filters_for
from bridge.rendering.sandbox import JSON, XML, Insert, Program, Sandbox, TemplateFault
from bridge.rendering.sandbox.reads import paths_read

_PARSER = Environment(autoescape=True)
"""Reads the syntax of templates, and renders none."""
_MAX_KNOWN_TYPES = 4096
OUT_OF_RANGE = "infinity"
"""In orjson's message for a number beyond a double; it refuses the whole document."""


VARIABLES: Mapping[str, Callable[[Event], Any]] = {
    "type": lambda event: event.type,
    "id": lambda event: event.id,
    "webhook_id": lambda event: event.webhook_id,
    "time": lambda event: event.time,
    "time_source": lambda event: event.time_source,
    "entity": lambda event: event.entity,
    "tenant": lambda event: event.tenant,
    "source": lambda event: event.source,
    "topic": lambda event: event.origin.partition.topic,
    "data": lambda event: event.payload(),
    "context": lambda event: event.context,
    "headers": lambda event: event.origin.header_texts(),
    "headers_all": lambda event: event.origin.all_header_texts(),
}
"""The variables of templates, and the function that reads each from an event."""


@lru_cache(1024)
def payload_paths(source: str) -> FieldSet:
    """Return what a template reads of the payload; all of it for a text that is not a template."""
    try:
        return paths_read(_PARSER.parse(source), "data")
    except (TemplateError, RecursionError, MemoryError):  # compiling it finds the cause
        return WHOLE


class Text:
    """One compiled template that renders text for an event. ``keys_vary`` as in ``Program``."""

    def __init__(self, program: Program) -> None:
        self._run = program.run
        self.keys_vary = program.keys_vary
        self._variables = sorted(program.reads)
        self._values = tuple((name, _reader(name, program.reads[name])) for name in self._variables)
        self._reads_part = () not in program.reads.get("data", WHOLE)

    def of(self, event: Event) -> str:
        """Return the text for an event.

        Raises ``DecodeError`` if ``data`` cannot be decoded, ``RenderError`` for any other failure.
        """
        try:
            return self._run({name: value(event) for name, value in self._values})
        except TemplateFault as exc:
            if not (exc.missing and self._reads_part):
                raise
        return self._run({name: VARIABLES[name](event) for name in self._variables})  # names what is there


def _reader(variable: str, paths: FieldSet) -> Callable[[Event], Any]:
    """Return the function from an event to a variable; of the payload, only these paths are needed."""
    return VARIABLES[variable] if variable != "data" else lambda event: event.data(paths)


def sandbox(insert: Insert, kind: Kind, escape: Escape | None = None) -> Sandbox:
    """Return a sandbox that compiles templates for text of a kind."""
    filters = filters_for(kind, escape)
    if kind is Kind.JSON:
        return Sandbox(insert, VARIABLES.keys(), filters, outside=outside_quotes(escape), syntax=JSON)
    if kind is Kind.XML:
        return Sandbox(insert, VARIABLES.keys(), filters, outside=name_in_tag, syntax=XML)
    return Sandbox(insert, VARIABLES.keys(), filters)


class TemplateBody:
    """A kind of body (``MakeBody``) from templates: one per event type, or one for all.

    ``templates`` are by event pattern (``fnmatch``), and the first match is used; ``default`` is for all
    other types. ``escape`` is applied before the content type's own escaping. ``shorten`` may reduce the
    finished bytes, for a receiver with a limit. The constructor raises ``TemplateMistake``.
    """

    def __init__(
        self,
        templates: Mapping[str, str],
        default: str | None,
        content_type: str,
        *,
        escape: Escape | None = None,
        shorten: Callable[[bytes], bytes] | None = None,
    ) -> None:
        kind = kind_of_content(content_type)
        compiles = sandbox(insert_for(kind, escape), kind, escape)
        self._headers: Headers = ((b"content-type", content_type.encode("ascii")),)
        self._shorten = shorten
        self._finish = {Kind.JSON: _checked_json, Kind.FORM: _one_line}.get(kind, to_bytes)
        self._by_pattern = {
            pattern: Text(compiles.compile(source, f"the body's template for {pattern}"))
            for pattern, source in templates.items()
        }
        self._default = None if default is None else Text(compiles.compile(default, "the body's template"))
        self._by_type: dict[str, Text] = {}

    def __call__(self, event: Event) -> tuple[Headers, bytes]:
        """Return headers and bytes. Raises ``DecodeError`` and ``RenderError``."""
        text = self._by_type.get(event.type) or self._choose(event.type)
        body = self._finish(text.of(event))
        if text.keys_vary:
            _check_keys(body)
        return self._headers, body if self._shorten is None else self._shorten(body)

    def _choose(self, type_: str) -> Text:
        matching = (text for pattern, text in self._by_pattern.items() if fnmatchcase(type_, pattern))
        template = next(matching, self._default)
        if template is None:
            raise RenderError(f"there is no template for events of type {type_[:200]}; add one")
        if len(self._by_type) >= _MAX_KNOWN_TYPES:
            self._by_type.clear()
        self._by_type[type_] = template
        return template


def _checked_json(text: str) -> bytes:
    body = to_bytes(text)
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        if OUT_OF_RANGE in exc.msg and is_json(body):
            return body
        place = f"line {exc.lineno}, column {exc.colno} of the body"
        raise RenderError(f"the body's template rendered invalid JSON: {place}: {exc.msg}") from exc
    return body


def _check_keys(body: bytes) -> None:
    """Refuse an object with two equal keys: each receiver would choose another one of their values."""
    try:
        json.loads(body, object_pairs_hook=_distinct, parse_float=str, parse_int=str)
    except RecursionError:
        raise RenderError("the body is nested too deep to look for equal keys") from None


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise RenderError(
            "the body's template rendered the same key twice in one object; a key with {{ … }} must differ"
            " from every other one"
        )


def is_json(body: bytes) -> bool:
    """Return True if the standard library reads the body, in which a number may be beyond a double."""
    try:
        json.loads(body, parse_float=str, parse_int=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> Any:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(constant)


def _one_line(text: str) -> bytes:
    """Join the template's lines: a form has no line breaks, and those of values are encoded."""
    return to_bytes("".join(line.strip() for line in text.splitlines()))
