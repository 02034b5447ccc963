"""The forms in which a secret appears in a text from outside, and the decoding of such a text. Pure.

Invariant: texts and forms are compared in lower case, so a form is found whichever letters an encoder uses
for hexadecimal digits.
"""

from __future__ import annotations

import html
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote_plus

LEAST = 6
"""Shorter secrets have no forms: in most texts, such a word is not the secret."""
PART = 12
"""So many bytes of the beginning of a form count as the secret, wherever they are."""
_LEVELS = 6
"""A text, and five encodings inside each other: HTML around JSON around a percent-encoded query is three."""
_ENCODED = re.compile(
    rb"""%[0-9a-f]{2}
    | \\ud[89ab][0-9a-f]{2} \\ud[cdef][0-9a-f]{2} | \\u[0-9a-f]{4} | \\u\{[0-9a-f]{1,6}\} | \\x[0-9a-f]{2}
    | \\[0-3][0-7]{2} | \\["'\\/bfnrt]
    | &(?: \#[0-9]{1,7} | \#x[0-9a-f]{1,6} | [a-z][a-z0-9]{1,7} );
    | \r\n[\ \t]* | \n[\ \t]*""",
    re.VERBOSE,
)
"""Percent-encoding, escapes of JSON and of programming languages, HTML references, and wrapped lines.

Each alternative begins with a literal, so that a search skips other bytes quickly."""
_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class Secret(NamedTuple):
    """A text that must not be shown. With ``exact`` its beginning is no secret, as with ``Bearer …``."""

    text: str
    exact: bool = False


class Form(NamedTuple):
    """One form of a secret, in lower case.

    ``part`` is the number of bytes of its beginning that count as the secret; 0 if only all of it does.
    """

    text: bytes
    part: int
    is_base64: bool = False


def forms_of(secret: Secret) -> Iterator[Form]:
    """Yield the forms of a secret that are not found by decoding the text.

    These are: itself, itself decoded, in UTF-16, in hexadecimal, and in Base64 at each of the three positions
    that it can have inside a longer value, such as ``user:password``.
    """
    raw = secret.text.encode("utf-8", "surrogatepass")
    part = 0 if secret.exact else PART
    plain = [raw, fully_decoded(raw), raw.replace(b" ", b"+")]
    if not raw.isascii():
        plain.append(secret.text.encode("latin-1", "ignore"))
    for text in dict.fromkeys(plain):
        yield Form(text.lower(), part)
    if len(raw) < LEAST:
        return
    yield Form(raw.hex().encode(), part)
    yield Form(b"\0".join([raw[at : at + 1] for at in range(len(raw))]).lower(), part)  # of ASCII, in UTF-16
    for text in dict.fromkeys((raw, quote_plus(raw).encode())):  # RFC 6749 2.3.1 encodes before Base64
        for before in range(3):
            for encode in (b64encode, urlsafe_b64encode):
                digits = _inside_base64(encode(bytes(before) + text), before, len(text))
                yield Form(digits.lower(), part, True)


def _inside_base64(encoded: bytes, before: int, size: int) -> bytes:
    """Return the digits that depend on nothing but the ``size`` bytes that follow ``before`` others."""
    return encoded[(8 * before + 5) // 6 : 8 * (before + size) // 6]


class View:
    """A text in lower case, or such a text with one encoding taken off; ``outer`` is then the text before."""

    def __init__(self, text: bytes, outer: View | None = None) -> None:
        self.text = text
        self._outer = outer

    def decoded(self) -> View | None:
        """Return the text with one encoding taken off; None if it has none."""
        if _ENCODED.search(self.text) is None:
            return None
        return View(_ENCODED.sub(lambda match: _plain(match[0]), self.text), self)

    def original(self, begin: int, end: int) -> tuple[int, int]:
        """Return the range of the original text that these bytes come from. It is not empty."""
        if self._outer is None:
            return begin, end
        first, last = _source(self._outer.text, begin), _source(self._outer.text, end - 1)
        return self._outer.original(first[0], last[1])


def views_of(lower: bytes) -> Iterator[View]:
    """Yield a text in lower case, then with one encoding after the other taken off."""
    view: View | None = View(lower)
    for _ in range(_LEVELS):
        if view is None:
            return
        yield view
        view = view.decoded()


def fully_decoded(raw: bytes) -> bytes:
    """Return a text in lower case with all encodings taken off."""
    *_, last = views_of(raw.lower())
    return last.text


def _source(text: bytes, index: int) -> tuple[int, int]:
    """Return the range of a text from which decoding makes the byte with this index."""
    at = decoded = 0
    for match in _ENCODED.finditer(text):
        literal = match.start() - at
        if index < decoded + literal:
            break
        decoded += literal
        at = match.end()
        size = len(_plain(match[0]))
        if index < decoded + size:
            return match.span()
        decoded += size
    begin = at + index - decoded
    return begin, begin + 1


@lru_cache(maxsize=1024)
def _plain(encoded: bytes) -> bytes:
    """Return the text that one match of ``_ENCODED`` encodes, in lower case."""
    lead, kind = encoded[:1], encoded[1:2]
    if lead == b"%":
        plain = bytes.fromhex(encoded[1:].decode())
    elif lead == b"&":
        plain = html.unescape(encoded.decode()).encode("utf-8", "surrogatepass")
    elif lead != b"\\":
        return b""  # a wrapped line goes on in the next one
    elif kind == b"x":
        plain = bytes.fromhex(encoded[2:].decode())
    elif encoded.startswith(b"\\u{"):
        plain = html.unescape(f"&#x{encoded[3:-1].decode()};").encode("utf-8", "surrogatepass")
    elif kind.isdigit():
        plain = bytes([int(encoded[1:], 8)])
    elif kind == b"u":
        units = bytes.fromhex(encoded.replace(b"\\u", b"").decode())
        plain = units.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass")
    else:
        plain = _ESCAPES.get(kind, kind)
    return plain.lower()
