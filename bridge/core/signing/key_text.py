"""Read signing keys from text, in the forms in which people paste them. Pure.

A form is accepted if it can mean only one key, to us and to the library of the receiver. Otherwise it is
refused with a remedy. Invariant: no error contains any part of the text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf

from bridge.core.instant import instant_ms
from bridge.core.signing.forms import KeyEncoding
from bridge.core.signing.keys import SigningKey

ReadKey = Callable[[str], SigningKey]

_MAKE_ONE = "create one with: hookferry keys new"
_MAKE_PAIR = "create one with: hookferry keys new --ed25519"
_MAKE_TEXT = "create one with: hookferry keys new --text"
_LINE = re.compile(r"(?P<key>.*?)(?P<times>(?:[ \t]+(?:since|until)=\S*)*)", re.DOTALL)
_VERSION = re.compile(r"v1a?,")
_ANY_PREFIX = re.compile(r"wh(sec|sk|pk)[^a-z0-9+/=]", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-fA-F]+")
_QUOTES = ("'", '"', "`")
_LEAST_TEXT, _MOST_TEXT = 16, 1024
"""Bytes of a key in text. Shorter ones can be guessed from a single request."""


class BadKey(ValueError):
    """Text that is no usable key: the cause, and the remedy."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy


def read_keys(text: str, read: ReadKey, since_s: float = -inf, until_s: float = inf) -> list[SigningKey]:
    """Read the keys of a text, one per line, in their order. Raises ``BadKey``.

    A line is a key and, optional, ``since=INSTANT`` and ``until=INSTANT``. The arguments are the times of a
    key whose line has none. Empty lines, and lines that begin with ``#``, are skipped.
    """
    if "-----BEGIN" in text:
        raise BadKey(
            "is a PEM file", f"convert it to whsk_ and base64 of seed and public key, or {_MAKE_PAIR}"
        )
    lines = list(_key_lines(text))
    if not lines:
        raise BadKey("contains no key", f"set it, or {_MAKE_ONE}")
    keys = []
    for number, line in lines:
        try:
            keys.append(_read_line(line, read, since_s, until_s))
        except BadKey as exc:
            if len(lines) == 1:
                raise
            hint = f"{exc.remedy}; if a key is broken over several lines, join them"
            raise BadKey(f"has a mistake in line {number}: it {exc.cause}", hint) from None
    return keys


def key_texts(text: str) -> list[str]:
    """Return the text of each key, without its times: what must never be shown."""
    return [_split(line)[0] for _, line in _key_lines(text)]


def _key_lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        stripped = line.strip(" \t\ufeff")
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _split(line: str) -> tuple[str, list[str]]:
    match = _LINE.fullmatch(line)
    assert match is not None, "both groups may be empty"
    return match["key"], match["times"].split()


def _read_line(line: str, read: ReadKey, since_s: float, until_s: float) -> SigningKey:
    text, words = _split(line)
    times = {"since": since_s, "until": until_s}
    for word in words:
        name, _, instant = word.partition("=")
        at_ms = instant_ms(instant)
        if at_ms is None:
            raise BadKey(
                f"has {name}= without an instant with a time zone", f"write {name}=2026-06-29T08:15:30Z"
            )
        times[name] = at_ms / 1000
    if times["since"] >= times["until"]:
        raise BadKey("ends before it begins", "set since to an instant before until")
    return replace(read(text), since_s=times["since"], until_s=times["until"])


def standard_key(text: str) -> SigningKey:
    """Read a key of Standard Webhooks 1.0.0: ``whsec_`` (HMAC) or ``whsk_`` (Ed25519). Raises ``BadKey``.

    Understood as well: ``v1,`` or ``v1a,`` in front, quotes around it, a missing ``whsec_``, and missing
    padding.
    """
    text = _VERSION.sub("", _unquoted(text).strip(), count=1)
    if text.startswith("whpk_"):
        raise BadKey("is a public key, which cannot sign", "set the signing key, which begins with whsk_")
    prefix, rest = text[:5], text[5:]
    if prefix != "whsk_":
        prefix, rest = ("whsec_", text[6:]) if text.startswith("whsec_") else ("", text)
    if _ANY_PREFIX.match(rest):
        cause = f"has the prefix {prefix} twice" if prefix else "has a prefix that is not written as whsec_"
        raise BadKey(cause, "write the prefix once, in lower case and with _")
    return _ed25519_key(rest) if prefix == "whsk_" else _shared_key(rest, has_prefix=bool(prefix))


def received_key(text: str) -> SigningKey:
    """Read a key as a receiver has it: as ``standard_key``, or a public key ``whpk_``. Raises ``BadKey``."""
    bare = _VERSION.sub("", _unquoted(text).strip(), count=1)
    if not bare.startswith("whpk_"):
        return standard_key(text)
    public = _decoded(bare[5:], "is not a public key, which is whpk_ and base64", "copy it again")
    if len(public) != 32:
        raise BadKey(f"has {len(public)} bytes, and must have 32", "copy it again")
    return SigningKey(b"", public)


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]:
        return text[1:-1]
    return text


def _shared_key(text: str, *, has_prefix: bool) -> SigningKey:
    if not has_prefix and len(text) >= 48 and len(text) % 2 == 0 and _HEX.fullmatch(text):
        raise BadKey(
            "is hexadecimal, and a signing secret is base64",
            "write whsec_ in front if the receiver decodes it as base64; else convert it to base64 at both"
            f" ends, or {_MAKE_ONE}",
        )
    key = _decoded(text, "is not a signing secret, which is whsec_ and base64", _MAKE_ONE)
    if not 24 <= len(key) <= 64:  # Standard Webhooks 1.0.0
        raise BadKey(f"has {len(key)} bytes, and must have 24 to 64", _MAKE_ONE)
    return SigningKey(key)


def _ed25519_key(text: str) -> SigningKey:
    from bridge.core.signing.ed25519 import public_key  # noqa: PLC0415 - see its module

    both = _decoded(text, "is not an Ed25519 signing key, which is whsk_ and base64", _MAKE_PAIR)
    if len(both) not in (32, 64):
        cause = f"has {len(both)} bytes, and must have 64: a seed of 32 and a public key of 32"
        raise BadKey(cause, _MAKE_PAIR)
    seed, public = both[:32], public_key(both[:32])
    if len(both) == 64 and both[32:] != public:
        raise BadKey("is damaged: its second half is not the public key of the first", "copy it again")
    return SigningKey(seed, public)


def _decoded(text: str, cause: str, remedy: str) -> bytes:
    """Decode base64 with or without padding."""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        pass
    if re.fullmatch(r"[A-Za-z0-9_-]+", bare) and len(bare) >= 32:
        raise BadKey(
            "is base64 in the form for URLs, which libraries of receivers decode to another key",
            "write + for each - and / for each _, here and at the receiver",
        )
    raise BadKey(cause, remedy)


def text_key(encoding: KeyEncoding) -> ReadKey:
    """Return the function that reads a key of the other forms. It raises ``BadKey``."""

    def read(text: str) -> SigningKey:
        if len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]:
            raise BadKey("is in quotes, which would be part of the key", "remove the quotes")
        if text.startswith(("whsk_", "whpk_")):
            raise BadKey("is an Ed25519 key, and this form uses a shared secret", "set form: standard")
        if not text.isprintable():
            raise BadKey("contains characters that cannot be printed", "type the key again")
        key = _BY_ENCODING[encoding](text)
        if not _LEAST_TEXT <= len(key) <= _MOST_TEXT:
            raise BadKey(f"has {len(key)} bytes, and must have {_LEAST_TEXT} to {_MOST_TEXT}", _MAKE_TEXT)
        return SigningKey(key)

    return read


def _hexadecimal(text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except (binascii.Error, ValueError):
        raise BadKey("is not hexadecimal", "correct it, or correct key_encoding") from None


_BY_ENCODING: dict[KeyEncoding, Callable[[str], bytes]] = {
    "text": lambda text: text.encode("utf-8"),
    "base64": lambda text: _decoded(text, "is not base64", "correct it, or correct key_encoding"),
    "hex": _hexadecimal,
}
