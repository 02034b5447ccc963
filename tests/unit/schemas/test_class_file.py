"""The schema in a class file is found whatever its length and characters; damaged files are refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.schemas.importing import import_schemas
from bridge.schemas.importing.budget import MAX_TEXT_BYTES
from bridge.schemas.importing.class_file import ClassFileError, schema_text
from tests.support.class_files import ClassWriter, avro_class

TEXT = json.dumps({"type": "record", "name": "org.example.It", "fields": [{"name": "a", "type": "long"}]})


@pytest.mark.parametrize("wide", [False, True])
def test_the_text_of_the_field_is_found(wide: bool) -> None:
    assert schema_text(avro_class(TEXT, wide=wide)) == TEXT


def test_the_parts_of_a_text_are_joined_in_the_order_of_the_code() -> None:
    long = TEXT[:-1] + ',"doc":"' + "x" * 70_000 + '"}'
    pieces = [long[at : at + 8191] for at in range(0, len(long), 8191)]
    assert schema_text(avro_class(*pieces)) == long
    writer = ClassWriter()
    second, first = writer.string(TEXT[20:].encode()), writer.string(TEXT[:20].encode())
    code = b"\x12" + pack(">B", first) + b"\x12" + pack(">B", second) + b"\xb3"
    assert schema_text(writer.bytes_of(code + pack(">H", writer.field(b"SCHEMA$")))) == TEXT


@pytest.mark.parametrize("text", ["ß", "☕", "\0", "💶", "\ud83d\udcb6"[0:2]])
def test_every_character_of_java_is_decoded(text: str) -> None:
    expected = text.encode("utf-16", "surrogatepass").decode("utf-16")
    assert schema_text(avro_class('{"doc":"' + text + '"}')) == '{"doc":"' + expected + '"}'


def test_the_names_of_an_enumeration_before_its_schema_are_skipped() -> None:
    assert schema_text(avro_class(TEXT, before=(b"BOTH", b"NONE"))) == TEXT


def test_switch_instructions_are_skipped() -> None:
    """Their length varies, and their operands may look like any instruction."""
    writer = ClassWriter()
    text, field = writer.string(TEXT.encode()), writer.field(b"SCHEMA$")
    table = b"\x03\xaa\0\0" + pack(">iii", 20, 5, 6) + b"\x12\x12\x12\x12\xb3\xb3\xb3\xb3"
    lookup = b"\x03\xab" + b"\0" * (-(len(table) + 2) % 4) + pack(">iIii", 20, 1, 0xB3, 0x12121212)
    code = table + lookup + b"\x12" + pack(">B", text) + b"\xb3" + pack(">H", field)
    assert schema_text(writer.bytes_of(code)) == TEXT


def test_a_class_without_the_field_has_no_schema() -> None:
    writer = ClassWriter()
    code = b"\x12" + pack(">B", writer.string(TEXT.encode())) + b"\xb3" + pack(">H", writer.field(b"OTHER"))
    assert schema_text(writer.bytes_of(code)) is None
    writer.utf8(b"SCHEMA$")
    assert schema_text(writer.bytes_of(code)) is None
    assert schema_text(avro_class(TEXT).replace(b"<clinit>", b"clinit><")) is None


GOOD = avro_class(TEXT[:30], TEXT[30:], before=(b"ONE",))


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_a_truncated_class_is_refused_or_has_no_schema(length: int) -> None:
    try:
        assert schema_text(GOOD[:length]) in (None, TEXT)
    except ClassFileError:
        return


@settings(deadline=None, max_examples=1500)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4), st.binary(max_size=9)
)
def test_flipped_bytes_are_refused_or_read(flips: list[tuple[int, int]], more: bytes) -> None:
    raw = bytearray(GOOD)
    for at, byte in flips:
        raw[at] = byte
    try:
        schema_text(bytes(raw) + more)
        schema_text(bytes(raw[: flips[0][0]] if flips else raw) + b"SCHEMA$" + more)
    except ClassFileError:
        return


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(raw: bytes) -> None:
    for data in (raw + b"SCHEMA$", GOOD[:10] + raw + b"SCHEMA$"):
        try:
            schema_text(data)
        except ClassFileError:
            continue


def test_texts_above_the_limit_are_refused() -> None:
    """One constant can be loaded repeatedly: 65 kB in the file, gigabytes in the text."""
    writer = ClassWriter()
    load = b"\x13" + pack(">H", writer.string(b"{" + b"x" * 65_000))
    code = load * (MAX_TEXT_BYTES // 65_000 + 2) + b"\xb3" + pack(">H", writer.field(b"SCHEMA$"))
    with pytest.raises(ClassFileError, match="more than 4 MB"):
        schema_text(writer.bytes_of(code))


def test_a_class_that_javac_compiled_with_a_text_longer_than_a_constant_is_imported(tmp_path: Path) -> None:
    javac = shutil.which("javac")
    if javac is None:
        pytest.skip("no javac (Java 17 JDK)")
    doc = "Geld für Ämter ☕ 💶 " * 4000
    definition = {
        "type": "record", "name": "LongDataV1", "namespace": "org.example", "doc": doc,
        "fields": [{"name": "amount", "type": ["null", {
            "type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 8}]}],
    }  # fmt: skip
    text = json.dumps(definition, ensure_ascii=False)
    assert len(text.encode()) > 70_000
    literals = ",".join(json.dumps(text[at : at + 8000]) for at in range(0, len(text), 8000))
    source = tmp_path / "java" / "org" / "example" / "LongDataV1.java"
    source.parent.mkdir(parents=True)
    source.write_text(
        "package org.example; public class LongDataV1 {"
        " private static final long serialVersionUID = 7L;"
        f' public static final Object SCHEMA$ = String.join("", new String[] {{{literals}}});'
        ' static { System.out.println("not this"); } }'
    )
    subprocess.run([javac, "-encoding", "UTF-8", "-d", tmp_path / "classes", source], check=True)
    summary = import_schemas(tmp_path / "classes", tmp_path / "into")
    assert [collected.schema.name for collected in summary.new] == ["org.example.LongDataV1"]
    (field,) = summary.new[0].definition["fields"]
    assert field["type"][1]["scale"] == 8
