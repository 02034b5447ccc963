"""The places of a text of one kind: where a value is a part of a text, and where it would be syntax.

A state is the place at the end of what was read so far. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_JSON_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_XML_NEXT = {
    "text": re.compile(r"<!--|<!\[CDATA\[|<\?|<"),
    "tag": re.compile("[\"'>]"),
    "double": re.compile('"'),
    "single": re.compile("'"),
    "comment": re.compile("-->"),
    "cdata": re.compile("]]>"),
    "instruction": re.compile(r"\?>"),
}
_XML_AFTER = {
    "<!--": "comment", "<![CDATA[": "cdata", "<?": "instruction", "<": "tag", ">": "text", "-->": "text",
    "]]>": "text", "?>": "text", '"': "tag", "'": "tag",
}  # fmt: skip
_XML_QUOTES = {'"': "double", "'": "single"}


@dataclass(frozen=True, slots=True)
class Syntax:
    """The places of one kind of text.

    A text begins in ``start``. ``inside`` is the most frequent place of values, and in ``outside`` nothing
    encloses a value. ``scan(text, state)`` returns the state after the text.

    ``has_backslash``: a backslash changes the meaning of the next character.
    """

    start: str
    inside: str
    outside: str
    scan: Callable[[str, str], str]
    has_backslash: bool = False


def _scan_json(text: str, state: str) -> str:
    """Count the quotes. A backslash outside quotes is no JSON, so it does not matter what it does there."""
    if '"' not in text:
        return state
    if _JSON_QUOTE.findall(text).count('"') % 2 == 0:
        return state
    return "outside" if state == "inside" else "inside"


def _scan_xml(text: str, state: str) -> str:
    at = 0
    while found := _XML_NEXT[state].search(text, at):
        mark, at = found[0], found.end()
        after = _XML_QUOTES if state == "tag" and mark in _XML_QUOTES else _XML_AFTER
        state = after[mark]
    return state


JSON = Syntax(start="outside", inside="inside", outside="outside", scan=_scan_json, has_backslash=True)
"""Inside and outside quotes."""
XML = Syntax(start="text", inside="text", outside="tag", scan=_scan_xml)
"""In text, in a quoted attribute, or in a tag outside quotes; HTML too, except scripts and styles."""
