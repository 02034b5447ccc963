"""Rules that span several keys of a source: its registry, and the files it names."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree
from bridge.settings.rules.logins import (
    CERTIFICATE_FILES,
    CERTIFICATE_PAIRS,
    check_file,
    check_pairs,
    check_service_url,
)

_LOGIN_PAIRS = (("username", "password"), ("password", "username"))


def check_files(tree: Tree) -> Iterator[Problem]:
    """Check that the schema file of an Avro source and the certificates of a registry can be read."""
    for name in tree.names(("sources",)):
        yield from check_file(tree, ("sources", name, "schema_file"))
        for key in CERTIFICATE_FILES:
            yield from check_file(tree, ("sources", name, "registry", key))


def check_registries(tree: Tree) -> Iterator[Problem]:
    """Check a registry's URL, and that its login is complete and not sent unencrypted."""
    for name in tree.names(("sources",)):
        path: Path = ("sources", name, "registry")
        if tree.has(path):
            yield from _url(tree, path)
            yield from _login(tree, path)


def _url(tree: Tree, registry: Path) -> Iterator[Problem]:
    has_secret = any(tree.has((*registry, key)) for key in ("password", "token"))
    yield from check_service_url(
        tree,
        (*registry, "url"),
        login="set username and password, or token",
        sends="password or token" if has_secret else None,
        without_query="remove it: the URL is where the API begins",
    )


def _login(tree: Tree, registry: Path) -> Iterator[Problem]:
    yield from check_pairs(tree, registry, (*_LOGIN_PAIRS, *CERTIFICATE_PAIRS))
    if tree.has((*registry, "token")) and tree.has((*registry, "username")):
        yield tree.problem(
            (*registry, "token"), "is set together with username", "keep one of the two logins", key=True
        )


def check_registry_apis(tree: Tree) -> Iterator[Problem]:
    """Check that a source with Confluent's ids does not use Apicurio's own API."""
    for name in tree.names(("sources",)):
        if tree.text(("sources", name, "format")) == "confluent":
            path: Path = ("sources", name, "registry", "api")
            url = tree.text(("sources", name, "registry", "url")) or ""
            api = tree.text(path) or ("apicurio" if "/apis/registry/" in url else "confluent")
            if api == "apicurio":
                cause = "is Apicurio's own API, which cannot look up the ids of Confluent's format"
                remedy = "use its /apis/ccompat/v7 as registry.url, or format: apicurio"
                path = path if tree.has(path) else ("sources", name, "registry", "url")
                yield tree.problem(path, cause, remedy)


RULES = (check_files, check_registries, check_registry_apis)
