"""Schemas out of jars, tarballs, checkouts and folders: what is found, kept, refused, what it may cost."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import HookferryError
from bridge.importing import budget as bounds
from bridge.importing import import_schemas, reading
from bridge.importing.budget import ImportRefused
from bridge.importing.storing import Summary
from bridge.schemas import FROM, SchemaFolder, read_folder
from tests.support.class_files import avro_class, tar_of
from tests.support.records import shared_fineract, shared_json

INNER = {
    "type": "record",
    "name": "InnerV1",
    "namespace": "org.example",
    "fields": [{"name": "b", "type": "long"}],
}


def outer(*more: tuple[str, Any], name: str = "OuterV1") -> dict[str, Any]:
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


def imported(data: bytes, tmp_path: Path, name: str = "it.jar") -> Summary:
    source = tmp_path / name
    source.write_bytes(data)
    return import_schemas(source, tmp_path / "into")


def names(summary: Summary) -> list[str]:
    return sorted(one.schema.name.rpartition(".")[2] for one in summary.new)


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
def test_every_kind_of_source_gives_the_same_layouts(data: bytes, origin: str | None, tmp_path: Path) -> None:
    summary = imported(data, tmp_path)
    assert names(summary) == ["InnerV1", "OuterV1"]
    assert not summary.conflicts
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "o.avsc").write_bytes(OUTER)
    (plain / "i.avsc").write_bytes(INNER_TEXT)
    wanted, found = read_folder(plain).by_fingerprint, read_folder(tmp_path / "into").by_fingerprint
    assert found.keys() == wanted.keys()
    assert {key: one.parsed for key, one in found.items()} == {key: one.parsed for key, one in wanted.items()}
    file = next((tmp_path / "into").glob("org.example.OuterV1.*.avsc"))
    assert origin is None or json.loads(file.read_text())[FROM] == origin


def test_an_import_repeated_changes_nothing_and_one_from_elsewhere_neither(tmp_path: Path) -> None:
    first = imported(AVSC_JAR, tmp_path)
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in (tmp_path / "into").iterdir()}
    for data in (AVSC_JAR, CLASS_JAR):
        again = imported(data, tmp_path, "other.jar")
        assert (len(first.new), len(again.new), len(again.known), len(again.conflicts)) == (2, 0, 2, 0)
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in before} == before
    assert len(before) == len(list((tmp_path / "into").iterdir())), "nothing unfinished is left"


def test_two_versions_stand_side_by_side(tmp_path: Path) -> None:
    imported(AVSC_JAR, tmp_path)
    newer = jar(("OuterV1.avsc", json.dumps(outer(("more", "int"))).encode()), ("InnerV1.avsc", INNER_TEXT))
    summary = imported(newer, tmp_path)
    assert (names(summary), len(summary.known)) == (["OuterV1"], 1)
    assert len(read_folder(tmp_path / "into").named("org.example.OuterV1")) == 2


def test_a_file_that_was_damaged_is_written_again(tmp_path: Path) -> None:
    imported(AVSC_JAR, tmp_path)
    file = next((tmp_path / "into").glob("org.example.OuterV1.*.avsc"))
    good = file.read_bytes()
    for bad in (b"{", INNER_TEXT, b"\xff"):
        file.write_bytes(bad)
        with pytest.raises(HookferryError, match=file.name):
            read_folder(tmp_path / "into")
        assert names(imported(AVSC_JAR, tmp_path)) == ["OuterV1"]
        assert file.read_bytes() == good


def test_the_same_fingerprint_with_another_scale_is_a_conflict_and_the_first_is_kept(tmp_path: Path) -> None:
    """Avro leaves the scale of decimals out of a fingerprint: money would be wrong by powers of ten."""
    imported(CLASS_JAR, tmp_path)
    other = jar(("OuterV1.class", avro_class(RESOLVED.replace('"scale": 8', '"scale": 2'))))
    summary = imported(other, tmp_path)
    ((origin, reason),) = summary.conflicts
    assert origin == "it.jar!OuterV1.class"
    assert "another scale" in reason
    (kept,) = read_folder(tmp_path / "into").named("org.example.OuterV1")
    assert kept.parsed["fields"][0]["type"][1]["scale"] == 8
    two_places = RESOLVED.replace('"scale": 8', '"scale": 2')
    both = jar(("a/OuterV1.class", avro_class(RESOLVED)), ("b/OuterV1.class", avro_class(two_places)))
    assert len(imported(both, tmp_path / "into", "both.jar").conflicts) == 1


def test_a_checkout_is_read_from_its_sources_and_not_from_what_a_build_left(tmp_path: Path) -> None:
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
    (found,) = read_folder(tmp_path / "into").named("org.example.OuterV1")
    assert [one["name"] for one in found.parsed["fields"]] == ["amount", "inner"]


def test_a_folder_may_hold_jars_classes_and_links_which_are_not_followed(tmp_path: Path) -> None:
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
    assert {one.origin for one in summary.skipped} == {"lib/broken.jar", "lib/link.avsc", "lib/pipe.avsc"}


def test_one_bad_file_hides_no_other(tmp_path: Path) -> None:
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
    summary = imported(odd, tmp_path)
    assert names(summary) == ["InnerV1"]
    reasons = {one.origin.removeprefix("it.jar!"): one.reason for one in summary.skipped}
    assert reasons.keys() == {
        "NotJson.avsc", "NotUtf8.avsc", "Deep.avsc", "Number.avsc", "Lacking.avsc", "Odd.avsc", "Long.avsc",
        "Own.avsc", "Bad.class", "inner.jar",
    }  # fmt: skip
    assert "NowhereV1" in reasons["Lacking.avsc"]
    assert "nested too deep" in reasons["Deep.avsc"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["into", "it.jar"]


def link_entry() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link.avsc")
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    "name", ["../up.avsc", "/etc/up.avsc", "a/../../up.avsc", "..\\up.avsc", "C:\\up.avsc"]
)
def test_paths_that_lead_out_of_an_archive_are_skipped(name: str, tmp_path: Path) -> None:
    for number, data in enumerate(
        (jar((name, INNER_TEXT), ("ok.avsc", INNER_TEXT)), tar_of((name, INNER_TEXT)))
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        summary = imported(data, folder)
        assert [one.reason for one in summary.skipped] == ["its path leads out of the archive"]
        assert not list(tmp_path.rglob("up.avsc"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"V"]
)
def test_what_is_no_file_in_a_tar_is_skipped(kind: bytes, tmp_path: Path) -> None:
    summary = imported(tar_of(("odd.avsc", None), ("ok.avsc", INNER_TEXT), kind=kind), tmp_path)
    assert names(summary) == ["InnerV1"]
    assert [one.origin for one in summary.skipped] == ["it.jar!odd.avsc"]


def test_links_and_unusual_methods_in_a_zip_are_skipped(tmp_path: Path) -> None:
    data = jar((link_entry(), b"/etc/passwd"), ("ok.avsc", INNER_TEXT))
    assert [one.reason for one in imported(data, tmp_path).skipped] == ["a symbolic link"]
    lzma = imported(jar(("a.avsc", INNER_TEXT), method=zipfile.ZIP_LZMA), tmp_path)
    assert "method" in lzma.skipped[0].reason
    raw = bytearray(jar(("a.avsc", INNER_TEXT)))
    raw[raw.index(b"PK\1\2") + 8] |= 1
    assert imported(bytes(raw), tmp_path).skipped[0].reason == "encrypted"


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_in_a_tar_are_read(form: int, tmp_path: Path) -> None:
    name = "/".join(["fineract-provider-long-folder-name"] * 4) + "/InnerV1.avsc"
    summary = imported(tar_of((name, INNER_TEXT), ("b.txt", b""), form=form), tmp_path)
    assert summary.new[0].origin == f"it.jar!{name}"


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "neither a jar"),
        (b"hello" * 200, "neither a jar"),
        (b"PK\3\4" + b"x" * 100, "damaged"),
        (b"\x1f\x8b" + b"x" * 100, "damaged"),
        (gzip.compress(b"hello" * 200, mtime=0), "damaged"),  # it is in the test's name: no time of day in it
        (TARBALL[: len(TARBALL) // 2], "damaged"),
        (gzip.decompress(TARBALL)[:2000], "cut short"),
    ],
)
def test_a_source_that_is_none_is_refused_with_what_to_give(data: bytes, match: str, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=f"(?s)it.jar.*{match}.*release tarball"):
        imported(data, tmp_path)
    assert not (tmp_path / "into").exists()


def test_a_source_that_is_not_there_and_a_folder_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="cannot be read"):
        import_schemas(tmp_path / "absent", tmp_path)
    (tmp_path / "file").write_text("")
    source = tmp_path / "it.jar"
    source.write_bytes(AVSC_JAR)
    with pytest.raises(ImportRefused, match=r"cannot be written.*--into"):
        import_schemas(source, tmp_path / "file")


def test_a_zip_bomb_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    zeros = jar(*((f"{number}.class", bytes(15 << 20)) for number in range(6)))
    tracemalloc.start()
    try:
        with pytest.raises(ImportRefused, match="like a bomb"):
            imported(zeros, tmp_path)
        with pytest.raises(ImportRefused, match="like a bomb"):
            imported(gzip.compress(tar_of(("a.txt", bytes(80 << 20)))), tmp_path, "bomb.tar.gz")
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


def test_an_entry_larger_than_its_kind_may_be_is_skipped(tmp_path: Path) -> None:
    summary = imported(
        jar(("big.avsc", b" " * (bounds.MAX_TEXT_BYTES + 1)), ("ok.avsc", INNER_TEXT)), tmp_path
    )
    assert (names(summary), summary.skipped[0].reason) == (["InnerV1"], "larger than 4 MB")


def test_archives_inside_archives_end_at_a_depth(tmp_path: Path) -> None:
    data = AVSC_JAR
    for _ in range(5):
        data = jar(("next.jar", data), ("ok.avsc", INNER_TEXT))
    summary = imported(data, tmp_path)
    assert "deep" in summary.skipped[-1].reason
    assert names(summary) == ["InnerV1"]


def test_too_many_entries_or_schemas_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = jar(*((f"{number}.avsc", INNER_TEXT) for number in range(30)))
    for name in ("MAX_ENTRIES", "MAX_SCHEMAS"):
        with monkeypatch.context() as patch:
            patch.setattr(bounds, name, 20)
            with pytest.raises(ImportRefused, match="more than 20"):
                imported(many, tmp_path)
    monkeypatch.setattr(bounds, "MAX_DIRECTORY_BYTES", 1000)
    with pytest.raises(ImportRefused, match="table of contents"):
        imported(many, tmp_path)


def test_a_tar_header_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    for size in (b"-0000000001\0", b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"77777777777\0", b"9999999999x\0"):
        header = bytearray(tar_of(("a.avsc", INNER_TEXT)))
        header[124:136] = size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header[:512])
        with pytest.raises(ImportRefused):
            imported(bytes(header), tmp_path)


@pytest.mark.parametrize("leaf", ["long", "null"])
def test_a_schema_that_grows_with_every_level_ends_in_bounded_time(leaf: str, tmp_path: Path) -> None:
    """Each type holds the one below twice: 2 to the 60th ways through it."""
    doubling = [
        {"type": "record", "name": f"T{number}", "fields": [
            {"name": name, "type": f"T{number + 1}" if number < 60 else leaf} for name in ("a", "b")]}
        for number in range(61)
    ]  # fmt: skip
    lists = {
        "type": "record",
        "name": "Lists",
        "fields": [{"name": "a", "type": {"type": "array", "items": "T0"}}],
    }
    files = [(f"{one['name']}.avsc", json.dumps(one).encode()) for one in (*doubling, lists)]
    assert len(imported(jar(*files), tmp_path).new) == 62


def test_types_that_go_too_deep_are_skipped_and_the_others_stay(tmp_path: Path) -> None:
    chain = [
        {"type": "record", "name": f"T{number}", "fields": [{"name": "a", "type": f"T{number + 1}"}]}
        for number in range(2000)
    ]
    end = {"type": "record", "name": "T2000", "fields": []}
    summary = imported(
        jar(*((f"{one['name']}.avsc", json.dumps(one).encode()) for one in (*chain, end))), tmp_path
    )
    assert "T2000" in names(summary)
    assert summary.skipped
    assert summary.found + len(summary.skipped) == 2001


FUZZED = [AVSC_JAR, CLASS_JAR, BOOT_JAR, TARBALL, gzip.decompress(TARBALL)]


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(range(len(FUZZED))), st.integers(0, 2**32), st.booleans())
def test_whatever_happened_to_an_archive_only_our_own_error_comes_out(
    which: int, seed: int, cut: bool
) -> None:
    toss = random.Random(seed)
    raw = bytearray(FUZZED[which])
    for _ in range(toss.choice((0, 1, 3, 30))):
        raw[toss.randrange(len(raw))] = toss.randrange(256)
    if cut:
        del raw[toss.randrange(len(raw)) :]
    file = Path(os.environ.get("TMPDIR", "/tmp"), f"hookferry-fuzz-{os.getpid()}")
    file.write_bytes(bytes(raw))
    try:
        list(reading.pieces(file, bounds.Budget()))
        import_schemas(file, Path(f"{file}.into"))
    except ImportRefused:
        return
    finally:
        file.unlink()
        for made in Path(f"{file}.into").glob("*"):
            made.unlink()


def test_a_claim_of_gigabytes_in_a_zip_costs_nothing(tmp_path: Path) -> None:
    raw = bytearray(AVSC_JAR)
    end = raw.rindex(b"PK\5\6")
    struct.pack_into("<I", raw, end + 12, 0xFFFFFFF0)
    with pytest.raises(ImportRefused):
        imported(bytes(raw), tmp_path)


@pytest.mark.parametrize("version", ["1.10.1", "develop-2026-06-29"])
def test_all_fingerprints_of_a_fineract_version_are_reproduced(version: str, tmp_path: Path) -> None:
    summary = import_schemas(shared_fineract() / "schemas" / version, tmp_path)
    expected = {
        (one["name"], one["wire_header"][4:])
        for one in shared_json("fingerprints.json")
        if version in one["seen_in"]
    }
    assert expected <= {(one.schema.name, one.schema.fingerprint.hex()) for one in summary.new}
    assert not summary.skipped
    assert SchemaFolder(tmp_path).by_fingerprint.keys() == {one.schema.fingerprint for one in summary.new}
