"""Fit text into a limit: remove characters that no receiver shows, escape, and truncate with an ellipsis.

Lengths are in UTF-16 units. No receiver's own count of a text is higher, so a limit in other units, such
as code points, is also met.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

Escape = Callable[[str], str]
"""Escapes text for a receiver's markup. It never returns a shorter text."""

TITLE, LABEL, VALUE, SUMMARY, FOOTER = 150, 80, 400, 400, 300
"""Units for the parts of a chat message. Ten fields stay below Discord's 6,000 in total and, with at most
three bytes per unit, below the 28 KB of Teams. 150 is Slack's limit for a header."""

MORE = "…"
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s+")
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")


def verbatim(text: str) -> str:
    """Return the text unchanged, for receivers without markup."""
    return text


def clean(text: str) -> str:
    """Remove control characters and halves of surrogate pairs, which have no UTF-8 form."""
    text = _CONTROLS.sub(" ", text)
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Clean the text, reduce every run of white space to one space, and strip it."""
    return _SPACE.sub(" ", clean(text)).strip()


def units(text: str) -> int:
    """Return the length of a text in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def fit(text: str, limit: int, escape: Escape = verbatim) -> str:
    """Clean and escape the text; truncate it with an ellipsis if it has more than ``limit`` units.

    It is truncated before it is escaped, so never inside an escape, and never between a character and
    its combining mark or joiner.
    """
    if escape is verbatim and len(text) <= limit and text.isascii() and text.isprintable():
        return text  # the usual case
    text = clean(text[: limit + 1])  # every character has at least one unit, cleaned or escaped
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
    """Return the last index up to ``at`` that does not separate a character from its marks."""
    for index in range(at, max(at - 16, 0), -1):
        if not _is_combining(text[index]) and text[index - 1] != "\u200d":
            return index
    return at


def _is_combining(character: str) -> bool:
    return character in _JOINERS or unicodedata.combining(character) != 0
