"""Combine method, URL, templated headers and body into a request.

``build_request_renderer`` returns the standard renderer if nothing is templated; that one costs no more
than the body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bridge.errors import RenderError
from bridge.model import Event, Url
from bridge.rendering import Headers, MakeBody, Rendered, Renderer, StandardRenderer
from bridge.rendering.escape import Kind, header_text, path_text, query_text, to_bytes
from bridge.rendering.named import standard
from bridge.rendering.sandbox import Insert
from bridge.rendering.template import Text, sandbox

MAX_TARGET_CHARS = 8192
MAX_HEADER_BYTES = 4096
OPENING = re.compile(r"\{\{|\{%|\{#")
"""A text that contains one of these is a template."""

_EXPRESSION = re.compile(r"\{\{(?:'[^']*'|\"[^\"]*\"|[^'\"])*?\}\}", re.DOTALL)
_PLACEHOLDER = "hookferry-value-{}-here"
_PLACEHOLDERS = re.compile(r"(hookferry-value-[0-9]+-here)")
_SEGMENT = re.compile(r"[^/?&=]+")


def is_template(text: str) -> bool:
    """Return True if the text is a template."""
    return OPENING.search(text) is not None


def split_expressions(url: str) -> tuple[str, tuple[str, ...]]:
    """Replace each ``{{ … }}`` of a URL with a placeholder; return the URL and the expressions.

    The rules for URLs apply to the result. Raises ``ValueError`` for a template that is not an expression,
    or that comes before the path.
    """
    expressions = tuple(_EXPRESSION.findall(url))
    numbers = iter(range(len(expressions)))
    plain = _EXPRESSION.sub(lambda _: _PLACEHOLDER.format(next(numbers)), url)
    if OPENING.search(plain):
        raise ValueError("the URL contains {% or {#, or a {{ without }}; use only {{ … }}")
    head = re.match(r"[^:/?#]*://[^/?#]*|[^/]*", plain)
    if expressions and head is not None and _PLACEHOLDER.format(0) in head[0]:
        raise ValueError(
            "the URL contains {{ … }} before its path; only path and query may change with the event"
        )
    return plain, expressions


class TargetTemplate:
    """A URL whose path or query changes with the event; scheme, host and port never do.

    ``url`` is the parsed text with placeholders; ``expressions`` replace them in order.
    """

    def __init__(self, url: Url, expressions: tuple[str, ...]) -> None:
        """Compile the templates. Raises ``TemplateMistake``."""
        self._url = url
        self._expressions = expressions
        path, mark, query = url.target.partition("?")
        self._mark = mark
        self._path = _text(_filled(path, expressions), "the URL's path", path_text)
        self._query = _text(_filled(query, expressions), "the URL's query", query_text)

    def masked(self, mask: str) -> TargetTemplate:
        """Return the same template with ``mask`` for every part from the configuration."""
        pieces = _PLACEHOLDERS.split(self._url.target)
        pieces[::2] = [_SEGMENT.sub(mask, piece) for piece in pieces[::2]]
        return TargetTemplate(self._url._replace(target="".join(pieces)), self._expressions)

    def refilled(self, shown_target: str, mask: str) -> Url | None:
        """Return the URL whose ``masked`` form is this target; None if there is none, or more than one.

        What the configuration contains is that of today; what events inserted is taken from the target.
        """
        pieces = _PLACEHOLDERS.split(self._url.target)
        shown = [re.escape(_SEGMENT.sub(mask, piece)) for piece in pieces[::2]]
        shortest = re.fullmatch("(.*?)".join(shown), shown_target, re.DOTALL)
        longest = re.fullmatch("(.*)".join(shown), shown_target, re.DOTALL)
        if shortest is None or longest is None or shortest.groups() != longest.groups():
            return None
        pieces[1::2] = shortest.groups()
        return self._url._replace(target="".join(pieces))

    def of(self, event: Event) -> Url:
        """Return the URL for an event. Raises ``DecodeError`` and ``RenderError``."""
        target = f"{self._path.of(event)}{self._mark}{self._query.of(event)}"
        if len(target) > MAX_TARGET_CHARS:
            raise RenderError(f"the URL has more than {MAX_TARGET_CHARS} characters")
        return self._url._replace(target=target)


def _text(source: str, name: str, insert: Insert) -> Text:
    return Text(sandbox(insert, Kind.TEXT).compile(source, name))


def _filled(text: str, expressions: tuple[str, ...]) -> str:
    for number, expression in enumerate(expressions):
        text = text.replace(_PLACEHOLDER.format(number), expression)
    return text


class RequestRenderer:
    """Renders requests with a templated URL, templated headers, or another body."""

    def __init__(
        self, method: str, url: Url | TargetTemplate, headers: tuple[tuple[bytes, Text], ...], body: MakeBody
    ) -> None:
        self._method = method
        self._url = url
        self._headers = headers
        self._body = body

    def render(self, event: Event) -> Rendered:
        """See ``Renderer``."""
        headers, body = self._body(event)
        if self._headers:
            headers = (*headers, *self._own_headers(event))
        return Rendered(self._method, self._url_for(event), headers, body)

    def faults(self, event: Event) -> list[RenderError]:
        """Return all faults of this event's request, for a person who corrects templates."""
        faults: list[RenderError] = []
        for part in (self._url_for, self._own_headers, self._body):
            try:
                part(event)
            except RenderError as exc:
                faults.append(exc)
        return faults

    def _url_for(self, event: Event) -> Url:
        return self._url.of(event) if isinstance(self._url, TargetTemplate) else self._url

    def _own_headers(self, event: Event) -> Headers:
        return tuple((name, _header_value(name, text.of(event))) for name, text in self._headers)


def _header_value(name: bytes, text: str) -> bytes:
    value = to_bytes(text.strip())
    if len(value) > MAX_HEADER_BYTES:
        raise RenderError(f"the header {name.decode()} has more than {MAX_HEADER_BYTES} bytes")
    return value


def build_request_renderer(
    method: str,
    url: Url | TargetTemplate,
    headers: Mapping[str, str] | None = None,
    body: MakeBody | None = None,
) -> Renderer:
    """Return a renderer. ``headers`` are templates; ``body`` defaults to the standard one.

    Raises ``TemplateMistake``.
    """
    if body is None and not headers and isinstance(url, Url):
        return StandardRenderer(method, url)
    texts = tuple(
        (name.encode("ascii"), _text(source, f"the header {name}", header_text))
        for name, source in (headers or {}).items()
    )
    return RequestRenderer(method, url, texts, body or standard)
