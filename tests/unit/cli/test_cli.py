"""The command ``hookferry``: help, exit codes, and messages instead of tracebacks."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge import __version__
from bridge.cli import cli
from tests.support.cli import ROOT, hookferry
from tests.support.settings_example import SECRET, VALID

COMMANDS = [
    "check", "completion", "console", "cursors", "demo", "doctor", "endpoints", "events", "history",
    "inspect", "jobs", "keys", "listen", "parked", "reload", "render", "replay", "resend", "rewind", "route",
    "run", "schemas", "send", "skip-to", "status", "verify", "version",
]  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "avro").mkdir()
    path = tmp_path / "bridge.yaml"
    text = VALID.replace("  fineract: {topics: [external-events], format: fineract, schemas: avro}\n", "")
    path.write_text(text.replace("    sources: [fineract]\n", ""), encoding="utf-8")
    return path


def test_the_help_shows_each_command_on_a_line_of_its_own() -> None:
    result = CliRunner().invoke(cli, ["--help"], prog_name="hookferry")
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert result.exit_code == 0
    assert "hookferry demo see it work; needs no Kafka and no receiver" in lines
    assert "hookferry run -c bridge.yaml deliver events until SIGTERM, then drain and commit" in lines
    listed = [line.split()[0] for line in lines[lines.index("Commands:") + 1 :] if line]
    assert listed == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(command: str, flag: str) -> None:
    result = CliRunner().invoke(cli, [command, flag], prog_name="hookferry")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: hookferry {command}")


def test_the_help_of_completion_keeps_its_lines() -> None:
    lines = CliRunner().invoke(cli, ["completion", "--help"]).output.splitlines()
    for shell in ("bash", "zsh", "fish"):
        assert any(line.strip().startswith(f"{shell}: ") for line in lines)


def test_version() -> None:
    result = hookferry("version")
    assert (result.returncode, result.stdout) == (0, f"hookferry {__version__}\n")


@pytest.mark.parametrize(
    ("shell", "part"),
    [("bash", "complete -o nosort -F"), ("zsh", "#compdef hookferry"), ("fish", "complete --no-files")],
)
def test_each_shell_gets_its_completion_script(shell: str, part: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell], prog_name="hookferry")
    assert result.exit_code == 0
    assert part in result.output
    assert f"_HOOKFERRY_COMPLETE={shell}_complete" in result.output


def test_the_script_completes_the_commands() -> None:
    """Call the command as the completion script of bash does."""
    env = {"_HOOKFERRY_COMPLETE": "bash_complete", "COMP_WORDS": "hookferry c", "COMP_CWORD": "1"}
    assert hookferry(env=env).stdout.split() == [
        "plain,check", "plain,completion", "plain,console", "plain,cursors",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line", ["render -c {} -e", "endpoints off -c {}", "parked list -c {} --endpoint", "events off -c {} -e"]
)
def test_endpoints_are_completed(line: str, config: Path) -> None:
    """Even if the environment variables of its secrets are not set."""
    text = config.read_text().replace("  crm:\n", "  crm: {url: '${env:NOWHERE}'}\n  sales:\n")
    config.write_text(text)
    words = f"hookferry {line.format(config)}"
    for start, found in (("", ["plain,crm", "plain,sales"]), ("s", ["plain,sales"])):
        env = {
            "_HOOKFERRY_COMPLETE": "bash_complete",
            "COMP_WORDS": f"{words} {start}",
            "COMP_CWORD": str(len(words.split())),
        }
        assert hookferry(env=env).stdout.split() == found, start


def test_a_configuration_that_cannot_be_read_completes_nothing(config: Path) -> None:
    words = f"hookferry render -c {config}x -e "
    result = hookferry(
        env={
            "_HOOKFERRY_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split())),
        }
    )
    assert (result.stdout.strip(), result.stderr) == ("", "")


def test_an_unknown_shell_is_a_usage_error() -> None:
    result = CliRunner().invoke(cli, ["completion", "cmd"])
    assert result.exit_code == 2
    assert "bash" in result.output


def test_check_finds_nothing_in_a_valid_file(config: Path) -> None:
    result = hookferry("check", str(config))
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{config}: no problems\n", "")


def test_check_prints_every_problem_with_its_line_and_their_number(config: Path) -> None:
    config.write_text(config.read_text().replace("url: https", "url: ftp").replace("id: id", "idd: id"))
    result = hookferry("check", str(config))
    assert result.returncode == 2
    problems = result.stdout.splitlines()
    assert len(problems) >= 2
    assert all(line.startswith(f"{config}:") for line in problems)
    assert result.stderr == f"{len(problems)} problems in {config}\n"
    assert SECRET not in result.stdout + result.stderr


def test_a_single_problem_is_counted_in_the_singular(config: Path) -> None:
    config.write_text(config.read_text().replace("url: https", "url: ftp"))
    assert hookferry("check", str(config)).stderr == f"1 problem in {config}\n"


def test_check_reads_the_schema_folders(config: Path) -> None:
    """So a damaged schema is found before the bridge runs."""
    (config.parent / "avro" / "bad.avsc").write_text("{")
    text = config.read_text().replace(
        "sources:\n", "sources:\n  f: {topics: [external-events], format: fineract, schemas: avro}\n"
    )
    config.write_text(text)
    result = hookferry("check", str(config))
    assert result.returncode == 2
    assert "bad.avsc" in result.stdout


@pytest.mark.parametrize("command", [["check"], ["run", "-c"]])
def test_a_missing_file_gives_a_message_and_exit_code_2(command: list[str], tmp_path: Path) -> None:
    result = hookferry(*command, str(tmp_path / "no.yaml"))
    assert result.returncode == 2
    assert "no.yaml" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_run_prints_the_same_problems_as_check(config: Path) -> None:
    config.write_text(config.read_text().replace("url: https", "url: ftp").replace("id: id", "idd: id"))
    checked, ran = hookferry("check", str(config)), hookferry("run", "-c", str(config))
    assert ran.returncode == 2
    assert ran.stderr == checked.stdout


def test_run_reads_the_path_of_its_file_from_the_environment(tmp_path: Path) -> None:
    result = hookferry("run", env={"HOOKFERRY_CONFIG": str(tmp_path / "other.yaml")})
    assert result.returncode == 2
    assert "other.yaml" in result.stderr


def test_an_admin_port_that_is_taken_ends_run_with_a_message(config: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = (
            config.read_text()
            + f"admin: {{host: 127.0.0.1, port: {port}}}\nstate_dir: {config.parent}/state\n"
        )
        config.write_text(text)
        result = hookferry("run", "-c", str(config))
    assert result.returncode == 2
    assert f"admin.port {port}: cannot listen" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_a_state_folder_that_cannot_be_created_ends_run_with_a_message(config: Path) -> None:
    config.write_text(config.read_text() + f"state_dir: {config}/state\n")
    result = hookferry("run", "-c", str(config))
    assert "Traceback" not in result.stdout + result.stderr
    assert result.returncode == 2
    assert "state" in result.stderr


def test_check_and_run_take_their_file_as_an_argument_or_as_an_option(config: Path) -> None:
    config.write_text(config.read_text().replace("url: https", "url: ftp"))
    outputs = {
        result.stdout if command == "check" else result.stderr
        for command in ("check", "run")
        for arguments in ([str(config)], ["-c", str(config)], ["--config", str(config)])
        for result in (hookferry(command, *arguments),)
    }
    assert len(outputs) == 1
    assert "endpoints.crm.url" in outputs.pop()


@pytest.mark.parametrize("command", ["check", "run"])
def test_giving_the_file_twice_is_refused(command: str, config: Path) -> None:
    result = hookferry(command, str(config), "-c", "other.yaml")
    assert result.returncode == 2
    assert "given twice" in result.stderr
    by_environment = hookferry(command, str(config / "no"), env={"HOOKFERRY_CONFIG": "other.yaml"})
    assert "other.yaml" not in by_environment.stdout + by_environment.stderr


def test_run_prints_the_line_that_names_an_unusable_file(config: Path) -> None:
    (config.parent / "avro").mkdir(exist_ok=True)
    text = config.read_text().replace(
        "sources:\n", "sources:\n  f: {topics: [external-events], format: fineract, schemas: avro}\n"
    )
    config.write_text(text)
    result = hookferry("run", str(config))
    assert result.returncode == 2
    assert result.stderr.startswith(f"{config}:4:61: sources.f.schemas: ")
    assert result.stderr == hookferry("check", str(config)).stdout


@pytest.mark.parametrize(
    "command", ["parked list", "endpoints list", "cursors list", "events list", "status"]
)
def test_an_unreachable_broker_gives_one_message(command: str, config: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        config.write_text(config.read_text().replace("localhost:9092", address))
        result = hookferry(*command.split(), "-c", str(config))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("hookferry: ")
    assert address in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_full_disk_gives_a_message(config: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "bridge", "check", str(config)],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False, cwd=ROOT,
        )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr == "hookferry: cannot write: No space left on device; free some space on that disk\n"
