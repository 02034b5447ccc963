"""For ``hookferry check``: read the files of the settings, as the bridge does: schemas, certificates, keys.

The rules of ``settings`` check that a file exists. These rules check that its content can be used, and
report a problem at the key that names the file. They run even while other settings are wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

from bridge.errors import ConfigError
from bridge.formats.avro.schema_set import SchemaSet
from bridge.http.tls import describe_failure, load_context
from bridge.schemas.folder import read_folder, read_schema_file
from bridge.settings import FineractSource, Settings
from bridge.settings.models.values import unreadable
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree
from bridge.settings.rules.auth import tls_sections

_REMEDY = "correct the file, or create it again"


def readable_schemas(settings: Settings) -> dict[str, SchemaSet]:
    """Return the schemas of the Fineract sources, by source; none of a folder that cannot be read.

    ``check_schemas`` reports such a folder.
    """
    schemas = {}
    for name, source in settings.sources.items():
        if isinstance(source, FineractSource):
            try:
                schemas[name] = read_folder(source.schemas)
            except ConfigError:
                schemas[name] = SchemaSet()
    return schemas


def check_schemas(tree: Tree) -> Iterator[Problem]:
    """Check that the folder of a Fineract source contains schemas, and the file of an Avro source is one."""
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
            yield Problem(tree.place(path), path, cause, remedy or _REMEDY)


def check_certificates(tree: Tree) -> Iterator[Problem]:
    """Check that the TLS files of the brokers, of each registry and of each endpoint can be loaded."""
    sections: list[Path] = [("kafka", "tls"), *tls_sections(tree)]
    sections += [("sources", name, "registry") for name in tree.names(("sources",))]
    for section in sections:
        files = {key: tree.text((*section, key)) for key in ("ca_file", "cert_file", "key_file")}
        if any(file and unreadable(file, FilePath.is_file, "file") for file in files.values()):
            continue
        if files["ca_file"]:
            yield from _load(tree, (*section, "ca_file"), files["ca_file"], None, None)
        if files["cert_file"] and files["key_file"]:
            path = (*section, "cert_file")
            yield from _load(tree, path, None, files["cert_file"], files["key_file"])
    path = ("kafka", "sasl", "token_ca_file")
    file = tree.text(path)
    if file and not unreadable(file, FilePath.is_file, "file"):
        yield from _load(tree, path, file, None, None)


def _load(
    tree: Tree, path: Path, ca_file: str | None, cert_file: str | None, key_file: str | None
) -> Iterator[Problem]:
    password = tree.text((*path[:-1], "key_password"))
    try:
        load_context(ca_file, cert_file, key_file, password)
    except (OSError, ValueError) as exc:
        cause = f"cannot be used ({describe_failure(exc)})"
        if cert_file:
            remedy = "set a certificate, its key_file, and key_password if the key is encrypted"
        else:
            remedy = "set a PEM file with the certificates of the authority"
        yield tree.problem(path, cause, remedy)


def check_keys(tree: Tree) -> Iterator[Problem]:
    """Check that the private key of an OAuth 2 client can be used."""
    for name in tree.names(("endpoints",)):
        path: Path = ("endpoints", name, "auth", "oauth2", "private_key", "key_file")
        file = tree.text(path)
        if not file or unreadable(file, FilePath.is_file, "file"):
            continue
        from bridge.http.client_assertion import load_key  # noqa: PLC0415 - it loads cryptography

        try:
            load_key(FilePath(file), tree.text((*path[:-1], "key_password")))
        except ValueError as exc:
            cause, _, remedy = str(exc).partition("; ")
            yield tree.problem(path, cause, remedy)


RULES = (check_schemas, check_certificates, check_keys)
