"""What is asked alike of every service with a login: its URL, the keys that belong together, its files.

Parts of ``rules`` and ``source_rules``; takes the ``Tree``. Looks whether files exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath

from pydantic_core import PydanticCustomError

from bridge.settings.models.values import allowed_networks, is_plain_http, split_url, unreadable
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree

CERTIFICATE_FILES = ("ca_file", "cert_file", "key_file")
CERTIFICATE_PAIRS = (("cert_file", "key_file"), ("key_file", "cert_file"), ("key_password", "key_file"))
"""A key, and the key without which it means nothing."""


def url_is_safe(
    tree: Tree, path: Path, *, login: str, carries: str | None, without_query: str | None = None
) -> Iterator[Problem]:
    """Check that a URL is one, holds no login, and does not carry a secret in clear over a foreign network.

    ``login`` says where a login belongs, ``carries`` what secret it would send (None: nothing), and
    ``without_query`` what to do about a query where there may be none.
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
        yield tree.problem(path, "holds a user name or password", login)
    if without_query and (parts.query or parts.fragment):
        yield tree.problem(path, "has a query or a fragment", without_query)
    allowed = allowed_networks(text for _, text in tree.texts(("egress", "allow")))
    if carries and is_plain_http(url, allowed):
        yield tree.problem(path, f"would send the {carries} unencrypted", "use an https URL")


def keys_are_together(tree: Tree, section: Path, pairs: tuple[tuple[str, str], ...]) -> Iterator[Problem]:
    """Check that no key of a section is set without the one that it needs."""
    for key, other in pairs:
        if tree.has((*section, key)) and not tree.has((*section, other)):
            yield tree.problem((*section, key), f"is set without {other}", f"add {other}", key=True)


def file_is_there(tree: Tree, path: Path) -> Iterator[Problem]:
    """Check that the file named at a path, if one is, can be read."""
    file = tree.text(path)
    if file and (problem := unreadable(file, FilePath.is_file, "file")):
        yield tree.problem(path, problem, "correct the path; it is relative to the settings file")
