"""Removes the secrets of this process from every text before it is stored, logged or shown.

Error pages repeat requests, and clients repeat addresses and logins. Invariant: a text that went through
``scrub`` contains no secret that was learned before, in none of the forms of ``secret_forms.py``.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from bridge.telemetry.secret_forms import LEAST, Form, Secret, View, forms_of, views_of

MASK = "***"
_REACH = 256
"""Bytes beyond a limit that are searched too: what is masked makes room for them."""
_TOKENS = 4
"""Tokens of one login that are remembered: an answer may repeat a token that was renewed meanwhile."""
_CUT = re.compile(
    rb"\Z|\.\.\.|\xe2\x80\xa6|(?:%[0-9a-f]?|\\(?:u[0-9a-f]{0,3}|x[0-9a-f]?)?|&[#a-z0-9]{0,8})\Z"
)
"""Where a text was cut off: at its end, at an ellipsis, or inside an escape."""
_BASE64 = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789+/-_")

Range = tuple[int, int]


class Scrubber:
    """The secrets in force, and the search for them.

    A search looks at each position of the text once, however many secrets there are.
    """

    def __init__(self) -> None:
        self._secrets: dict[Secret, None] = {}
        self._tokens: dict[str, deque[str]] = {}
        self._heads: dict[bytes, tuple[Form, ...]] = {}
        """The forms by their first bytes."""
        self.version = 0
        """Increases with each secret: what was searched before may contain it."""

    def learn(self, secrets: Iterable[Secret]) -> None:
        """Add secrets of the configuration: they are in force until the process ends."""
        for secret in secrets:
            if secret not in self._secrets:
                self._secrets[secret] = None
                self._add(secret)

    def learn_token(self, login: str, token: str) -> None:
        """Add a token that a server issued for a login; the last few of each login are in force."""
        tokens = self._tokens.setdefault(login, deque(maxlen=_TOKENS))
        if token in tokens:
            return
        tokens.append(token)
        self._heads = {}
        issued = (Secret(token) for tokens in self._tokens.values() for token in tokens)
        for secret in (*self._secrets, *issued):
            self._add(secret)

    def forget(self) -> None:
        """Forget all secrets: for tests, which run many configurations in one process."""
        self._secrets, self._tokens, self._heads = {}, {}, {}

    def scrub(self, text: str) -> str:
        """Return a text with ``***`` in place of each secret; the text itself if it contains none."""
        if not self._heads:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        clean = self.scrub_bytes(raw)
        return text if clean is raw else clean.decode("utf-8", "surrogatepass")

    def scrub_bytes(self, raw: bytes) -> bytes:
        """Return bytes with ``***`` in place of each secret; the same object if they contain none."""
        found = sorted(self._find(raw.lower())) if self._heads else []
        if not found:
            return raw
        clean, at = bytearray(), 0
        for begin, end in _merged(found):
            clean += raw[at:begin] + MASK.encode()
            at = end
        return bytes(clean + raw[at:])

    def scrub_value(self, value: Any) -> Any:
        """Return a value of a log line or a JSON document without secrets, also inside lists and mappings.

        An object of another type becomes its text if that contains a secret.
        """
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.scrub(value)
        if isinstance(value, bytes):
            return self.scrub_bytes(value)
        if isinstance(value, dict):
            return {name: self.scrub_value(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.scrub_value(inner) for inner in value]
        text = str(value)
        clean = self.scrub(text)
        return value if clean == text else clean

    def head(self, raw: bytes, most: int) -> bytes:
        """Return the first ``most`` bytes of a text without secrets; no part of one is left at the end."""
        return self.scrub_bytes(raw[: most + _REACH])[:most]

    def _add(self, secret: Secret) -> None:
        self.version += 1
        for form in forms_of(secret):
            head = form.text[:LEAST]
            forms = self._heads.get(head, ())
            if len(head) == LEAST and form not in forms:
                self._heads[head] = (*forms, form)

    def _find(self, lower: bytes) -> Iterator[Range]:
        """Yield where a secret is, in the text itself or in what it encodes."""
        heads = self._heads
        for view in views_of(lower):
            text = view.text
            begins = [at for at in range(len(text) - LEAST + 1) if text[at : at + LEAST] in heads]
            for begin in begins:
                for form in heads[text[begin : begin + LEAST]]:
                    length = _length(form, text, begin)
                    if length:
                        yield _in_original(view, form, begin, begin + length)


def _length(form: Form, text: bytes, begin: int) -> int:
    """Return how many bytes of a form are at this position; 0 if too few for a secret."""
    if text.startswith(form.text, begin):
        return len(form.text)
    if not form.part:
        return 0
    length = LEAST
    most = min(len(form.text), len(text) - begin)
    while length < most and form.text[length] == text[begin + length]:
        length += 1
    return length if length >= form.part or _CUT.match(text, begin + length) else 0


def _in_original(view: View, form: Form, begin: int, end: int) -> Range:
    """Return the range in the original text; of Base64, with the digits around it that belong to it."""
    text = view.text
    if form.is_base64:
        while begin and text[begin - 1] in _BASE64:
            begin -= 1
        while end < len(text) and text[end] in _BASE64:
            end += 1
        while text.startswith(b"=", end):
            end += 1
    return view.original(begin, end)


def _merged(ranges: Iterable[Range]) -> Iterator[Range]:
    """Yield sorted ranges, those that touch as one."""
    begin, end = -1, -1
    for start, stop in ranges:
        if start > end:
            if end >= 0:
                yield begin, end
            begin, end = start, stop
        end = max(end, stop)
    if end >= 0:
        yield begin, end


in_force = Scrubber()
"""The secrets of this process. Whatever reads a secret adds it: settings as they are read, tokens as they
are issued."""
scrub = in_force.scrub
