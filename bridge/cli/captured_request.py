"""Read a captured request: the text of an HTTP request, or headers and body in two files. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_FIELD = re.compile(rb"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*(?P<value>.*?)[ \t]*")
_LONGEST_LENGTH = 15
_FIRST_LINE = re.compile(rb"[A-Z]+ \S+( HTTP/[0-9.]+)?|HTTP/[0-9.]+ [0-9]{3}.*")


class BadCapture(ValueError):
    """Text that is no captured request; the message has cause and remedy."""


class CapturedRequest(NamedTuple):
    """The headers of a request, with lower-case names, and its raw body."""

    headers: Mapping[str, str]
    body: bytes

    def length_note(self) -> str | None:
        """Return how the body differs from ``Content-Length``, or None."""
        announced = self.headers.get("content-length", "")
        is_length = announced.isascii() and announced.isdigit() and len(announced) <= _LONGEST_LENGTH
        if not is_length or int(announced) == len(self.body):
            return None
        return f"the captured body has {len(self.body)} bytes, but Content-Length is {int(announced)}"


def read_request(content: bytes, body: bytes | None = None) -> CapturedRequest:
    """Read headers, an empty line, and the body; ``body`` replaces what follows the empty line.

    The first line may be a request line, and each line may begin with ``> `` as in ``curl -v``. Raises
    ``BadCapture``.
    """
    head, rest = _split(content)
    headers: dict[str, str] = {}
    for number, line in enumerate(re.split(rb"\r?\n", head), 1):
        text = line.removeprefix(b"> ").removeprefix(b">").strip()
        if not text or (number == 1 and _FIRST_LINE.fullmatch(text)):
            continue
        match = _FIELD.fullmatch(text)
        if match is None:
            remedy = "write Name: value, and an empty line before the body"
            raise BadCapture(f"line {number} is not a header; {remedy}")
        headers[match["name"].decode("ascii").lower()] = match["value"].decode("utf-8", "surrogateescape")
    if not headers:
        raise BadCapture("there are no headers; write one Name: value per line, as the receiver got them")
    return CapturedRequest(headers, rest if body is None else body)


def _split(content: bytes) -> tuple[bytes, bytes]:
    end = re.search(rb"\r?\n(?:>[ \t]*)?\r?\n", content)
    return (content, b"") if end is None else (content[: end.start()], content[end.end() :])
