"""Reading a folder of schema files: scopes, names, fingerprints, and messages for bad files."""

import json
from decimal import Decimal

import pytest

from bridge.demo.fineract_wire import SCHEMAS, encode_single_object
from bridge.errors import ConfigError
from bridge.formats.avro.single_object import read
from bridge.schemas.folder import read_folder
from tests.support.records import shared_fineract, shared_json


def write(folder, name, definition):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(definition if isinstance(definition, str) else json.dumps(definition), "utf-8")
    return file


def record_type(name, *fields, namespace="n"):
    listed = [{"name": field, "type": kind} for field, kind in fields]
    return {"type": "record", "name": name, "namespace": namespace, "fields": listed}


def problem(folder):
    with pytest.raises(ConfigError) as caught:
        read_folder(folder)
    return str(caught.value)


@pytest.mark.parametrize("version", ["1.10.1", "develop-2026-06-29"])
def test_fingerprints_equal_those_that_java_computes(version):
    schemas = read_folder(shared_fineract() / "schemas" / version / "avro")
    expected = [entry for entry in shared_json("fingerprints.json") if version in entry["seen_in"]]
    assert len(expected) > 20
    for entry in expected:
        wire = bytes.fromhex(entry["wire_header"])[2:]
        assert schemas.by_fingerprint[wire].name == entry["name"]


def test_two_versions_in_subfolders_are_both_read():
    schemas = read_folder(shared_fineract() / "schemas")
    for entry in shared_json("fingerprints.json"):
        assert bytes.fromhex(entry["wire_header"])[2:] in schemas.by_fingerprint
    assert len(schemas.named("org.apache.fineract.avro.MessageV1")) == 2


def test_every_fineract_schema_decodes_what_it_encodes():
    for schema in read_folder(shared_fineract() / "schemas").by_fingerprint.values():
        value = {field["name"]: example(field["type"], schema.named) for field in schema.parsed["fields"]}
        assert read(encode_single_object(schema.parsed, schema.fingerprint, value), schema, "") == value


def example(kind, named):
    """Return None if the type allows it, else some value."""
    if isinstance(kind, list):
        return None if "null" in kind else example(kind[0], named)
    if isinstance(kind, str) and kind in named:
        kind = named[kind]
    if isinstance(kind, dict) and kind["type"] == "record":
        return {field["name"]: example(field["type"], named) for field in kind["fields"]}
    if isinstance(kind, dict):
        return {"array": [], "map": {}, "bytes": Decimal("1.00000000")}[kind["type"]]
    return {"string": "né", "bytes": b"\0", "boolean": True, "long": 2**40, "int": 5}[kind]


def test_the_schemas_of_the_demo_are_read():
    names = {schema.name for schema in read_folder(SCHEMAS).by_fingerprint.values()}
    assert names == {"org.hookferry.demo.v1.LoanEventDataV1", "org.hookferry.demo.v1.SavingsEventDataV1"}


def test_names_resolve_across_files_and_forward(tmp_path):
    write(tmp_path, "a.avsc", record_type("A", ("b", "m.B"), ("again", ["null", "m.B"]), ("c", "C")))
    write(tmp_path, "deep/er/b.avsc", record_type("B", ("x", "long"), namespace="m"))
    write(tmp_path, "c.avsc", record_type("C", ("x", "int")))
    (schema,) = read_folder(tmp_path).named("n.A")
    value = {"b": {"x": 1}, "again": {"x": 2}, "c": {"x": 3}}
    assert read(encode_single_object(schema.parsed, schema.fingerprint, value), schema, "") == value


def test_a_type_without_a_namespace_does_not_capture_other_names(tmp_path):
    write(tmp_path, "a.avsc", {"type": "record", "name": "n.A", "fields": [{"name": "b", "type": "m.B"}]})
    write(tmp_path, "b.avsc", record_type("B", ("t", "T"), namespace="m"))
    write(tmp_path, "t.avsc", record_type("T", ("x", "int"), namespace="m"))
    write(tmp_path, "bare.avsc", {"type": "record", "name": "Bare", "fields": []})
    names = {schema.name for schema in read_folder(tmp_path).by_fingerprint.values()}
    assert names == {"n.A", "m.B", "m.T", "Bare"}


def test_a_recursive_type_is_read(tmp_path):
    write(tmp_path, "a.avsc", record_type("A", ("next", ["null", "A"])))
    (schema,) = read_folder(tmp_path).named("n.A")
    value = {"next": {"next": None}}
    assert read(encode_single_object(schema.parsed, schema.fingerprint, value), schema, "") == value


@pytest.mark.parametrize(
    "kind", ["bigdecimal", {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 8}]
)
def test_decimals_are_exact_whatever_precision_the_file_declares(tmp_path, kind):
    """Fineract changed it from 20 to 27 under one fingerprint; at 20, fastavro rounds silently."""
    write(tmp_path, "a.avsc", record_type("A", ("d", kind)))
    (schema,) = read_folder(tmp_path).named("n.A")
    value = {"d": Decimal("1234567890123456789.12345678")}
    assert read(encode_single_object(schema.parsed, schema.fingerprint, value), schema, "") == value


def test_a_logical_type_other_than_decimal_keeps_its_encoded_value(tmp_path):
    write(tmp_path, "a.avsc", record_type("A", ("t", {"type": "long", "logicalType": "timestamp-millis"})))
    (schema,) = read_folder(tmp_path).named("n.A")
    assert read(encode_single_object(schema.parsed, schema.fingerprint, {"t": 5}), schema, "") == {"t": 5}


def test_a_type_defined_inside_another_can_be_referred_to_like_one_with_a_file(tmp_path):
    inner = record_type("B", ("x", "long"))
    write(tmp_path, "a.avsc", record_type("A", ("b", inner)))
    write(tmp_path, "b.avsc", {**inner, "doc": "the same, with a doc"})
    write(tmp_path, "c.avsc", record_type("C", ("b", "B")))
    assert {schema.name for schema in read_folder(tmp_path).by_fingerprint.values()} == {"n.A", "n.B", "n.C"}


def test_two_layouts_of_one_name_need_separate_subfolders(tmp_path):
    write(tmp_path, "old/a.avsc", record_type("A", ("x", "long")))
    write(tmp_path, "new/a.avsc", record_type("A", ("y", "long")))
    assert len(read_folder(tmp_path).named("n.A")) == 2
    write(tmp_path, "new/b.avsc", record_type("A", ("x", "long")))
    text = problem(tmp_path)
    for part in ("new/b.avsc", "new/a.avsc", "n.A", "subfolders"):
        assert part in text


def test_names_do_not_resolve_across_scopes(tmp_path):
    write(tmp_path, "one/a.avsc", record_type("A", ("b", "B")))
    write(tmp_path, "two/b.avsc", record_type("B", ("x", "long")))
    text = problem(tmp_path)
    for part in ("one/a.avsc", "n.B", str(tmp_path / "one")):
        assert part in text


def test_an_unresolved_name_is_reported_in_the_file_that_refers_to_it(tmp_path):
    write(tmp_path, "a.avsc", record_type("A", ("b", "B")))
    write(tmp_path, "b.avsc", record_type("B", ("c", "Missing")))
    assert "b.avsc: refers to n.Missing" in problem(tmp_path)


def test_mistakes_in_all_scopes_are_reported_together(tmp_path):
    write(tmp_path, "one/a.avsc", "{")
    write(tmp_path, "two/b.avsc", "[1]")
    with pytest.raises(ConfigError) as caught:
        read_folder(tmp_path)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ('{"type":\n "record";}', "a.avsc:2:10"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 200 + "]" * 200, "nested"),
        ("5", "not an Avro type"),
        ("{}", "not an Avro type"),
        ('{"type": "record", "fields": []}', "no name"),
        ('{"type": "record", "name": 5, "fields": []}', "no name"),
        ('{"type": "record", "name": "A", "namespace": 5, "fields": []}', "no name"),
        ('{"type": "record", "name": "A"}', "no list of named fields"),
        ('{"type": "record", "name": "A", "fields": {}}', "no list of named fields"),
        ('{"type": "record", "name": "A", "fields": [1]}', "no list of named fields"),
        ('{"type": "record", "name": "A", "fields": [{"name": "x"}]}', "not an Avro type"),
        ('{"type": "record", "name": "A", "fields": [{"type": "int"}]}', "named fields"),
        ('{"type": "record", "name": "A", "fields": [{"name": "x", "type": "strin"}]}', "refers to strin"),
        ('{"type": "record", "name": "A", "fields": [{"name": "x", "type": {"type": "array"}}]}', "'items'"),
        (
            '{"type":"record","name":"A","fields":[{"name":"x","type":{"type":"enum","name":"E"}}]}',
            "Avro",
        ),
        (
            '{"type":"record","name":"A","fields":[{"name":"x","type":{"type":"fixed","name":"E"}}]}',
            "Avro",
        ),
        (
            '{"type": "record", "name": "A", "fields": [{"name": "x", "type":'
            ' {"type": "bytes", "logicalType": "decimal", "scale": "two"}}]}',
            "Avro",
        ),
    ],
)
def test_a_bad_file_is_reported_with_its_mistake(tmp_path, content, part):
    write(tmp_path, "a.avsc", content)
    text = problem(tmp_path)
    assert "a.avsc" in text
    assert part in text


def test_a_file_that_is_not_utf8_is_reported(tmp_path):
    (tmp_path / "a.avsc").write_bytes(b'{"\xff": 1}')
    assert "a.avsc: is not UTF-8" in problem(tmp_path)


def test_hidden_files_are_skipped(tmp_path):
    """A ConfigMap is mounted as links to files below ``..data``; editors leave ``.a.avsc.swp``."""
    write(tmp_path, "..2026/a.avsc", record_type("A", ("x", "long")))
    write(tmp_path, ".broken.avsc", "{")
    write(tmp_path, ".git/x.avsc", "{")
    (tmp_path / "a.avsc").symlink_to(tmp_path / "..2026" / "a.avsc")
    assert len(read_folder(tmp_path).by_fingerprint) == 1


def test_a_hidden_parent_of_the_folder_does_not_hide_it(tmp_path):
    write(tmp_path, ".config/schemas/a.avsc", record_type("A", ("x", "long")))
    assert len(read_folder(tmp_path / ".config" / "schemas").by_fingerprint) == 1


def test_fineracts_template_and_a_byte_order_mark_are_accepted(tmp_path):
    write(tmp_path, "templates/bigdecimal.avsc", {"type": "bytes", "logicalType": "decimal", "precision": 27})
    write(tmp_path, "avro/a.avsc", "\ufeff" + json.dumps(record_type("A", ("d", "bigdecimal"))))
    assert len(read_folder(tmp_path).by_fingerprint) == 1


def test_an_empty_folder_and_a_missing_folder_have_different_messages(tmp_path):
    assert "contains no .avsc file" in problem(tmp_path)
    assert "cannot be read" in problem(tmp_path / "absent")
