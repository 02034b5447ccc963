"""``hookferry schemas``: the output of import, list, show and diff, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.errors import HookferryError

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 8}
OLD = [
    ("id", "long"),
    ("amount", ["null", "bigdecimal"]),
    ("note", "string"),
    ("dates", {"type": "array", "items": "string"}),
]
NEW = [("id", "long"), ("status", "org.example.StatusV1"), ("amount", "bigdecimal"),
       ("dates", {"type": "array", "items": "string"}),
       ("more", {"type": "map", "values": "bytes"})]  # fmt: skip


def write(folder: Path, name: str, fields: list[tuple[str, Any]]) -> Path:
    folder.mkdir(exist_ok=True)
    listed = [{"name": field, "type": kind} for field, kind in fields]
    (folder / f"{name}.avsc").write_text(
        json.dumps({"type": "record", "name": name, "namespace": "org.example", "fields": listed})
    )
    return folder


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, ["schemas", *map(str, args)], prog_name="hookferry")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "old", "LoanV1", OLD)
    write(write(tmp_path / "new", "LoanV1", NEW), "StatusV1", [("code", "string")])
    assert run("import", tmp_path / "old", "--into", tmp_path / "known").exit_code == 0
    result = run("import", tmp_path / "new", "--into", tmp_path / "known")
    assert "2 schemas: 2 new, 0 known, 0 conflicting; skipped 0 files" in result.output
    return tmp_path / "known"


def fingerprints(folder: Path) -> dict[str, str]:
    """Return the fingerprints by number of fields."""
    result = run("list", "LoanV1", "--json", "--in", folder)
    return {one["fields"]: one["fingerprint"] for one in json.loads(result.stdout)}


def test_an_import_lists_new_known_and_skipped_schemas(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "new" / "Broken.avsc").write_text("{")
    result = run("import", tmp_path / "new", "--into", folder)
    assert result.exit_code == 0
    assert "2 schemas: 0 new, 2 known, 0 conflicting; skipped 1 files" in result.stdout
    assert "skipped: new/Broken.avsc: is not JSON" in result.stderr


def test_a_source_without_a_schema_or_with_a_conflict_exits_with_1(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("import", tmp_path / "empty", "--into", folder)
    assert (result.exit_code, "no schema found" in result.stderr) == (1, True)
    other = [(name, {**DECIMAL, "scale": 2} if kind == "bigdecimal" else kind) for name, kind in NEW]
    write(write(tmp_path / "other", "LoanV1", other), "StatusV1", [("code", "string")])
    result = run("import", tmp_path / "other", "--into", folder)
    assert (result.exit_code, "another scale" in result.stderr) == (1, True)


def test_an_unusable_source_gives_a_message_and_no_traceback(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    result = run("import", tmp_path / "notes.txt", "--into", folder)
    assert isinstance(result.exception, HookferryError)
    assert run("import", tmp_path / "absent").exit_code == 2


def test_the_list_contains_type_fingerprint_fields_and_source(folder: Path) -> None:
    lines = run("list", "--in", folder).stdout.splitlines()
    assert lines[0].split() == ["TYPE", "FINGERPRINT", "FIELDS", "FROM"]
    assert len(lines) == 4
    assert [line.split()[0] for line in lines[1:]] == ["org.example.LoanV1"] * 2 + ["org.example.StatusV1"]
    assert {line.split()[2:][1] for line in lines[1:]} == {
        "old/LoanV1.avsc",
        "new/LoanV1.avsc",
        "new/StatusV1.avsc",
    }
    assert len(run("list", "Status*", "--in", folder).stdout.splitlines()) == 2


def test_a_schema_is_shown_by_type_or_by_fingerprint_in_either_order(folder: Path) -> None:
    wire = fingerprints(folder)[5]
    for name in (wire, wire.upper(), f"c301{wire}", bytes.fromhex(wire)[::-1].hex()):
        shown = run("show", name, "--in", folder).stdout
        assert "  3  amount: decimal, 8 places" in shown
        assert "  4  dates: list of string" in shown
        assert "  5  more: map of bytes" in shown
        assert "org.example.StatusV1\n    1  code: string" in shown
    assert "1  code: string" in run("show", "StatusV1", "--in", folder).stdout
    whole = json.loads(run("show", wire, "--json", "--in", folder).stdout)
    assert whole["name"] == "org.example.LoanV1"


def test_a_type_with_two_layouts_requires_a_fingerprint(folder: Path) -> None:
    told = str(run("show", "LoanV1", "--in", folder).exception)
    assert "has 2 layouts" in told
    assert all(one in told for one in fingerprints(folder).values())
    assert "no schema 'Nothing'" in str(run("show", "Nothing", "--in", folder).exception)


def test_diff_names_every_field_that_was_added_removed_moved_or_changed(folder: Path) -> None:
    known = fingerprints(folder)
    lines = run("diff", known[4], known[5], "--in", folder).stdout.splitlines()
    assert lines[2:] == [
        "org.example.LoanV1",
        "  + status: StatusV1, as field 2",
        "  + more: map of bytes, as field 5",
        "  ~ amount: decimal, 8 places or null became decimal, 8 places",
        "  - note: string, was field 3",
        "+ type org.example.StatusV1",
        "neither can decode the bytes of the other; the bridge selects the schema by its fingerprint",
        "decoded with the other schema, field 2 (amount in the first, status in the second)"
        " would be the first wrong field",
    ]
    assert "the same layout" in run("diff", known[4], known[4], "--in", folder).stdout
    assert "two types" in run("diff", known[4], "StatusV1", "--in", folder).stdout


def test_diff_reports_a_field_that_only_moved(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "moved", "LoanV1", [OLD[1], OLD[0], *OLD[2:], ("last", "long"), ("more", "long")])
    run("import", tmp_path / "moved", "--into", folder)
    known = fingerprints(folder)
    shown = run("diff", known[4], known[6], "--in", folder).stdout
    assert "  > id moved from field 1 to field 2" in shown
    assert "~ " not in shown


def test_a_damaged_file_is_named_and_the_others_are_listed(folder: Path) -> None:
    (folder / "org.example.StatusV1.0123456789abcdef.avsc").write_text("{")
    result = run("list", "--in", folder)
    assert "0123456789abcdef.avsc:1:2: is not JSON" in result.stderr
    assert len(result.stdout.splitlines()) == 4


CONFIG = """\
kafka: {bootstrap_servers: ["k:9092"]}
sources:
  orders: {topics: [orders], format: json, id: id, type: type}
  bank: {topics: [events], format: fineract, schemas: ../known}
endpoints: {crm: {url: "${env:CRM_URL}"}}
"""


@pytest.fixture
def config(folder: Path) -> Path:
    """Return a configuration whose source names the folder, relative to the file; a secret is not set."""
    path = folder.parent / "conf" / "bridge.yaml"
    path.parent.mkdir()
    path.write_text(CONFIG)
    return path


def test_the_folder_is_the_one_that_the_configuration_names(
    config: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    wire = fingerprints(folder)[5]
    assert len(json.loads(run("list", "-c", config, "-o", "json").stdout)) == 3
    assert "amount: decimal" in run("show", wire, "-c", config).stdout
    assert "the same layout" in run("diff", wire, wire, "-c", config).stdout
    monkeypatch.setenv("HOOKFERRY_CONFIG", str(config))
    assert len(run("list").stdout.splitlines()) == 4


def test_an_import_goes_to_the_folder_that_the_configuration_names(config: Path, tmp_path: Path) -> None:
    """Even if it does not exist yet."""
    config.write_text(CONFIG.replace("../known", "fresh/avro"))
    result = run("import", tmp_path / "old", "-c", config)
    assert result.exit_code == 0, result.output
    assert str(config.parent / "fresh" / "avro") in result.stdout
    assert len(run("list", "-c", config).stdout.splitlines()) == 2


def test_a_folder_on_the_command_line_takes_precedence(config: Path, tmp_path: Path) -> None:
    run("import", tmp_path / "old", "--into", tmp_path / "mine")
    assert len(run("list", "-c", config, "--in", tmp_path / "mine").stdout.splitlines()) == 2


def test_several_folders_need_the_name_of_a_source(config: Path) -> None:
    more = "  other: {topics: [o], format: fineract, schemas: other}\n"
    config.write_text(CONFIG.replace("sources:\n", f"sources:\n{more}"))
    told = str(run("list", "-c", config).exception)
    assert "add --source NAME" in told
    assert len(run("list", "-c", config, "--source", "bank").stdout.splitlines()) == 4
    assert 'did you mean "bank"?' in str(run("list", "-c", config, "--source", "bnk").exception)


def test_a_folder_that_cannot_be_found_out_is_an_error_and_not_the_default(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    (config.parent / "schemas").mkdir()
    assert "there is no such file" in str(run("list", "-c", "absent.yaml").exception)
    config.write_text(CONFIG.replace("../known", '"${env:NOWHERE}"'))
    assert "NOWHERE" in str(run("list", "-c", config).exception)
    config.write_text("sources: [")
    assert "bridge.yaml" in str(run("list", "-c", config).exception)


def test_a_misspelt_type_is_answered_with_the_nearest(folder: Path) -> None:
    for arguments in (("show", "LoanV2"), ("list", "LaonV1"), ("diff", "LoanV11", "StatusV1")):
        result = run(*arguments, "--in", folder)
        assert isinstance(result.exception, HookferryError)
        assert 'did you mean "LoanV1"?' in str(result.exception)
