"""The lines that ``check`` returns: place, path, cause and remedy of every mistake."""

import os

import pytest

from bridge.errors import ConfigError
from bridge.settings import FineractSource, JsonSource, check, load
from tests.support.settings_example import VALID


def test_a_valid_file_has_no_mistakes(given):
    assert given() == []


def test_load_returns_typed_settings_with_defaults(write, folder):
    settings = load(write(VALID), {})
    crm = settings.endpoints["crm"]
    assert isinstance(settings.sources["orders"], JsonSource)
    fineract = settings.sources["fineract"]
    assert isinstance(fineract, FineractSource)
    assert fineract.schemas == folder / "avro"
    assert (crm.timeout_s, crm.events, crm.retry.max_attempts) == (15.0, ("*",), 20)
    assert crm.target.origin == "https://crm.example.com:443"
    assert len(crm.signing_keys[0].secret) == 24


def test_loading_the_same_file_twice_gives_equal_settings(write):
    path = write(VALID)
    assert load(path, {}) == load(path, {})


def test_load_raises_the_lines_that_check_returns(write):
    path = write(VALID.replace("timeout", "") + "grup: x\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert list(caught.value.problems) == check(path, {}) != []


def test_a_line_has_place_path_value_cause_and_remedy(given):
    assert given("    sources: [fineract]", "    sources: [finract]\n    window: many") == [
        'bridge.yaml:9:15: endpoints.crm.sources[0] "finract": is not a source; did you mean "fineract"?',
        'bridge.yaml:10:13: endpoints.crm.window "many": is not a whole number; use digits only',
    ]


def test_the_place_shows_the_whole_path_of_the_file(tmp_path):
    file = tmp_path / ("folder-of-forty-characters-and-no-more.." * 3) / "new\nline" / "bridge.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("grup: x\n")
    shown = str(file).replace("\n", "\\n")
    assert check(file, {})[0].startswith(f"{shown}:1:1: grup: is not a known key")


def test_an_instant_for_start_needs_no_quotes(write, given):
    """YAML would read it as a timestamp; it stays text."""
    text = VALID + "    start: 2026-06-29T08:15:30Z\n"
    assert load(write(text), {}).endpoints["crm"].start_at == 1_782_720_930_000
    assert load(write(VALID), {}).endpoints["crm"].start_at == "latest"
    (line,) = given("    sources: [fineract]", "    sources: [fineract]\n    start: latests")
    assert line.endswith('; did you mean "latest"?')


def test_mistakes_of_every_kind_are_reported_together_in_file_order(given):
    lines = given(
        "bootstrap_servers:", "heartbeat_interval_s: 40\n  bootstrap_server:",
        "schemas: avro", 'schemas: "${env:NOWHERE}"',
        "id: id, ", "",
        "https://crm", "ftp://crm",
        "    secrets", "    timeout_s: 99\n    secrets",
        env={"HOOKFERRY_GRUP": "x"},
    )  # fmt: skip
    paths = [line.split(": ")[1] for line in lines]
    assert [path.split(" ")[0] for path in paths] == [
        "kafka.heartbeat_interval_s",
        "kafka.bootstrap_server",
        "sources.fineract.schemas",
        "sources.orders.id",
        "endpoints.crm.url",
        "endpoints.crm.timeout_s",
        "is",
    ]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("kafka:", None),
        ("bootstrap_servers:", "bootstrap_servers"),
        ("endpoints:", "endpoints"),
        ("    secrets:", "secrets"),
    ],
)
def test_a_misspelled_key_is_one_mistake_that_names_the_right_key(given, wrong, right):
    if right is None:
        lines = given("kafka:", "kafkaa:")
        right = "kafka"
    else:
        lines = given(wrong, wrong.replace(right, right[:3] + right[4:]))
    assert len(lines) == 1
    assert lines[0].endswith(f'is not a known key; did you mean "{right}"?')


@pytest.mark.parametrize(
    ("swap", "expected"),
    [
        (("format: json", "format: jsno"), '"jsno": is not a known format; did you mean "json"?'),
        (("format: json, ", ""), "sources.orders.format: is missing; add format"),
        (("type: type}", "type: type, idd: x}"), 'sources.orders.idd: is not a known key; use one of'),
        (("schemas: avro", "schemas: avro, id: x"), "not a key of a source with format fineract; remove it"),
        (("id: id, ", ""), "sources.orders.id: is missing; add id"),
        (("id: id, type: type", "id: .a, type: type"), 'sources.orders.id ".a": has characters'),
        (("  crm:", "  CRM:"), "endpoints.CRM: the name has characters"),
        (("[external-events]", "[]"), "sources.fineract.topics: is empty; list at least one"),
        (("[external-events]", "external-events"), "is not a list; write it as a list"),
        (("[external-events]", "[outbox.orders]"), "is read in source fineract too"),
        (("[outbox.orders]", "[a, a]"), "is read twice in this source"),
        (("[outbox.orders]", "[hookferry.parked]"), "is a topic that Hookferry itself writes"),
        (("localhost:9092", "kafka://localhost:9092"), "write host:port"),
        (("kafka:\n", "kafka:\n  replication_factor: 0\n"), "is 0, and a topic needs at least one copy"),
        (("kafka:\n", "kafka:\n  create_topics: perhaps\n"), "is neither true nor false"),
        (("kafka:\n", "kafka:\n  session_timeout_s: yes\n"), "is true or false, not a number"),
        (("kafka:\n", "kafka:\n  session_timeout_s: .nan\n"), "kafka.session_timeout_s"),
        (("kafka:\n", "admin: {port: 65536}\nkafka:\n"), 'admin.port "65536": must be at most 65535'),
        (("kafka:\n", "log: {level: warn}\nkafka:\n"), 'did you mean "warning"?'),
        (("kafka:\n", "group: a/b\nkafka:\n"), "use letters, digits, dot"),
        (("kafka:\n", "group: 5\nkafka:\n"), "is not text; put the value in quotes"),
        (("kafka:\n", "egress: {allow: [10.1.2.3/8]}\nkafka:\n"), "is not a network"),
        (("kafka:\n", "dedupe:\nkafka:\n"), "dedupe: has no value (null)"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_reported_once(given, swap, expected):
    lines = given(*swap)
    assert len(lines) == 1, lines
    assert expected in lines[0]


def test_a_problem_is_one_line_even_if_the_key_contains_a_line_break(given):
    (line,) = given("kafka:\n", '"a\\nb\\e": 1\nkafka:\n')
    assert line.startswith(r"bridge.yaml:1:1: a\nb\x1b: is not a known key")


def test_the_message_for_a_missing_file_explains_how_to_name_one(tmp_path):
    (line,) = check(tmp_path / "no.yaml", {})
    assert line == (
        f"{tmp_path}/no.yaml: there is no such file; "
        "name the settings file (check FILE, other commands -c FILE), or set HOOKFERRY_CONFIG=FILE"
    )


def test_a_folder_instead_of_the_file_is_reported(tmp_path):
    assert "is not a file" in check(tmp_path, {})[0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xfe", "is not UTF-8 text (byte 0)"),
        (b"#" * 1_048_577, "is larger than 1048576 bytes"),
        (b"", "the file is empty"),
        (b"- a\n", "is not a mapping"),
    ],
)
def test_a_file_that_cannot_be_a_settings_file_is_reported(folder, content, expected):
    path = folder / "bridge.yaml"
    path.write_bytes(content)
    (line,) = check(path, {})
    assert expected in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_an_unreadable_file_is_reported(write):
    path = write(VALID)
    path.chmod(0)
    assert "cannot be read" in check(path, {})[0]
