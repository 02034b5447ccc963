"""How a value is inserted into text of each kind, so that no data can break out of its place.

Below ``template`` in step 7. Rule floor, pure. One ``Insert`` per kind of text; half a surrogate, which no
encoding has, becomes U+FFFD when the whole text becomes bytes (``to_bytes``).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import quote

import orjson

from bridge.errors import RenderError
from bridge.rendering import to_json
from bridge.rendering.sandbox import Insert, NotPossible, as_text, plain

Escape = Callable[[str], str]
"""Something a receiver needs beyond its content type, such as Slack's ``&amp;``; it comes first."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_XML = re.compile("[&<>\"'\t\n\r\x85\u2028]|[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_ENTITIES = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;",
    "\r": "&#13;", "\x85": "&#133;", "\u2028": "&#8232;",
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Kind(Enum):
    """The kinds of text that have a way of their own to take a value in."""

    JSON = "json"
    XML = "xml"
    FORM = "form"
    TEXT = "text"


def kind_of_content(content_type: str) -> Kind:
    """How values go into a body of this content type (RFC 6839: ``+json``, ``+xml``)."""
    media = content_type.partition(";")[0].strip().lower()
    if media == "application/json" or media.endswith("+json"):
        return Kind.JSON
    if media in {"application/xml", "text/xml", "text/html"} or media.endswith("+xml"):
        return Kind.XML
    return Kind.FORM if media == "application/x-www-form-urlencoded" else Kind.TEXT


def insert_for(kind: Kind, escape: Escape | None = None) -> Insert:
    """What makes the inserted text of any value in text of this kind."""
    if kind is Kind.JSON:
        return _json if escape is None else _json_after(escape)
    encode = _ENCODE[kind]

    def insert(value: Any) -> str:
        text = value if type(value) is str else readable(value)
        return encode(text if escape is None else escape(text))

    return insert


def to_bytes(text: str) -> bytes:
    """UTF-8."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def readable(value: Any) -> str:
    """A value as a person writes it; lists and mappings as JSON. Raises ``NotPossible``."""
    kind = type(value)
    if kind is dict or kind is list or kind is tuple:
        return json_of(value)
    if kind is bytes:
        return base64.b64encode(value).decode("ascii")
    return as_text(value)


def json_of(value: Any) -> str:
    """The whole JSON form, with quotes around texts and amounts. Raises ``NotPossible``."""
    try:
        return to_json(value).decode()
    except RenderError:
        if isinstance(value, str):
            return to_json(_SURROGATE.sub("\ufffd", value)).decode()
        raise NotPossible("the value has no JSON form") from None


def _json(value: Any) -> str:
    """A text without the quotes, which stand in the template; anything else in its JSON form.

    Null is nothing there: ``null`` it is where no quotes are, and the sandbox knows that place.
    """
    kind = type(value)
    if kind is str:
        return encode_basestring(value)[1:-1]
    if value is None:
        return ""
    if kind is Decimal:
        return plain(value)
    if kind is float:
        return orjson.dumps(value).decode()
    if kind is dict or kind is list or kind is tuple:
        return json_of(value)
    return encode_basestring(readable(value))[1:-1]


def _json_after(escape: Escape) -> Insert:
    def insert(value: Any) -> str:
        if type(value) is str:
            return encode_basestring(escape(value))[1:-1]
        if isinstance(value, dict | list | tuple):
            return json_of(escaped(value, escape))
        return _json(value)

    return insert


def escaped(value: Any, escape: Escape) -> Any:
    """The same value with every text in it escaped, keys excepted."""
    if isinstance(value, dict):
        return {key: escaped(one, escape) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(one, escape) for one in value]
    return escape(value) if isinstance(value, str) else value


def xml_text(text: str) -> str:
    """Text as it may stand in an element or attribute; what XML 1.0 forbids becomes U+FFFD."""
    return _XML.sub(lambda found: _XML_ENTITIES.get(found[0], "\ufffd"), text)


def form_text(text: str) -> str:
    """Percent-encoded: only letters, digits and ``-._~`` stay."""
    return quote(to_bytes(text), safe="")


_ENCODE: dict[Kind, Escape] = {Kind.XML: xml_text, Kind.FORM: form_text, Kind.TEXT: str}


def path_text(value: Any) -> str:
    """One step of a URL's path. Raises ``NotPossible`` for what would make it another path.

    Nothing and null would ask for the collection in place of its member; dots would climb, also behind
    an encoded slash, which some servers decode first.
    """
    text = value if type(value) is str else readable(value)
    if not text:
        raise NotPossible(
            "a value in the URL's path is empty" if value is not None else "a value in the URL's path is null"
        )
    if any(part in {".", ".."} for part in re.split(r"[/\\]", text)):
        raise NotPossible("a value in the URL's path has a step of dots, which would climb")
    return query_text(text)


def query_text(value: Any) -> str:
    """A value in a URL's query. Raises ``NotPossible`` for control characters."""
    text = value if type(value) is str else readable(value)
    if _CONTROL.search(text):
        raise NotPossible("a value in the URL has a control character in it")
    return form_text(text)


def header_text(value: Any) -> str:
    """A value in a header's line: what would end or break the line becomes a space."""
    return _CONTROL.sub(" ", value if type(value) is str else readable(value))
