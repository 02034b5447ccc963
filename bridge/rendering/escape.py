"""Insert values into text of each kind, so that no data can break out of its place.

Each kind of text has one ``Insert``. Half a surrogate pair has no encoding: it becomes U+FFFD when the
text is encoded (``to_bytes``).
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
from bridge.rendering.sandbox import Insert, JsonText, NotPossible, as_text, format_decimal

Escape = Callable[[str], str]
"""Escaping that a receiver requires beyond its content type, such as Slack's ``&amp;``; applied first."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_XML = re.compile("[&<>\"'\t\n\r\x85\u2028]|[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_ENTITIES = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;",
    "\r": "&#13;", "\x85": "&#133;", "\u2028": "&#8232;",
}  # fmt: skip
_JSON_WORD = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|true|false|null", re.ASCII)
_TAG_WORD = re.compile(r"[\w.:-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Kind(Enum):
    """The kinds of text, which differ in how a value is inserted."""

    JSON = "json"
    XML = "xml"
    FORM = "form"
    TEXT = "text"


def kind_of_content(content_type: str) -> Kind:
    """Return the kind of a body with this content type (RFC 6839: ``+json``, ``+xml``)."""
    media = content_type.partition(";")[0].strip().lower()
    if media == "application/json" or media.endswith("+json"):
        return Kind.JSON
    if media in {"application/xml", "text/xml", "text/html"} or media.endswith("+xml"):
        return Kind.XML
    return Kind.FORM if media == "application/x-www-form-urlencoded" else Kind.TEXT


def insert_for(kind: Kind, escape: Escape | None = None) -> Insert:
    """Return the function that converts any value to its inserted text in text of this kind.

    In JSON that is the text inside quotes; ``outside_quotes`` is for the other values.
    """
    encode = _ENCODE[kind]
    if kind is Kind.JSON:
        return _inside_quotes if escape is None else _inside_quotes_after(escape)

    def insert(value: Any) -> str:
        text = value if type(value) is str else readable(value)
        return encode(text if escape is None else escape(text))

    return insert


def to_bytes(text: str) -> bytes:
    """Encode as UTF-8; half a surrogate pair becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def readable(value: Any) -> str:
    """Format a value as text. Raises ``NotPossible`` for a list or mapping, which is no text by itself."""
    if type(value) is bytes:
        return base64.b64encode(value).decode("ascii")
    return as_text(value)


def json_of(value: Any) -> str:
    """Return the complete JSON form, with quotes around texts and amounts. Raises ``NotPossible``."""
    try:
        return to_json(value).decode()
    except RenderError:
        if isinstance(value, str):
            return to_json(_SURROGATE.sub("\ufffd", value)).decode()
        raise NotPossible("the value has no JSON form") from None


def _inside_quotes(value: Any) -> str:
    """Return a value as part of a JSON string; the template contains its quotes. Null is the empty text."""
    kind = type(value)
    if kind is str:
        return encode_basestring(value)[1:-1]
    if kind is Decimal:
        return format_decimal(value)
    if kind is float:
        return orjson.dumps(value).decode()
    return encode_basestring(readable(value))[1:-1]


def _inside_quotes_after(escape: Escape) -> Insert:
    def insert(value: Any) -> str:
        if isinstance(value, str):
            text = json_of(value.value) if type(value) is JsonText else value
            return encode_basestring(escape(text))[1:-1]
        return _inside_quotes(value)

    return insert


def outside_quotes(escape: Escape | None = None) -> Insert:
    """Return the function for values outside quotes in JSON: each becomes one complete JSON value.

    A text is only possible if it is a number, ``true``, ``false`` or ``null``: any other one could add keys.
    """

    def insert(value: Any) -> str:
        kind = type(value)
        if value is None:
            return "null"
        if kind is JsonText:
            return "".join((value,))
        if kind is dict or kind is list or kind is tuple:
            return json_of(value if escape is None else escape_texts(value, escape))
        if kind is bytes or (isinstance(value, str) and not _JSON_WORD.fullmatch(value)):
            raise NotPossible("a text has no quotes around it; put it in quotes, or add | json")
        return _inside_quotes(value)

    return insert


def name_in_tag(value: Any) -> str:
    """Return a value in a tag of XML or HTML outside quotes; any other text could add attributes or elements.

    Raises ``NotPossible``.
    """
    text = value if type(value) is str else readable(value)
    if not _TAG_WORD.fullmatch(text):
        raise NotPossible("a value in a tag has no quotes around it, and is not a name; put it in quotes")
    return text


def escape_texts(value: Any, escape: Escape) -> Any:
    """Return the value with every text in it escaped, except keys."""
    if isinstance(value, dict):
        return {key: escape_texts(member, escape) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [escape_texts(item, escape) for item in value]
    return escape(value) if isinstance(value, str) else value


def xml_text(text: str) -> str:
    """Escape text for an element or attribute; characters that XML 1.0 forbids become U+FFFD."""
    return _XML.sub(lambda match: _XML_ENTITIES.get(match[0], "\ufffd"), text)


def form_text(text: str) -> str:
    """Percent-encode everything except letters, digits and ``-._~``."""
    return quote(to_bytes(text), safe="")


_ENCODE: dict[Kind, Escape] = {Kind.JSON: str, Kind.XML: xml_text, Kind.FORM: form_text, Kind.TEXT: str}


def path_text(value: Any) -> str:
    """Encode one segment of a URL's path. Raises ``NotPossible`` for a value that would change the path.

    An empty text or null would request the collection instead of its member. Dots would lead to a parent
    path, also after an encoded slash, which some servers decode first.
    """
    text = value if type(value) is str else readable(value)
    if not text:
        raise NotPossible(
            "a value in the URL's path is empty" if value is not None else "a value in the URL's path is null"
        )
    if any(part in {".", ".."} for part in re.split(r"[/\\]", text)):
        raise NotPossible("a value in the URL's path contains a . or .. segment, which leads to another path")
    return query_text(text)


def query_text(value: Any) -> str:
    """Encode a value in a URL's query. Raises ``NotPossible`` for control characters."""
    text = value if type(value) is str else readable(value)
    if _CONTROL.search(text):
        raise NotPossible("a value in the URL contains a control character")
    return form_text(text)


def header_text(value: Any) -> str:
    """Format a value for a header line; control characters, which could end the line, become spaces."""
    return _CONTROL.sub(" ", value if type(value) is str else readable(value))
