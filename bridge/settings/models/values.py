"""Checks of single values beyond their type: URLs, instants, headers, event patterns. Pure.

The validators of the models and the rules call them. They raise a ``mistake``, whose text never contains the
value, because most values are secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path as FilePath
from urllib.parse import SplitResult, urlsplit

from bridge.core.instant import instant_ms
from bridge.core.url import parse_proxy, parse_url
from bridge.settings.models.base import mistake
from bridge.settings.problem import nearest

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*")
_URL_TEXT = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_RATE = re.compile(r"(?P<count>[0-9]{1,9})/(?P<number>[0-9]{1,9})(?P<unit>[smhd])")
_MEMORY = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>%|MiB|GiB)")
_MEMORY_UNITS = {"MiB": 1 << 20, "GiB": 1 << 30}
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

CONNECTION_HEADERS = frozenset(
    [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
    ]
)
OWN_HEADERS = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature"})


def split_url(text: str) -> SplitResult:
    """Split an absolute http or https URL with a host. Raises a ``mistake``."""
    if not _URL_TEXT.fullmatch(text):
        raise mistake(
            "is empty, or contains spaces or characters outside ASCII",
            "write an absolute URL such as https://crm.example.com/hooks, percent-encode other characters",
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise mistake("is not a URL", "write an absolute URL such as https://crm.example.com/hooks") from None
    if parts.scheme not in {"http", "https"}:
        raise mistake("is not an http or https URL", "begin it with https://")
    if not host or not _HOST.fullmatch(host):
        raise mistake("has no valid host", "write an absolute URL such as https://crm.example.com/hooks")
    if port == 0:
        raise mistake("has port 0", "set a port from 1 to 65535, or leave it out")
    return parts


def endpoint_url(text: str) -> str:
    """Return ``text`` if requests can be sent to it unchanged. Raises a ``mistake``."""
    parts = split_url(text)
    if "@" in parts.netloc:
        raise mistake(
            "contains a user name or password",
            "remove it and send it in headers, as Authorization: Basic … or Bearer …",
        )
    if "#" in text:
        raise mistake("has a fragment (#…), which is never sent", "remove it, or write # as %23")
    try:
        parse_url(
            text
        )  # the parser of the transport: stricter than the checks above; it never shows the path
    except ValueError as exc:
        cause, _, remedy = str(exc).partition("; ")
        raise mistake(f"cannot be used: {cause}", remedy or "correct it") from None
    return text


def proxy_url(text: str) -> str:
    """Return ``text`` if it is the URL of a proxy. Raises a ``mistake``."""
    split_url(text)
    try:
        parse_proxy(text)
    except ValueError as exc:
        cause, _, remedy = str(exc).partition("; ")
        raise mistake(f"cannot be used: {cause}", remedy or "correct it") from None
    return text


def source_address(text: str) -> str:
    """Return ``text`` if it is an address that connections can come from. Raises a ``mistake``."""
    try:
        address = ip_address(text)
    except ValueError:
        raise mistake("is not an IP address", "write one of this machine's, such as 10.0.0.7") from None
    if address.is_unspecified or address.is_multicast:
        raise mistake("is not the address of one machine", "write one of this machine's, such as 10.0.0.7")
    return text


def is_plain_http(text: str, allowed: list[IPv4Network | IPv6Network]) -> bool:
    """Return True if the URL is plain http to a host that is neither loopback nor in ``allowed``."""
    parts = urlsplit(text)
    host = parts.hostname or ""
    if parts.scheme != "http" or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return True
    return not address.is_loopback and not any(address in network for network in allowed)


def allowed_networks(texts: Iterable[str]) -> list[IPv4Network | IPv6Network]:
    """Parse the networks among ``texts``; invalid ones are reported by their own validation."""
    networks = []
    for text in texts:
        with suppress(ValueError):
            networks.append(ip_network(text))
    return networks


def header_name(name: str) -> str:
    """Return ``name`` if a user may set that request header. Raises a ``mistake``."""
    if not _TOKEN.fullmatch(name):
        raise mistake("is not a header name", "use letters, digits and -, such as X-Api-Key")
    if name.lower() in CONNECTION_HEADERS:
        raise mistake("belongs to the connection and is set by Hookferry", "remove it")
    if name.lower() in OWN_HEADERS:
        raise mistake(
            "is set by Hookferry for every request", "remove it, and set secrets or signing to sign requests"
        )
    return name


def header_value(value: str) -> str:
    """Return ``value`` if it is a valid header value. Raises a ``mistake``."""
    if "\r" in value or "\n" in value:
        raise mistake("contains a line break", "write the header's value on one line")
    if not _FIELD_VALUE.fullmatch(value):
        raise mistake("contains control characters or characters outside ASCII", "use printable ASCII")
    if value != value.strip():
        raise mistake("begins or ends with a space", "remove the space")
    return value


def rate(text: str) -> str:
    """Return ``text`` if it is a rate such as 4/1s. Raises a ``mistake``."""
    if not (match := _RATE.fullmatch(text)):
        raise mistake(
            "is not a rate",
            "write requests/time with whole numbers and the unit s, m, h or d, such as 4/1s, 60/30s, 100/1h",
        )
    count, number = int(match["count"]), int(match["number"])
    if not 1 <= count <= 100_000:  # one number is kept for each request of a window
        raise mistake("has a count outside 1 to 100000", "set a count in that range")
    if not 1 <= number * _UNIT_S[match["unit"]] <= 604_800:
        raise mistake("has a time outside 1s to 7d", "set a time in that range")
    return text


def parse_rate(text: str) -> tuple[int, float]:
    """Split a rate that ``rate`` accepted into a number of requests and seconds."""
    match = _RATE.fullmatch(text)
    assert match is not None, "checked by rate()"
    return int(match["count"]), float(int(match["number"]) * _UNIT_S[match["unit"]])


def memory_size(text: str) -> str:
    """Return ``text`` if it is a part of the memory limit or a size. Raises a ``mistake``."""
    if not (match := _MEMORY.fullmatch(text)):
        raise mistake("is neither a percentage nor a size", "write 70%, or a size such as 300MiB or 2GiB")
    number = int(match["number"])
    if match["unit"] == "%" and not 10 <= number <= 95:
        raise mistake("is not between 10% and 95%", "set a percentage in that range")
    if match["unit"] != "%" and not 64 << 20 <= number * _MEMORY_UNITS[match["unit"]] < 1 << 50:
        raise mistake("is less than 64MiB or more than 1048576GiB", "set a size in that range")
    return text


def memory_bytes(text: str, limit_bytes: int) -> int:
    """Return what a text that ``memory_size`` accepted is in bytes, at most the limit."""
    match = _MEMORY.fullmatch(text)
    assert match is not None, "checked by memory_size()"
    number, unit = int(match["number"]), match["unit"]
    return limit_bytes * number // 100 if unit == "%" else min(number * _MEMORY_UNITS[unit], limit_bytes)


START_WORDS = ("latest", "earliest")


def start_place(text: str) -> str:
    """Return ``text`` if an endpoint can start there: a word of ``START_WORDS``, or an instant."""
    if text not in START_WORDS and instant_ms(text) is None:
        guess = nearest(text, START_WORDS)
        remedy = f'did you mean "{guess}"?' if guess else "write latest, earliest, or 2026-06-29T08:15:30Z"
        raise mistake("is neither latest nor earliest nor an instant with a time zone", remedy)
    return text


def instant(text: str) -> str:
    """Return ``text`` if it is an instant with a time zone. Raises a ``mistake``."""
    if instant_ms(text) is None:
        raise mistake("is not an instant with a time zone", "write it as 2026-06-29T08:15:30Z")
    return text


def event_pattern(pattern: str) -> str:
    """Return ``pattern`` if it is a valid fnmatch pattern, with or without ``!`` in front."""
    body = pattern.removeprefix("!")
    if not body:
        raise mistake("is an empty pattern", "write a name, or a pattern such as Loan*")
    if body != body.strip() or not body.isprintable():
        raise mistake("has spaces around it or control characters in it", "write only the name")
    if body.startswith("!"):
        raise mistake("has more than one ! in front", "write one !, which excludes")
    after = body
    while "[" in after:
        inside = after.partition("[")[2].removeprefix("!")
        if "]" not in inside[1:]:  # "]" right after the bracket is a literal
            raise mistake("has a [ that is never closed", "close it with ], or write [[] for the character [")
        after = inside[1:].partition("]")[2]
    return pattern


def topic_pattern(pattern: str) -> str:
    """Return ``pattern`` if it is the name of a topic or a valid pattern, with or without ``!`` in front."""
    event_pattern(pattern)
    body = pattern.removeprefix("!")
    if "]" in body.partition("[")[0] or "!" in body.replace("[!", ""):
        raise mistake("has a ! or ] outside of [abc]", "remove it; a ! excludes only in front of the text")
    return pattern


def unreadable(name: str, is_kind: Callable[[FilePath], bool], kind: str) -> str | None:
    """Return why a file or folder cannot be used, or None. ``is_kind`` tests for a file or a folder."""
    try:
        path = FilePath(name)
        if not path.exists():
            return f"there is no such {kind}"
        if not is_kind(path):
            return f"is not a {kind}"
        if not os.access(path, os.R_OK | (os.X_OK if kind == "folder" else 0)):
            return f"this {kind} cannot be read: permission denied"
    except (OSError, ValueError):
        return "is not a usable path"
    return None
