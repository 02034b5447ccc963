"""Rules that span several keys of a source: its registry, and the files it names. Takes the ``Tree``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath

from pydantic_core import PydanticCustomError

from bridge.settings.place import Path, Problem
from bridge.settings.tree import Tree
from bridge.settings.values import allowed_networks, is_plain_http, split_url, unreadable

REGISTRY_FILES = ("ca_file", "cert_file", "key_file")
_RELATIVE = "correct the path; it is relative to the settings file"


def schema_files_can_be_read(tree: Tree) -> Iterator[Problem]:
    """Check that the schema file of an Avro source, and a registry's certificates, are there."""
    for name in tree.names(("sources",)):
        paths: list[Path] = [("sources", name, "schema_file")]
        paths += [("sources", name, "registry", key) for key in REGISTRY_FILES]
        for path in paths:
            file = tree.text(path)
            if file and (problem := unreadable(file, FilePath.is_file, "file")):
                yield tree.problem(path, problem, _RELATIVE)


def registries_are_complete(tree: Tree) -> Iterator[Problem]:
    """Check a registry's URL, that its login is whole, and that it does not travel in clear."""
    for name in tree.names(("sources",)):
        path: Path = ("sources", name, "registry")
        if tree.has(path):
            yield from _url(tree, path)
            yield from _login(tree, path)


def _url(tree: Tree, registry: Path) -> Iterator[Problem]:
    path = (*registry, "url")
    url = tree.text(path)
    if not url:
        return
    try:
        parts = split_url(url)
    except PydanticCustomError as exc:
        yield tree.problem(path, *exc.message().split("; ", 1))
        return
    if "@" in parts.netloc:
        yield tree.problem(path, "holds a user name or password", "give username and password, or token")
    if parts.query or parts.fragment:
        yield tree.problem(path, "has a query or a fragment", "end it where the API begins")
    allowed = allowed_networks(text for _, text in tree.texts(("egress", "allow")))
    if any(tree.has((*registry, key)) for key in ("password", "token")) and is_plain_http(url, allowed):
        yield tree.problem(path, "would send the password or token unencrypted", "use an https URL")


def _login(tree: Tree, registry: Path) -> Iterator[Problem]:
    for key, other in (
        ("username", "password"),
        ("password", "username"),
        ("cert_file", "key_file"),
        ("key_file", "cert_file"),
        ("key_password", "key_file"),
    ):
        if tree.has((*registry, key)) and not tree.has((*registry, other)):
            yield tree.problem((*registry, key), f"is set without {other}", f"add {other}", key=True)
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
