"""Checks shared by all services with a login (Kafka's token server, schema registries): URL, keys, files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath

from pydantic_core import PydanticCustomError

from bridge.settings.models.values import allowed_networks, is_plain_http, split_url, unreadable
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree

CERTIFICATE_FILES = ("ca_file", "cert_file", "key_file")
CERTIFICATE_PAIRS = (("cert_file", "key_file"), ("key_file", "cert_file"), ("key_password", "key_file"))
"""A key, and the key that it needs."""


def check_service_url(
    tree: Tree, path: Path, *, login: str, sends: str | None, without_query: str | None = None
) -> Iterator[Problem]:
    """Check that a URL is valid, contains no login, and does not send a secret unencrypted.

    ``login``: the remedy for a login in the URL. ``sends``: what secret requests to the URL send, None for
    none. ``without_query``: the remedy for a query in the URL, None if a query is allowed.
    """
    url = tree.text(path)
    if not url:
        return
    try:
        parts = split_url(url)
    except PydanticCustomError as exc:
        yield tree.problem(path, *exc.message().split("; ", 1))
        return
    if "@" in parts.netloc:
        yield tree.problem(path, "contains a user name or password", login)
    if without_query and (parts.query or parts.fragment):
        yield tree.problem(path, "has a query or a fragment", without_query)
    if sends and sends_unencrypted(tree, url):
        yield tree.problem(path, f"would send the {sends} unencrypted", "use an https URL")


def sends_unencrypted(tree: Tree, url: str) -> bool:
    """Return True if ``url`` is plain http to a host that is neither loopback nor in ``egress.allow``."""
    return is_plain_http(url, allowed_networks(text for _, text in tree.texts(("egress", "allow"))))


def check_pairs(tree: Tree, section: Path, pairs: tuple[tuple[str, str], ...]) -> Iterator[Problem]:
    """Check that no key of a section is set without the key that it needs."""
    for key, other in pairs:
        if tree.has((*section, key)) and not tree.has((*section, other)):
            yield tree.problem((*section, key), f"is set without {other}", f"add {other}", key=True)


def check_file(tree: Tree, path: Path) -> Iterator[Problem]:
    """Check that the file named at a path can be read, if one is named."""
    file = tree.text(path)
    if file and (problem := unreadable(file, FilePath.is_file, "file")):
        yield tree.problem(path, problem, "correct the path; it is relative to the settings file")
