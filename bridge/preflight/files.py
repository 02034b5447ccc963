"""Tries the files that settings name, as the bridge will read them: schemas and certificates.

For ``hookferry check``. Takes the ``Tree``, so that it has its say while other things are still wrong, and
gives the problem at the key that names the file. That a file is there at all is said by the rules of
``settings``; here, that what it holds can be used. Reads the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

from bridge.errors import ConfigError
from bridge.http.tls import describe_failure, load_context
from bridge.schemas.folder import read_folder, read_schema_file
from bridge.settings.models.values import unreadable
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree

_MEND = "mend the file, or write it anew"


def schemas_can_be_used(tree: Tree) -> Iterator[Problem]:
    """Check that a Fineract source's folder holds schemas, and an Avro source's file is one."""
    for name in tree.names(("sources",)):
        source: Path = ("sources", name)
        if tree.text((*source, "format")) == "fineract":
            yield from _read(tree, (*source, "schemas"), FilePath.is_dir, read_folder)
        if tree.text((*source, "format")) == "avro":
            yield from _read(tree, (*source, "schema_file"), FilePath.is_file, read_schema_file)


def _read(
    tree: Tree, path: Path, is_kind: Callable[[FilePath], bool], read: Callable[[FilePath], object]
) -> Iterator[Problem]:
    name = tree.text(path)
    if not name or unreadable(name, is_kind, "file"):
        return
    try:
        read(FilePath(name))
    except ConfigError as exc:
        for line in exc.problems:
            cause, _, remedy = line.partition("; ")
            yield Problem(tree.place(path), path, cause, remedy or _MEND)


def certificates_can_be_used(tree: Tree) -> Iterator[Problem]:
    """Check that the TLS files of the brokers and of each registry are what they should be."""
    places: list[Path] = [("kafka", "tls")]
    places += [("sources", name, "registry") for name in tree.names(("sources",))]
    for place in places:
        files = {key: tree.text((*place, key)) for key in ("ca_file", "cert_file", "key_file")}
        if any(file and unreadable(file, FilePath.is_file, "file") for file in files.values()):
            continue
        if files["ca_file"]:
            yield from _load(tree, (*place, "ca_file"), files["ca_file"], None, None)
        if files["cert_file"] and files["key_file"]:
            path = (*place, "cert_file")
            yield from _load(tree, path, None, files["cert_file"], files["key_file"])


def _load(
    tree: Tree, path: Path, ca_file: str | None, cert_file: str | None, key_file: str | None
) -> Iterator[Problem]:
    password = tree.text((*path[:-1], "key_password"))
    try:
        load_context(ca_file, cert_file, key_file, password)
    except (OSError, ValueError) as exc:
        cause = f"cannot be used ({describe_failure(exc)})"
        if cert_file:
            yield tree.problem(
                path, cause, "give a certificate, its key_file, and key_password if it has one"
            )
        else:
            yield tree.problem(path, cause, "give the authority's certificates as a PEM file")


RULES = (schemas_can_be_used, certificates_can_be_used)
