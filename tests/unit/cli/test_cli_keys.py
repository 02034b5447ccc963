"""``hookferry keys``: new keys, the list with its times, rotations in a file and by hand, the public keys."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.core.signing.key_text import read_keys, standard_key, text_key
from bridge.errors import ConfigError
from bridge.settings import check, load

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
HEAD = """\
group: g
kafka: {bootstrap_servers: ["k:9092"]}
sources: {orders: {topics: [orders], format: json, id: id, type: type}}
endpoints:
"""
CRM = "  crm:\n    url: https://crm.example.com/\n"


@pytest.fixture
def config(tmp_path: Path):
    def write(*lines: str) -> Path:
        file = tmp_path / "bridge.yaml"
        file.write_text(HEAD + CRM + "".join(f"    {line}\n" for line in lines), "utf-8")
        return file

    return write


def run(*arguments: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, ["keys", *map(str, arguments)], env=env)


def rotated(config: Path, *arguments: object, env: dict[str, str] | None = None) -> str:
    result = run("rotate", "crm", "-c", config, *arguments, env=env)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_new_key_is_alone_on_standard_output():
    result = run("new")
    (key,) = read_keys(result.stdout, standard_key)
    assert result.stdout.startswith("whsec_")
    assert len(key.secret) == 32
    assert key.name in result.stderr
    assert run("new").stdout != result.stdout


def test_a_new_pair_comes_with_its_public_key():
    result = run("new", "--ed25519")
    (key,) = read_keys(result.stdout, standard_key)
    assert key.public is not None
    assert "public key, for the receiver: whpk_" in result.stderr


def test_a_new_text_can_be_the_key_of_another_form():
    assert len(read_keys(run("new", "--text").stdout, text_key("text"))[0].secret) == 64
    assert run("new", "--text", "--ed25519").exit_code == 2


def test_the_list_shows_names_and_times_and_no_key(config):
    file = config(
        "signing:",
        "  keys:",
        f'    - {{secret: "{SECRET}", until: 2020-01-01T00:00:00Z}}',
        f'    - {{secret: "{PAIR}", since: 2019-12-31T00:00:00Z}}',
        f'    - {{secret: "whsec_{"B" * 32}", since: 2999-01-01T00:00:00Z}}',
    )
    result = run("list", "-c", file)
    ended, newest, later = result.stdout.splitlines()[1:]
    assert "  ended  " in ended
    assert "2020-01-01T00:00:00Z" in ended
    assert "  signs, newest  " in newest
    assert "whpk_" in newest
    assert "  begins later  " in later
    for secret in (SECRET[6:], PAIR[5:50], "B" * 32):
        assert secret not in result.output


def test_the_list_is_json_on_demand(config):
    file = config(f"signing: {{form: github, keys: [{'a' * 16}, {'b' * 16}]}}")
    rows = json.loads(run("list", "-c", file, "--json").stdout)
    assert [row["state"] for row in rows] == ["signs, newest", "waits: the form has one signature"]
    assert rows[0]["form"] == "github"
    assert rows[0]["until"] is None


def test_a_rotation_in_a_file_adds_the_new_key_and_ends_the_old_one(config, tmp_path):
    keys = tmp_path / "crm.key"
    keys.write_text(f"# crm\n{SECRET}\n")
    keys.chmod(0o640)
    file = config('secrets: ["${file:crm.key}"]')
    shown = rotated(file, "--overlap", "2h")
    first, comment, old = keys.read_text().splitlines()
    assert comment == "# crm"
    assert old.startswith(f"{SECRET} until=")
    assert stat.S_IMODE(keys.stat().st_mode) == 0o640
    new, ended = load(file, {}).endpoints["crm"].signing_keys
    assert new.name in shown
    assert ended.name in shown
    assert ended.until_s < float("inf")
    assert first not in shown
    assert SECRET not in shown
    assert "2. Check with `hookferry reload` that every bridge has the new key." in shown
    assert [path.name for path in tmp_path.iterdir()] == ["crm.key", "bridge.yaml"] or len(
        list(tmp_path.iterdir())
    ) == 2


def test_the_next_rotation_removes_keys_that_have_ended(config, tmp_path):
    keys = tmp_path / "crm.key"
    keys.write_text(f"{PAIR}\n{SECRET} until=2020-01-01T00:00:00Z\n")
    shown = rotated(config('secrets: ["${file:crm.key}"]'))
    assert len(keys.read_text().splitlines()) == 2
    assert SECRET not in keys.read_text()
    assert "had ended and was removed" in shown
    assert keys.read_text().startswith("whsk_"), "the new key is of the kind of the old one"
    assert "Give the receiver the new public key: whpk_" in shown


def test_a_form_with_one_signature_changes_its_key_at_the_end_of_the_overlap(config, tmp_path):
    keys = tmp_path / "crm.key"
    keys.write_text("It's a Secret to Everybody\n")
    file = config('signing: {form: github, keys: ["${file:crm.key}"]}')
    shown = rotated(file)
    new, old = load(file, {}).endpoints["crm"].signing_keys
    assert new.since_s == old.until_s > 0
    assert "the old key signs, and from then on the new one" in shown
    result = run("rotate", "crm", "-c", file, "--overlap", "1h")
    assert isinstance(result.exception, ConfigError)
    assert "wait until then, or give a longer --overlap" in str(result.exception)
    assert len(keys.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "lines",
    [
        ['secrets: ["${env:CRM_SECRET}"]'],
        ["signing:", '  keys: ["${env:CRM_SECRET}"]'],
        [
            "signing:",
            "  form: github",
            "  keys:",
            '    - {secret: "${env:CRM_SECRET}", since: 2020-01-01T00:00:00Z}',
            '    - "${env:OLDEST}"',
        ],
    ],
)
def test_without_a_file_the_command_prints_lines_that_work_and_changes_nothing(config, lines):
    file = config(*lines)
    before, env = file.read_text(), {"CRM_SECRET": SECRET, "OLDEST": "o" * 16}
    shown = rotated(file, env=env)
    assert "Nothing was changed for crm" in shown
    assert "4. Restart every bridge" in shown, "a running process does not get another environment"
    assert file.read_text() == before
    printed = shown.splitlines()
    start, end = (
        printed.index("    signing:"),
        next(i for i, line in enumerate(printed) if line.startswith("4. ")),
    )
    secret = printed[printed.index(next(line for line in printed if line.startswith("1. "))) + 1]
    file.write_text(HEAD + CRM + "\n".join(printed[start:end]) + "\n", "utf-8")
    assert check(file, env | {"NEW_SECRET": secret}) == []
    crm = load(file, env | {"NEW_SECRET": secret}).endpoints["crm"]
    assert crm.signing_texts[0] == secret
    assert all(key.until_s < float("inf") for key in crm.signing_keys[1:])
    assert SECRET not in shown
    assert yaml.safe_load("\n".join(printed[start:end]))


def test_a_literal_key_is_not_printed_by_a_rotation(config):
    shown = rotated(config(f"secrets: [{SECRET}]"))
    assert SECRET[6:] not in shown
    assert "the old key" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["crn"], 'no endpoint "crn"; did you mean "crm"?'),
        (["crm", "--overlap", "soon"], '--overlap "soon" is not a time'),
        (["crm", "--overlap", "0h"], '--overlap "0h" is not a time'),
    ],
)
def test_a_mistake_in_the_arguments_changes_nothing(config, tmp_path, arguments, message):
    keys = tmp_path / "crm.key"
    keys.write_text(SECRET)
    result = run("rotate", *arguments, "-c", config('secrets: ["${file:crm.key}"]'))
    assert message in str(result.exception)
    assert keys.read_text() == SECRET


def test_the_key_set_has_the_public_keys_and_nothing_else(config):
    result = run("jwks", "-c", config(f"secrets: [{SECRET}, {PAIR}]"))
    (key,) = json.loads(result.stdout)["keys"]
    assert (key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA")
    assert "d" not in key


def test_after_two_rotations_and_their_overlaps_the_configuration_is_still_valid(config, tmp_path):
    """The keys that begin after an ended one stay valid when it is removed."""
    keys = tmp_path / "crm.key"
    text = "It's a Secret to Everybody"
    keys.write_text(f"{'b' * 20} since=2020-01-01T00:00:00Z\n{text} until=2020-01-01T00:00:00Z\n")
    file = config('signing: {form: github, keys: ["${file:crm.key}"]}')
    rotated(file)
    assert check(file, {}) == []
    assert text not in keys.read_text()


def test_a_file_that_a_variable_overrides_is_left_alone(config, tmp_path):
    keys = tmp_path / "crm.key"
    keys.write_text(SECRET)
    other = json.dumps(["whsec_" + "B" * 32])
    env = {"HOOKFERRY_ENDPOINTS__CRM__SECRETS": other}
    assert "Nothing was changed" in rotated(config('secrets: ["${file:crm.key}"]'), env=env)
    assert keys.read_text() == SECRET


def test_the_other_endpoints_of_a_shared_file_are_named(config, tmp_path):
    (tmp_path / "crm.key").write_text(SECRET)
    file = config('secrets: ["${file:crm.key}"]')
    file.write_text(
        file.read_text() + '  shop: {url: "https://shop.example.com/", secrets: ["${file:crm.key}"]}\n'
    )
    assert "each receiver must switch: crm, shop." in rotated(file)
