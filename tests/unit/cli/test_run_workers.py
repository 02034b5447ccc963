"""``hookferry run --workers``: what it accepts, and how the workers are started."""

from __future__ import annotations

import sys

import click
import pytest
from click.testing import CliRunner

from bridge.app.cpus import usable_cpus
from bridge.cli import cli
from bridge.cli.run import _count_workers, run
from bridge.workers.launch import _own_command


def count(text: str | None) -> int | None:
    return _count_workers(click.Context(run), run.params[0], text)


@pytest.mark.parametrize(("text", "expected"), [(None, None), ("1", 1), ("12", 12), ("256", 256)])
def test_a_number_of_workers_is_taken_as_it_is(text: str | None, expected: int | None) -> None:
    assert count(text) == expected


def test_auto_is_the_number_of_usable_cpus() -> None:
    assert count("auto") == usable_cpus() >= 1


@pytest.mark.parametrize("text", ["0", "-1", "257", "1.5", "", "Auto", "two", "²"])
def test_anything_else_is_a_usage_error_that_names_the_choices(text: str) -> None:
    result = CliRunner().invoke(cli, ["run", "--workers", text, "none.yaml"])
    assert result.exit_code == 2
    assert "neither auto nor a number from 1 to 256" in result.output


def test_the_option_between_supervisor_and_worker_is_hidden() -> None:
    assert "as-worker" not in CliRunner().invoke(cli, ["run", "--help"]).output


@pytest.mark.parametrize(
    ("words", "arguments", "expected"),
    [
        (["python", "-m", "bridge", "run", "--workers", "2"], ["run", "--workers", "2"], ["-m", "bridge"]),
        (["python3", "-I", "/usr/bin/hookferry", "run", "-c", "x"], ["run", "-c", "x"],
         ["-I", "/usr/bin/hookferry"]),
        (["python", "/usr/bin/hookferry"], [], ["/usr/bin/hookferry"]),
    ],
)  # fmt: skip
def test_a_worker_is_started_as_its_supervisor_was(
    monkeypatch: pytest.MonkeyPatch, words: list[str], arguments: list[str], expected: list[str]
) -> None:
    monkeypatch.setattr(sys, "orig_argv", words)
    monkeypatch.setattr(sys, "argv", ["hookferry", *arguments])
    assert _own_command() == [sys.executable, *expected]
