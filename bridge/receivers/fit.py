"""Text that fits: cleaned of what no receiver shows, escaped, and cut visibly where it is too long. Pure.

Part of the presets. Lengths count UTF-16 units: no receiver counts more generously than that, and
those that count code points are then safe as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

Escape = Callable[[str], str]
"""What a receiver's markup asks for; it never makes a text shorter."""

TITLE, LABEL, VALUE, SUMMARY, FOOTER = 150, 80, 400, 400, 300
"""Units for the parts of a chat message: ten fields of them stay below Discord's 6,000 in all and,
three bytes a unit at worst, below the 28 KB of Teams. 150 is Slack's limit for a header."""

MORE = "…"
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s+")
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")


def verbatim(text: str) -> str:
    """The text as it is: for receivers without markup."""
    return text


def clean(text: str) -> str:
    """The text without control characters and halves of surrogate pairs, which have no UTF-8 form."""
    text = _CONTROLS.sub(" ", text)
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def one_line(text: str) -> str:
    """The cleaned text with every run of white space as one space, and none around it."""
    return _SPACE.sub(" ", clean(text)).strip()


def units(text: str) -> int:
    """The length of a text in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def fit(text: str, limit: int, escape: Escape = verbatim) -> str:
    """The cleaned and escaped text; where it has more than ``limit`` units, its beginning and an ellipsis.

    It is cut before it is escaped, so never inside an escape, and never between a character and
    the mark or joiner that belongs to it.
    """
    if escape is verbatim and len(text) <= limit and text.isascii() and text.isprintable():
        return text  # nearly all are
    text = clean(text[: limit + 1])  # no character is shorter than a unit, cleaned or escaped
    whole = escape(text)
    if units(whole) <= limit:
        return whole
    least, most = 0, min(len(text), limit)
    while least < most:
        middle = (least + most + 1) // 2
        if units(escape(text[:middle] + MORE)) <= limit:
            least = middle
        else:
            most = middle - 1
    return escape(text[: _boundary(text, least)].rstrip() + MORE)


def _boundary(text: str, at: int) -> int:
    """The nearest place at or before ``at`` where no character is torn from its marks."""
    for place in range(at, max(at - 16, 0), -1):
        if not _clings(text[place]) and text[place - 1] != "\u200d":
            return place
    return at


def _clings(character: str) -> bool:
    return character in _JOINERS or unicodedata.combining(character) != 0
