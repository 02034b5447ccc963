"""Every command prints one document with -o, cuts nothing in a pipe, and takes -c and -o anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from bridge import __version__
from bridge.cli import cli, output
from bridge.cli.output import Output, table, to_text
from bridge.core.signing import StandardSigner
from bridge.core.signing.key_text import standard_key
from tests.support.settings_example import SECRET

CONFIG = f"""\
kafka: {{bootstrap_servers: ["127.0.0.1:1"]}}
sources: {{orders: {{topics: [orders], format: json, id: id, type: type}}}}
endpoints:
  crm: {{url: "https://crm.example.com/T0KEN", secrets: ["{SECRET}"]}}
  big: {{url: "https://big.example.com/", when: "data.text == 'x'"}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.yaml"
    path.write_text(CONFIG)
    (tmp_path / "event.json").write_text(json.dumps({"type": "Paid", "data": {"text": "y" * 300}}))
    (tmp_path / "avro").mkdir()
    (tmp_path / "avro" / "A.avsc").write_text('{"type": "record", "name": "A", "fields": []}')
    return path


def run(*arguments: str, standard_input: bytes = b"") -> Result:
    return CliRunner().invoke(cli, arguments, input=standard_input, prog_name="hookferry")


def commands(config: Path) -> dict[str, list[str]]:
    """Return commands that need no broker."""
    folder = config.parent
    return {
        "check": ["check", str(config)],
        "route": ["route", str(folder / "event.json"), "-c", str(config)],
        "render": ["render", "-e", "crm", "-s", "Paid", "-c", str(config)],
        "schemas list": ["schemas", "list", "--in", str(folder / "avro")],
        "schemas show": ["schemas", "show", "A", "--in", str(folder / "avro")],
        "schemas diff": ["schemas", "diff", "A", "A", "--in", str(folder / "avro")],
        "schemas import": ["schemas", "import", str(folder / "avro"), "--into", str(folder / "into")],
        "inspect": ["inspect", "-"],
        "keys new": ["keys", "new", "--ed25519"],
        "keys list": ["keys", "list", "-c", str(config)],
        "keys jwks": ["keys", "jwks", "-c", str(config)],
        "keys rotate": ["keys", "rotate", "crm", "-c", str(config)],
        "verify": ["verify", "-", "-e", "crm", "-c", str(config), "--at", "2027-01-15T08:00:00Z"],
    }


NAMES = [
    *commands(Path("x")),
]


def stdin_of(name: str) -> bytes:
    """Return the record of ``inspect``, or the captured request of ``verify``."""
    if name != "verify":
        return b'{"id": 1, "type": "Paid"}'
    signer = StandardSigner([standard_key(SECRET)])
    headers = signer.headers("evt_1", 1_800_000_000, b"{}")
    return b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n{}"


@pytest.mark.parametrize("name", NAMES)
def test_json_and_yaml_are_one_document_with_the_same_content(name: str, config: Path) -> None:
    arguments, stdin = commands(config)[name], stdin_of(name)
    as_json = run(*arguments, "-o", "json", standard_input=stdin)
    if name == "schemas import":
        (config.parent / "into").rename(config.parent / "moved")
    as_yaml = run(*arguments, "-o", "yaml", standard_input=stdin)
    assert (as_json.exit_code, as_yaml.exit_code) == (0, 0), as_json.output + str(as_json.exception)
    document = json.loads(as_json.stdout)
    assert isinstance(document, dict | list)
    if name not in ("render", "inspect", "keys new", "keys rotate"):  # their time or key changes
        assert yaml.safe_load(as_yaml.stdout) == document
    if name == "schemas import":
        (config.parent / "into").rename(config.parent / "moved again")
    assert json.loads(run(*arguments, "--json", standard_input=stdin).stdout).__class__ is document.__class__


@pytest.mark.parametrize("name", NAMES)
def test_a_form_is_also_taken_before_the_command(name: str, config: Path) -> None:
    result = run("-o", "json", *commands(config)[name], standard_input=stdin_of(name))
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)


def test_the_form_of_the_command_takes_precedence(config: Path) -> None:
    assert run("-o", "json", "check", str(config), "-o", "table").stdout == f"{config}: no problems\n"
    refused = run("check", str(config), "--json", "-o", "yaml")
    assert (refused.exit_code, "--json contradicts --output" in refused.output) == (2, True)


def test_a_misspelt_form_is_refused(config: Path) -> None:
    result = run("check", str(config), "-o", "jsn")
    assert result.exit_code == 2
    assert "json" in result.output


def test_the_configuration_is_taken_before_the_command(config: Path) -> None:
    assert run("-c", str(config), "check").stdout == f"{config}: no problems\n"
    assert "gets it" in run("-c", str(config), "route", str(config.parent / "event.json")).stdout
    other = run("-c", "absent.yaml", "route", str(config.parent / "event.json"), "-c", str(config))
    assert "gets it" in other.stdout, "the command's own takes precedence"
    twice = run("-c", "absent.yaml", "check", str(config))
    assert (twice.exit_code, "given twice" in twice.output) == (2, True)


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_an_option_too(flag: str) -> None:
    assert run(flag).stdout == f"hookferry {__version__}\n"


def test_a_misspelt_command_is_answered_with_the_nearest() -> None:
    for words, meant in ((["endpoint"], "endpoints"), (["parked", "lst"], "list"), (["statuss"], "status")):
        result = run(*words)
        assert result.exit_code == 2
        assert meant in result.output


def test_nothing_is_cut_in_a_pipe_and_a_terminal_is_not_overflowed(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = commands(config)["route"]
    monkeypatch.setenv("COLUMNS", "60")
    assert f'data.text = "{"y" * 300}"' in run(*arguments).stdout
    rows = [("A", "B"), ("x", "y" * 300)]
    assert table(rows).endswith("y" * 300)
    monkeypatch.setattr(output, "terminal_width", lambda: 60)
    assert {len(line) <= 60 for line in table(rows).splitlines()} == {True}


def test_colors_do_not_move_columns_and_appear_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    green = click.style("on", fg="green")
    plain, colored = table([("A", "B"), ("on", "x")]), table([("A", "B"), (green, "x")])
    assert click.unstyle(colored) == plain
    assert output.colored("on", "green") == "on"
    monkeypatch.setattr(output, "has_colors", lambda stream: True)
    assert output.colored("on", "green") == green


@pytest.mark.parametrize("form", [Output.JSON, Output.YAML])
@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x9b31m", "a\u202eb", "ß€", "\ud800", "two\nlines", "😀", "- x: 1"]
)
def test_no_text_reaches_the_terminal_as_a_control_sequence(form: Output, text: str) -> None:
    shown = to_text(form, [{"text": text, "n": 1}])
    assert all(char.isprintable() or char == "\n" for char in shown)
    if text != "\ud800":
        loads: Any = json.loads if form is Output.JSON else yaml.safe_load
        assert loads(shown) == [{"text": text, "n": 1}]
