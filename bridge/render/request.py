"""Puts a request together: method, URL, templated headers, body.

Part of step 7. Rule floor, pure. ``renderer`` is what the composition calls; where nothing is templated it
gives the constant renderer, which costs no more than the body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bridge.errors import RenderError
from bridge.model import Event, Url
from bridge.render import MakeBody, Rendered, Renderer, StandardRenderer
from bridge.render.escape import Kind, header_text, path_text, query_text, to_bytes
from bridge.render.named import standard
from bridge.render.template import Text, compiled

MAX_TARGET_CHARS = 8192
MAX_HEADER_BYTES = 4096
OPENING = re.compile(r"\{\{|\{%|\{#")
"""What makes a text a template."""

_EXPRESSION = re.compile(r"\{\{(?:'[^']*'|\"[^\"]*\"|[^'\"])*?\}\}", re.DOTALL)
_PLACE = "hookferry-value-{}-here"


def is_template(text: str) -> bool:
    """Whether a text has anything to fill in."""
    return OPENING.search(text) is not None


def with_places(url: str) -> tuple[str, tuple[str, ...]]:
    """The URL with a harmless word for each ``{{ … }}``, and those; the URL's rules apply to what is left.

    Raises ``ValueError`` for a template that is not an expression, or that stands before the path.
    """
    expressions = tuple(_EXPRESSION.findall(url))
    places = iter(range(len(expressions)))
    filled = _EXPRESSION.sub(lambda _: _PLACE.format(next(places)), url)
    if OPENING.search(filled):
        raise ValueError("the URL has a {% or {# in it, or a {{ without }}; use {{ … }} alone")
    head = re.match(r"[^:/?#]*://[^/?#]*|[^/]*", filled)
    if expressions and head is not None and _PLACE.format(0) in head[0]:
        raise ValueError(
            "the URL has a {{ … }} before its path; only path and query may change with the event"
        )
    return filled, expressions


class TargetTemplate:
    """A URL whose path or query changes with the event; scheme, host and port never do.

    ``url`` is what was parsed of the text with places, ``expressions`` belong into them in order.
    """

    def __init__(self, url: Url, expressions: tuple[str, ...]) -> None:
        """Raises ``TemplateMistake``."""
        self._url = url
        path, mark, query = url.target.partition("?")
        self._mark = mark
        self._path = compiled(_filled(path, expressions), "the URL's path", path_text, Kind.TEXT)
        self._query = compiled(_filled(query, expressions), "the URL's query", query_text, Kind.TEXT)

    def of(self, event: Event) -> Url:
        """The URL for an event. Raises ``DecodeError`` and ``RenderError``."""
        target = f"{self._path.of(event)}{self._mark}{self._query.of(event)}"
        if len(target) > MAX_TARGET_CHARS:
            raise RenderError(f"the URL has more than {MAX_TARGET_CHARS} characters")
        return self._url._replace(target=target)


def _filled(text: str, expressions: tuple[str, ...]) -> str:
    for number, expression in enumerate(expressions):
        text = text.replace(_PLACE.format(number), expression)
    return text


class RequestRenderer:
    """Everything that is not the ordinary case."""

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
            headers = (
                *headers,
                *((name, _header_value(name, text.of(event))) for name, text in self._headers),
            )
        url = self._url.of(event) if isinstance(self._url, TargetTemplate) else self._url
        return Rendered(self._method, url, headers, body)


def _header_value(name: bytes, text: str) -> bytes:
    value = to_bytes(text.strip())
    if len(value) > MAX_HEADER_BYTES:
        raise RenderError(f"the header {name.decode()} has more than {MAX_HEADER_BYTES} bytes")
    return value


def renderer(
    method: str,
    url: Url | TargetTemplate,
    headers: Mapping[str, str] | None = None,
    body: MakeBody | None = None,
) -> Renderer:
    """``headers`` are templates; without ``body`` it is the standard one. Raises ``TemplateMistake``."""
    if body is None and not headers and isinstance(url, Url):
        return StandardRenderer(method, url)
    texts = tuple(
        (name.encode("ascii"), compiled(source, f"the header {name}", header_text, Kind.TEXT))
        for name, source in (headers or {}).items()
    )
    return RequestRenderer(method, url, texts, body or standard)
