"""Jars and tarballs with two schemas in them, and helpers to import them."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from bridge.schemas.importing import import_schemas
from bridge.schemas.importing.storing import Summary
from tests.support.class_files import avro_class, tar_of

INNER = {
    "type": "record",
    "name": "InnerV1",
    "namespace": "org.example",
    "fields": [{"name": "b", "type": "long"}],
}


def outer(*more: tuple[str, Any], name: str = "OuterV1") -> dict[str, Any]:
    """Return a schema that refers to ``INNER``, with more fields (name, type)."""
    fields = [("amount", ["null", "bigdecimal"]), ("inner", "org.example.InnerV1"), *more]
    listed = [{"name": field, "type": kind} for field, kind in fields]
    return {"type": "record", "name": name, "namespace": "org.example", "fields": listed}


TEMPLATE = {"logicalType": "decimal", "precision": 27, "scale": 8, "type": "bytes"}
OUTER = json.dumps(outer()).encode()
INNER_TEXT = json.dumps(INNER).encode()
RESOLVED = json.dumps(
    outer() | {"fields": [{"name": "amount", "type": ["null", TEMPLATE]}, {"name": "inner", "type": INNER}]}
)


def jar(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return file.getvalue()


AVSC_JAR = jar(
    ("org/example/OuterV1.avsc", OUTER), ("org/example/InnerV1.avsc", INNER_TEXT),
    ("bigdecimal.avsc", json.dumps(TEMPLATE).encode()), ("META-INF/MANIFEST.MF", b"x"),
)  # fmt: skip
CLASS_JAR = jar(
    ("org/example/OuterV1.class", avro_class(RESOLVED[:50], RESOLVED[50:])),
    ("org/example/InnerV1.class", avro_class(INNER_TEXT.decode())), ("org/example/Other.class", b"\xca\xfe"),
)  # fmt: skip
BOOT_JAR = jar(
    ("BOOT-INF/lib/fineract-avro-schemas-1.jar", AVSC_JAR), ("BOOT-INF/lib/other.jar", jar(("a.txt", b"a"))),
    method=zipfile.ZIP_STORED,
)  # fmt: skip
TARBALL = gzip.compress(
    tar_of(("fineract-1/fineract-provider.jar", BOOT_JAR), ("fineract-1/README", b"hello"))
)


def import_bytes(data: bytes, tmp_path: Path, name: str = "it.jar") -> Summary:
    """Import the bytes as a file of this name, into the folder ``into`` next to it."""
    source = tmp_path / name
    source.write_bytes(data)
    return import_schemas(source, tmp_path / "into")


def names(summary: Summary) -> list[str]:
    """Return the names of the new schemas, without their namespace."""
    return sorted(collected.schema.name.rpartition(".")[2] for collected in summary.new)
