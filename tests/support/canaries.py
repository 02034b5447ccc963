"""Secrets that are unique texts, and the search for them in everything that was written.

The search does not use the product's scrubber: it takes the encodings off with the standard library, until
nothing changes, and looks for the first half of each canary.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote_to_bytes

_ROUNDS = 8
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")
_ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})")


def escaped(text: str) -> str:
    """Return each character as an escape of JSON."""
    return "".join(f"\\u{ord(char):04X}" for char in text)


ENCODERS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "percent": lambda text: quote(text, safe=""),
    "percent, lower case": lambda text: re.sub("%..", lambda match: match[0].lower(), quote(text, safe="")),
    "form": quote_plus,
    "json": lambda text: json.dumps({"request": text}),
    "json with slashes": lambda text: json.dumps({"request": text}).replace("/", "\\/"),
    "json in json": lambda text: json.dumps({"log": json.dumps({"request": text})}),
    "escapes": escaped,
    "octal": lambda text: "".join(f"\\{ord(char):03o}" if ord(char) < 256 else char for char in text),
    "html": lambda text: f"<pre>{html.escape(text)}</pre>",
    "html numbers": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "html hex": lambda text: "".join(f"&#x{ord(char):X};" for char in text),
    "html of json": lambda text: html.escape(json.dumps({"request": text})),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "utf-16": lambda text: text.encode("utf-16-be").decode("latin-1"),
    "hex": lambda text: text.encode().hex(),
    "hex, upper case": lambda text: text.encode().hex().upper(),
}
"""How a receiver may write a request into its error page."""


def forms(canary: str) -> Iterator[bytes]:
    """Yield the first half of a canary, raw, in hexadecimal, and in Base64 at every position."""
    half = canary[: len(canary) // 2].encode()
    yield half.lower()
    yield half.lower().replace(b"", b"\0")[1:-1]
    yield half.hex().encode()
    for before in range(3):
        digits = base64.b64encode(bytes(before) + half)
        yield digits[(8 * before + 5) // 6 : 8 * (before + len(half)) // 6].lower()


def plain(data: bytes) -> Iterator[bytes]:
    """Yield the data, then the data with one encoding after the other taken off; all in lower case."""
    for _ in range(_ROUNDS):
        yield data.lower()
        before = data
        data = _ESCAPE.sub(lambda match: chr(int(match[1], 16)).encode("utf-8", "surrogatepass"), data)
        data = _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), data)
        data = data.replace(b"\\/", b"/").replace(b'\\"', b'"').replace(b"\\\\", b"\\").replace(b"\\n", b"\n")
        data = html.unescape(unquote_to_bytes(data).decode("latin-1")).encode("utf-8")
        data = re.sub(rb"[ \t]*\r?\n[ \t]*", b"", data)
        if data == before:
            return


def find_canaries(data: bytes, canaries: Iterable[str]) -> set[str]:
    """Return the canaries of which at least the first half is in the data."""
    canaries = list(canaries)
    return {
        canary for text in plain(data) for canary in canaries if any(form in text for form in forms(canary))
    }
