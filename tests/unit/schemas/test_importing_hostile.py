"""Crafted archives: what is skipped, what is refused, and the memory and time it may take."""

from __future__ import annotations

import gzip
import json
import os
import random
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.schemas.importing import budget as bounds
from bridge.schemas.importing import import_schemas, reading
from bridge.schemas.importing.budget import ImportRefused
from tests.support.class_files import tar_of
from tests.support.schema_sources import (
    AVSC_JAR,
    BOOT_JAR,
    CLASS_JAR,
    INNER_TEXT,
    TARBALL,
    import_bytes,
    jar,
    names,
)


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
        summary = import_bytes(data, folder)
        assert [skip.reason for skip in summary.skipped] == ["its path leads out of the archive"]
        assert not list(tmp_path.rglob("up.avsc"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"V"]
)
def test_special_files_in_a_tar_are_skipped(kind: bytes, tmp_path: Path) -> None:
    summary = import_bytes(tar_of(("odd.avsc", None), ("ok.avsc", INNER_TEXT), kind=kind), tmp_path)
    assert names(summary) == ["InnerV1"]
    assert [skip.origin for skip in summary.skipped] == ["it.jar!odd.avsc"]


def test_links_and_unusual_methods_in_a_zip_are_skipped(tmp_path: Path) -> None:
    data = jar((link_entry(), b"/etc/passwd"), ("ok.avsc", INNER_TEXT))
    assert [skip.reason for skip in import_bytes(data, tmp_path).skipped] == ["a symbolic link"]
    lzma = import_bytes(jar(("a.avsc", INNER_TEXT), method=zipfile.ZIP_LZMA), tmp_path)
    assert "method" in lzma.skipped[0].reason
    raw = bytearray(jar(("a.avsc", INNER_TEXT)))
    raw[raw.index(b"PK\1\2") + 8] |= 1
    assert import_bytes(bytes(raw), tmp_path).skipped[0].reason == "encrypted"


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "neither a jar"),
        (b"hello" * 200, "neither a jar"),
        (b"PK\3\4" + b"x" * 100, "damaged"),
        (b"\x1f\x8b" + b"x" * 100, "damaged"),
        (gzip.compress(b"hello" * 200, mtime=0), "damaged"),  # part of the test's id: it must not change
        (TARBALL[: len(TARBALL) // 2], "damaged"),
        (gzip.decompress(TARBALL)[:2000], "truncated"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_a_remedy(data: bytes, match: str, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=f"(?s)it.jar.*{match}.*release tarball"):
        import_bytes(data, tmp_path)
    assert not (tmp_path / "into").exists()


def test_a_zip_bomb_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    zeros = jar(*((f"{number}.class", bytes(15 << 20)) for number in range(6)))
    tracemalloc.start()
    try:
        with pytest.raises(ImportRefused, match="like a zip bomb"):
            import_bytes(zeros, tmp_path)
        with pytest.raises(ImportRefused, match="like a zip bomb"):
            import_bytes(gzip.compress(tar_of(("a.txt", bytes(80 << 20)))), tmp_path, "bomb.tar.gz")
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


def test_an_entry_above_the_limit_for_its_kind_is_skipped(tmp_path: Path) -> None:
    summary = import_bytes(
        jar(("big.avsc", b" " * (bounds.MAX_TEXT_BYTES + 1)), ("ok.avsc", INNER_TEXT)), tmp_path
    )
    assert (names(summary), summary.skipped[0].reason) == (["InnerV1"], "larger than 4 MB")


def test_archives_inside_archives_are_read_to_a_limited_depth(tmp_path: Path) -> None:
    data = AVSC_JAR
    for _ in range(5):
        data = jar(("next.jar", data), ("ok.avsc", INNER_TEXT))
    summary = import_bytes(data, tmp_path)
    assert "deep" in summary.skipped[-1].reason
    assert names(summary) == ["InnerV1"]


def test_too_many_entries_or_schemas_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = jar(*((f"{number}.avsc", INNER_TEXT) for number in range(30)))
    for name in ("MAX_ENTRIES", "MAX_SCHEMAS"):
        with monkeypatch.context() as patch:
            patch.setattr(bounds, name, 20)
            with pytest.raises(ImportRefused, match="more than 20"):
                import_bytes(many, tmp_path)
    monkeypatch.setattr(bounds, "MAX_DIRECTORY_BYTES", 1000)
    with pytest.raises(ImportRefused, match="table of contents"):
        import_bytes(many, tmp_path)


def test_a_tar_header_with_a_false_size_is_refused(tmp_path: Path) -> None:
    for size in (b"-0000000001\0", b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"77777777777\0", b"9999999999x\0"):
        header = bytearray(tar_of(("a.avsc", INNER_TEXT)))
        header[124:136] = size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header[:512])
        with pytest.raises(ImportRefused):
            import_bytes(bytes(header), tmp_path)


@pytest.mark.parametrize("leaf", ["long", "null"])
def test_a_schema_that_grows_with_every_level_ends_in_bounded_time(leaf: str, tmp_path: Path) -> None:
    """Each type contains the next one twice: there are 2 to the 60th paths through it."""
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
    files = [(f"{record['name']}.avsc", json.dumps(record).encode()) for record in (*doubling, lists)]
    assert len(import_bytes(jar(*files), tmp_path).new) == 62


def test_types_that_are_nested_too_deeply_are_skipped_and_the_others_kept(tmp_path: Path) -> None:
    chain = [
        {"type": "record", "name": f"T{number}", "fields": [{"name": "a", "type": f"T{number + 1}"}]}
        for number in range(2000)
    ]
    end = {"type": "record", "name": "T2000", "fields": []}
    summary = import_bytes(
        jar(*((f"{record['name']}.avsc", json.dumps(record).encode()) for record in (*chain, end))), tmp_path
    )
    assert "T2000" in names(summary)
    assert summary.skipped
    assert summary.found + len(summary.skipped) == 2001


FUZZED = [AVSC_JAR, CLASS_JAR, BOOT_JAR, TARBALL, gzip.decompress(TARBALL)]


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(range(len(FUZZED))), st.integers(0, 2**32), st.booleans())
def test_a_damaged_archive_raises_only_import_refused(which: int, seed: int, cut: bool) -> None:
    rng = random.Random(seed)
    raw = bytearray(FUZZED[which])
    for _ in range(rng.choice((0, 1, 3, 30))):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    if cut:
        del raw[rng.randrange(len(raw)) :]
    file = Path(os.environ.get("TMPDIR", "/tmp"), f"hookferry-fuzz-{os.getpid()}")
    file.write_bytes(bytes(raw))
    try:
        list(reading.read_pieces(file, bounds.Budget()))
        import_schemas(file, Path(f"{file}.into"))
    except ImportRefused:
        return
    finally:
        file.unlink()
        for written in Path(f"{file}.into").glob("*"):
            written.unlink()


def test_a_zip_that_claims_gigabytes_is_refused_without_reading_them(tmp_path: Path) -> None:
    raw = bytearray(AVSC_JAR)
    end = raw.rindex(b"PK\5\6")
    struct.pack_into("<I", raw, end + 12, 0xFFFFFFF0)
    with pytest.raises(ImportRefused):
        import_bytes(bytes(raw), tmp_path)
