"""Importing schemas from jars, tarballs, checkouts and folders: what is found, and what is kept."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from pathlib import Path

import pytest

from bridge.errors import HookferryError
from bridge.schemas.folder import FROM, SchemaFolder, read_folder
from bridge.schemas.importing import import_schemas
from bridge.schemas.importing.budget import ImportRefused
from tests.support.class_files import avro_class, tar_of
from tests.support.records import shared_fineract, shared_json
from tests.support.schema_sources import (
    AVSC_JAR,
    BOOT_JAR,
    CLASS_JAR,
    INNER,
    INNER_TEXT,
    OUTER,
    RESOLVED,
    TARBALL,
    TEMPLATE,
    import_bytes,
    jar,
    names,
    outer,
)


@pytest.mark.parametrize(
    ("data", "origin"),
    [
        (AVSC_JAR, "it.jar!org/example/OuterV1.avsc"),
        (CLASS_JAR, "it.jar!org/example/OuterV1.class"),
        (BOOT_JAR, "it.jar!BOOT-INF/lib/fineract-avro-schemas-1.jar!org/example/OuterV1.avsc"),
        (
            TARBALL,
            "it.jar!fineract-1/fineract-provider.jar!BOOT-INF/lib/fineract-avro-schemas-1.jar!org/example/OuterV1.avsc",
        ),
        (gzip.decompress(TARBALL), None),
    ],
)
def test_every_kind_of_source_has_the_same_layouts(data: bytes, origin: str | None, tmp_path: Path) -> None:
    summary = import_bytes(data, tmp_path)
    assert names(summary) == ["InnerV1", "OuterV1"]
    assert not summary.conflicts
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "o.avsc").write_bytes(OUTER)
    (plain / "i.avsc").write_bytes(INNER_TEXT)
    expected = {schema.fingerprint: schema.parsed for schema in read_folder(plain).by_fingerprint.values()}
    layouts = read_folder(tmp_path / "into").by_fingerprint
    assert {key: schema.parsed for key, schema in layouts.items()} == expected
    file = next((tmp_path / "into").glob("org.example.OuterV1.*.avsc"))
    assert origin is None or json.loads(file.read_text())[FROM] == origin


def test_importing_the_same_schemas_again_changes_nothing(tmp_path: Path) -> None:
    first = import_bytes(AVSC_JAR, tmp_path)
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in (tmp_path / "into").iterdir()}
    for data in (AVSC_JAR, CLASS_JAR):
        again = import_bytes(data, tmp_path, "other.jar")
        assert (len(first.new), len(again.new), len(again.known), len(again.conflicts)) == (2, 0, 2, 0)
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in before} == before
    assert len(before) == len(list((tmp_path / "into").iterdir())), "no unfinished file is left"


def test_two_versions_of_a_type_are_both_kept(tmp_path: Path) -> None:
    import_bytes(AVSC_JAR, tmp_path)
    newer = jar(("OuterV1.avsc", json.dumps(outer(("more", "int"))).encode()), ("InnerV1.avsc", INNER_TEXT))
    summary = import_bytes(newer, tmp_path)
    assert (names(summary), len(summary.known)) == (["OuterV1"], 1)
    assert len(read_folder(tmp_path / "into").named("org.example.OuterV1")) == 2


def test_a_damaged_file_is_written_again(tmp_path: Path) -> None:
    import_bytes(AVSC_JAR, tmp_path)
    file = next((tmp_path / "into").glob("org.example.OuterV1.*.avsc"))
    good = file.read_bytes()
    for bad in (b"{", INNER_TEXT, b"\xff"):
        file.write_bytes(bad)
        with pytest.raises(HookferryError, match=file.name):
            read_folder(tmp_path / "into")
        assert names(import_bytes(AVSC_JAR, tmp_path)) == ["OuterV1"]
        assert file.read_bytes() == good


def test_the_same_fingerprint_with_another_scale_is_a_conflict_and_the_first_is_kept(tmp_path: Path) -> None:
    """Avro leaves the scale of decimals out of a fingerprint: amounts would be wrong by powers of ten."""
    import_bytes(CLASS_JAR, tmp_path)
    other = jar(("OuterV1.class", avro_class(RESOLVED.replace('"scale": 8', '"scale": 2'))))
    summary = import_bytes(other, tmp_path)
    ((origin, reason),) = summary.conflicts
    assert origin == "it.jar!OuterV1.class"
    assert "another scale" in reason
    (kept,) = read_folder(tmp_path / "into").named("org.example.OuterV1")
    assert kept.parsed["fields"][0]["type"][1]["scale"] == 8
    two_places = RESOLVED.replace('"scale": 8', '"scale": 2')
    both = jar(("a/OuterV1.class", avro_class(RESOLVED)), ("b/OuterV1.class", avro_class(two_places)))
    assert len(import_bytes(both, tmp_path / "into", "both.jar").conflicts) == 1


def test_a_checkout_is_read_from_its_sources_and_not_from_build_output(tmp_path: Path) -> None:
    root = tmp_path / "fineract"
    for where, text in (
        ("fineract-avro-schemas/src/main/avro/OuterV1.avsc", OUTER),
        ("fineract-avro-schemas/src/main/avro/inner/InnerV1.avsc", INNER_TEXT),
        ("fineract-avro-schemas/src/main/resources/templates/bigdecimal.avsc", json.dumps(TEMPLATE).encode()),
        ("fineract-avro-schemas/build/avro/OuterV1.avsc", json.dumps(outer(("stale", "int"))).encode()),
        ("custom/acme/src/main/avro/MineV1.avsc", json.dumps(INNER | {"name": "MineV1"}).encode()),
        (".git/OldV1.avsc", json.dumps(INNER | {"name": "OldV1"}).encode()),
    ):
        (root / where).parent.mkdir(parents=True, exist_ok=True)
        (root / where).write_bytes(text)
    summary = import_schemas(root, tmp_path / "into")
    assert names(summary) == ["InnerV1", "MineV1", "OuterV1"]
    assert not summary.conflicts
    assert not summary.skipped
    (schema,) = read_folder(tmp_path / "into").named("org.example.OuterV1")
    assert [field["name"] for field in schema.parsed["fields"]] == ["amount", "inner"]


def test_jars_and_classes_in_a_folder_are_read_and_links_are_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "lib"
    root.mkdir()
    (root / "a.jar").write_bytes(AVSC_JAR)
    (root / "MineV1.class").write_bytes(avro_class(json.dumps(INNER | {"name": "MineV1"})))
    (root / "broken.jar").write_bytes(AVSC_JAR[:-30])
    (tmp_path / "away.avsc").write_text(json.dumps(INNER | {"name": "AwayV1"}))
    (root / "link.avsc").symlink_to(tmp_path / "away.avsc")
    os.mkfifo(root / "pipe.avsc")
    summary = import_schemas(root, tmp_path / "into")
    assert names(summary) == ["InnerV1", "MineV1", "OuterV1"]
    assert {skip.origin for skip in summary.skipped} == {"lib/broken.jar", "lib/link.avsc", "lib/pipe.avsc"}


def test_bad_files_do_not_hide_the_others(tmp_path: Path) -> None:
    odd = jar(
        ("InnerV1.avsc", INNER_TEXT),
        ("NotJson.avsc", b"{"),
        ("NotUtf8.avsc", b"\xff"),
        ("Deep.avsc", b"[" * 100_000),
        ("Number.avsc", b"9" * 5000),
        ("Lacking.avsc", json.dumps(outer(("x", "org.example.NowhereV1"), name="LackingV1")).encode()),
        ("Odd.avsc", json.dumps(INNER | {"name": "../../etc/passwd"}).encode()),
        ("Long.avsc", json.dumps(INNER | {"name": "L" * 300}).encode()),
        ("Own.avsc", json.dumps(INNER | {"namespace": "org.apache.avro.ipc"}).encode()),
        ("Bad.class", b"\xca\xfe\xba\xbe SCHEMA$"),
        ("inner.jar", b"PK not at all"),
    )
    summary = import_bytes(odd, tmp_path)
    assert names(summary) == ["InnerV1"]
    reasons = {skip.origin.removeprefix("it.jar!"): skip.reason for skip in summary.skipped}
    assert reasons.keys() == {
        "NotJson.avsc", "NotUtf8.avsc", "Deep.avsc", "Number.avsc", "Lacking.avsc", "Odd.avsc", "Long.avsc",
        "Own.avsc", "Bad.class", "inner.jar",
    }  # fmt: skip
    assert "NowhereV1" in reasons["Lacking.avsc"]
    assert "nested too deeply" in reasons["Deep.avsc"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["into", "it.jar"]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_in_a_tar_are_read(form: int, tmp_path: Path) -> None:
    name = "/".join(["fineract-provider-long-folder-name"] * 4) + "/InnerV1.avsc"
    summary = import_bytes(tar_of((name, INNER_TEXT), ("b.txt", b""), form=form), tmp_path)
    assert summary.new[0].origin == f"it.jar!{name}"


def test_a_missing_source_and_an_unwritable_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="cannot be read"):
        import_schemas(tmp_path / "absent", tmp_path)
    (tmp_path / "file").write_text("")
    source = tmp_path / "it.jar"
    source.write_bytes(AVSC_JAR)
    with pytest.raises(ImportRefused, match=r"cannot be written.*--into"):
        import_schemas(source, tmp_path / "file")


@pytest.mark.parametrize("version", ["1.10.1", "develop-2026-06-29"])
def test_all_fingerprints_of_a_fineract_version_are_reproduced(version: str, tmp_path: Path) -> None:
    summary = import_schemas(shared_fineract() / "schemas" / version, tmp_path)
    expected = {
        (fact["name"], fact["wire_header"][4:])
        for fact in shared_json("fingerprints.json")
        if version in fact["seen_in"]
    }
    schemas = [collected.schema for collected in summary.new]
    assert expected <= {(schema.name, schema.fingerprint.hex()) for schema in schemas}
    assert not summary.skipped
    assert SchemaFolder(tmp_path).by_fingerprint.keys() == {schema.fingerprint for schema in schemas}
