"""Which texts of the settings are secrets, and their parts that receivers repeat. Pure.

Invariant: values are classified by their paths, whether the settings are valid or not. So the messages about
an invalid configuration contain no secret either.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote

from bridge.settings.problem import Path, Problem
from bridge.settings.reading import shape
from bridge.settings.reading.tree import Tree
from bridge.telemetry.secret_forms import LEAST, Secret

_OPEN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "content-language",
        "prefer",
        "user-agent",
    }
)
"""Request headers whose values are no secrets: they are the same for all clients."""
_TELLING = re.compile(r"auth|cookie|token|secret|passw|key|sign|session|credential|jwt", re.IGNORECASE)
"""In the name of a header whose value is a secret in each of its parts."""
_MAY_CONTAIN = frozenset({"template", "when", "username", "client_id"})
"""Settings that are no secrets themselves, and may contain one by reference."""
_KEY = re.compile(r"(?:v1a?,)?wh(?:sec|sk)_(\S+)")
_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_QUOTES = "\"'"
_WORD = re.compile(r"[A-Za-z_]\w{5,}")
"""What an error of a template shows of a secret that the template contains without quotes."""
_ITEMS = re.compile(r"[\s,;]+")
_OWN_WORDS = frozenset({"hookferry", "kafka", "webhook", "webhooks"})
"""Words of our own messages: a header such as ``X-Source: hookferry`` contains no secret."""


def secrets_in(tree: Tree) -> Iterator[Secret]:
    """Yield every secret of the settings, and the values of the references in texts that may contain one."""
    for path, value in tree.walk():
        if isinstance(value, str) and value and not tree.is_broken(path):
            for secret in _secrets_at(path, value, tree.references.get(path, [])):
                if secret.text.lower() not in _OWN_WORDS:
                    yield secret
            user = tree.get((*path[:-1], "username")) if path[-1] == "password" else None
            if user is not None:  # what a request contains, which a receiver may encode once more
                yield Secret(_basic(f"{user}:{value}"))


def short_secrets(tree: Tree) -> Iterator[Problem]:
    """Yield the secrets that are too short to be found in a text."""
    for path, value in tree.walk():
        if isinstance(value, str) and 0 < len(value) < LEAST and _is_login(path) and not tree.is_broken(path):
            cause = f"has fewer than {LEAST} characters, so it cannot be removed from error messages"
            yield Problem(tree.place(path), path, cause, "use a longer secret")


def _is_login(path: Path) -> bool:
    if not shape.slots(path) or not shape.is_secret(path):
        return False
    return path[-2:-1] != ("headers",) or _TELLING.search(str(path[-1])) is not None


def _secrets_at(path: Path, value: str, references: list[str]) -> Iterator[Secret]:
    name = str(path[-1])
    known, secret = bool(shape.slots(path)), shape.is_secret(path)
    if name == "url" or name.endswith("_url") or name == "proxy":
        yield from _of_url(value, whole=secret and name == "url")
        authority = _split_url(value)[0]
        yield from (Secret(text) for text in references if text not in authority and authority not in text)
        return
    if path[-2:-1] == ("headers",):
        if name.lower() in _OPEN_HEADERS:
            return
        yield from _of_header(name, value)
    elif path[-2:] == ("api_key", "value"):  # what a header or a parameter contains, with a word in front
        yield from _of_header("api-key", value)
    elif known and secret:
        yield from _of_key(value)
    if secret or name in _MAY_CONTAIN:
        yield from (Secret(text) for text in references)
        if "{{" in value:
            yield from (Secret(word) for text in references for word in _WORD.findall(text))


def _of_key(text: str) -> Iterator[Secret]:
    """Yield a secret as it is written, without its prefix and padding, and the key that it encodes.

    A text may have several keys, one per line, each followed by its times.
    """
    yield Secret(text)
    for line in text.splitlines():
        key = _KEY.match(line.strip())
        if key is None:
            yield Secret(line.strip())
            continue
        yield from (Secret(key[0]), Secret(key[1]), Secret(key[1].rstrip("=")))
        yield Secret(_from_base64(key[1]).hex())


def _of_header(name: str, text: str) -> Iterator[Secret]:
    """Yield a value, what follows its scheme, its items and their values, and a Basic login in clear."""
    fixed = _EXPRESSION.split(text)
    is_telling = _TELLING.search(name) is not None
    if len(fixed) == 1:
        yield Secret(text, exact=" " in text)
        scheme, _, rest = text.partition(" ")
        if scheme.lower() == "basic" and (login := _from_base64(rest)):
            user_and_password = login.decode("utf-8", "replace")
            yield Secret(user_and_password)
            yield Secret(user_and_password.partition(":")[2])
    for piece in fixed:
        scheme, space, rest = piece.strip().partition(" ")
        items = _ITEMS.split(rest if space and "=" not in scheme else piece.strip())
        for item in items:
            for part in (item.strip(_QUOTES), item.partition("=")[2].strip(_QUOTES)):
                if _looks_random(part) or (is_telling and (len(fixed) == 1 or not part.isalpha())):
                    yield Secret(part)


def _of_url(text: str, *, whole: bool) -> Iterator[Secret]:
    """Yield the login and the query of a URL; with ``whole`` also its path, which is then the secret."""
    authority, path, query = _split_url(text)
    login, at, _ = authority.rpartition("@")
    if at:
        yield from (Secret(login), Secret(unquote(login)), Secret(_basic(unquote(login))))
        password = login.partition(":")[2]
        yield from (Secret(password), Secret(unquote(password)))
    for parameter in re.split("[&#]", query):
        yield from map(Secret, _EXPRESSION.split(parameter.partition("=")[2]))
    if "{{" not in query:
        yield Secret(query)
    if whole:
        yield from _of_path(path, query)


def _of_path(path: str, query: str) -> Iterator[Secret]:
    pieces = _EXPRESSION.split(path)
    if len(pieces) == 1:
        yield Secret(path)
        if query and "{{" not in query:
            yield Secret(f"{path}?{query}")
    for piece in filter(_looks_random, pieces):
        yield from (Secret(piece), Secret(piece.strip("/"), exact=True))
        yield from (Secret(segment) for segment in piece.split("/") if _looks_random(segment))


def _split_url(text: str) -> tuple[str, str, str]:
    """Return what is before the path, the path with its slash, and the query with the fragment."""
    head, *query = re.split("[?#]", text.partition("://")[2], maxsplit=1)
    authority, slash, path = head.partition("/")
    return authority, slash + path, "".join(query)


def _looks_random(text: str) -> bool:
    """Return True if a text is hardly a word of a language."""
    return len(text) >= 20 or (len(text) >= 8 and any(char.isdigit() for char in text))


def _basic(login: str) -> str:
    return base64.b64encode(login.encode("utf-8", "surrogatepass")).decode()


def _from_base64(text: str) -> bytes:
    """Return what a text encodes, in either alphabet and without padding; nothing if it is no Base64."""
    digits = text.strip().rstrip("=")
    others = b"-_" if {"-", "_"} & set(digits) else None
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), others, validate=True)
    except (binascii.Error, ValueError):
        return b""
