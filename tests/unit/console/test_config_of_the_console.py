"""The configuration as the console shows it: without secrets, with what changed in the file since."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.console.config_view import ConfigFile
from bridge.settings import load_for, uses
from bridge.settings.fingerprint import config_hash
from bridge.settings.load import read

CONFIG = """\
kafka:
  bootstrap_servers: ["k:9092"]
  security_protocol: SASL_SSL
  sasl: {mechanism: PLAIN, username: bank, password: hunter2-of-kafka}
sources: {orders: {topics: [orders], format: json, id: id, type: type}}
endpoints: {crm: {url: "https://a.example/", rate: ["10/1s"]}}
console: {tokens: {ann: {token: a-token-that-is-long-enough, role: operate}}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.yaml"
    path.write_text(CONFIG)
    return path


def test_no_secret_is_shown_and_the_hash_is_that_of_the_bridges(file: Path) -> None:
    view = ConfigFile(file, load_for(file, os.environ, uses.CONSOLE)).view(())
    for secret in ("hunter2", "a-token-that-is-long-enough"):
        assert secret not in view.text
    assert "bank" in view.text
    whole = read(file, os.environ).settings
    assert whole is not None
    assert view.hash == view.file_hash == config_hash(whole)
    assert (view.difference, view.problems) == ([], [])


def test_a_changed_file_is_shown_as_a_difference_without_new_secrets(file: Path) -> None:
    config = ConfigFile(file, load_for(file, os.environ, uses.CONSOLE))
    file.write_text(CONFIG.replace("10/1s", "20/1s").replace("hunter2-of-kafka", "another-word-2"))
    view = config.view(())
    assert any(line.startswith("+") and "20/1s" in line for line in view.difference)
    assert "another-word-2" not in "\n".join(view.difference)
    assert view.hash != view.file_hash


def test_mistakes_in_a_changed_file_are_listed(file: Path) -> None:
    config = ConfigFile(file, load_for(file, os.environ, uses.CONSOLE))
    file.write_text(CONFIG.replace("format: json", "format: jsn"))
    view = config.view(())
    assert any("jsn" in line for line in view.problems)
    file.unlink()
    assert config.view(()).problems
