"""Rules that span several keys of a source: its registry, and the files it names. Takes the ``Tree``."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree
from bridge.settings.rules.logins import (
    CERTIFICATE_FILES,
    CERTIFICATE_PAIRS,
    file_is_there,
    keys_are_together,
    url_is_safe,
)

_LOGIN_PAIRS = (("username", "password"), ("password", "username"))


def schema_files_can_be_read(tree: Tree) -> Iterator[Problem]:
    """Check that the schema file of an Avro source, and a registry's certificates, are there."""
    for name in tree.names(("sources",)):
        yield from file_is_there(tree, ("sources", name, "schema_file"))
        for key in CERTIFICATE_FILES:
            yield from file_is_there(tree, ("sources", name, "registry", key))


def registries_are_complete(tree: Tree) -> Iterator[Problem]:
    """Check a registry's URL, that its login is whole, and that it does not travel in clear."""
    for name in tree.names(("sources",)):
        path: Path = ("sources", name, "registry")
        if tree.has(path):
            yield from _url(tree, path)
            yield from _login(tree, path)


def _url(tree: Tree, registry: Path) -> Iterator[Problem]:
    has_secret = any(tree.has((*registry, key)) for key in ("password", "token"))
    yield from url_is_safe(
        tree,
        (*registry, "url"),
        login="give username and password, or token",
        carries="password or token" if has_secret else None,
        without_query="end it where the API begins",
    )


def _login(tree: Tree, registry: Path) -> Iterator[Problem]:
    yield from keys_are_together(tree, registry, (*_LOGIN_PAIRS, *CERTIFICATE_PAIRS))
    if tree.has((*registry, "token")) and tree.has((*registry, "username")):
        yield tree.problem((*registry, "token"), "is set beside username", "give one login", key=True)


def confluent_ids_need_its_api(tree: Tree) -> Iterator[Problem]:
    """Check that Apicurio's own API is not asked by Confluent's ids."""
    for name in tree.names(("sources",)):
        if tree.text(("sources", name, "format")) == "confluent":
            path: Path = ("sources", name, "registry", "api")
            url = tree.text(("sources", name, "registry", "url")) or ""
            api = tree.text(path) or ("apicurio" if "/apis/registry/" in url else "confluent")
            if api == "apicurio":
                cause = "is Apicurio's own API, which knows no ids of Confluent's format"
                remedy = "use its /apis/ccompat/v7 as registry.url, or format: apicurio"
                path = path if tree.has(path) else ("sources", name, "registry", "url")
                yield tree.problem(path, cause, remedy)


RULES = (schema_files_can_be_read, registries_are_complete, confluent_ids_need_its_api)
