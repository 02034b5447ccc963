"""A forked command is a process of its own, like one that was started alone."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from bridge import __version__
from tests.support.forked import BridgeCommand, run_command
from tests.support.watch import wait_until

ENV = {"PATH": "/usr/bin:/bin"}
PIPE = subprocess.PIPE


def test_a_forked_command_has_its_own_exit_code_streams_and_environment(tmp_path: Path) -> None:
    done = run_command(["version", "--output=json"], env=ENV)
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, {"version": __version__}, "")
    file = tmp_path / "bridge.yaml"
    for text, word in (("group: ${env:NAME}", "NAME"), ("group: ${env:OTHER}", "OTHER")):
        file.write_text(text)
        unset = run_command(["check", str(file)], env=ENV)
        assert unset.returncode == 2
        assert f"environment variable {word} is not set" in unset.stdout + unset.stderr
        given = run_command(["check", str(file)], env=ENV | {word: "g"})
        assert "is not set" not in given.stdout + given.stderr


def test_a_forked_command_does_not_see_the_environment_of_what_it_was_forked_from(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text("group: ${env:PYTHONHASHSEED}")  # each server has it
    done = run_command(["check", str(file)], env=ENV)
    assert "environment variable PYTHONHASHSEED is not set" in done.stdout + done.stderr


def test_a_forked_command_reads_its_input() -> None:
    done = run_command(["verify", "-"], env=ENV, typed="what is no header\n")
    assert done.returncode == 2
    assert "line 1 is not a header" in done.stderr


def test_a_forked_command_fails_if_its_output_cannot_be_written() -> None:
    with (
        open("/dev/full", "wb") as disk,
        BridgeCommand(["completion", "bash"], env=ENV, stdout=disk, stderr=PIPE) as command,
    ):
        _, errors = command.communicate(timeout=60)
        assert command.returncode
        assert b"cannot write: No space left on device" in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_reaches_a_forked_command_alone(number: signal.Signals) -> None:
    first, second = (BridgeCommand(["verify", "-"], env=ENV, stdin=PIPE, stderr=PIPE) for _ in range(2))
    with first, second:
        first.send_signal(number)
        assert first.wait(30) in {-number, 1, 130}
        assert second.poll() is None
        second.kill()


def test_two_commands_in_turn_have_different_hash_seeds() -> None:
    seeds = set()
    for _ in range(2):
        with BridgeCommand(["verify", "-"], env=ENV, stdin=PIPE, stderr=PIPE) as command:
            read = Path(f"/proc/{command.pid}/environ").read_bytes()
            seeds |= {value for value in read.split(b"\0") if value.startswith(b"PYTHONHASHSEED=")}
            command.kill()
    assert seeds == {b"PYTHONHASHSEED=1", b"PYTHONHASHSEED=2"}


def test_what_the_interpreter_reads_at_its_start_gets_a_start_of_its_own() -> None:
    with BridgeCommand(
        ["verify", "-"], env=ENV | {"PYTHONHASHSEED": "77"}, stdin=PIPE, stderr=PIPE
    ) as command:
        read = Path(f"/proc/{command.pid}/environ").read_bytes
        wait_until(lambda: b"PYTHONHASHSEED=77" in read(), "it has this seed")
        command.kill()
