"""Reloads: from a changed file, a signal or a request to a configuration in force, or to the reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.app.config_file import Candidate, Stamps, open_source
from bridge.app.reload_requests import ReloadRequests
from bridge.app.reloading import Outcome, Reloads
from bridge.clock import SystemClock
from bridge.core.reload_request import ReloadAnswer, ReloadRequest, read_answer
from bridge.core.reload_state import ReloadState
from bridge.errors import KafkaUnavailable
from bridge.model import Partition, Record
from bridge.settings import Settings
from bridge.settings.changes import SettingsChange
from bridge.telemetry.metrics import Metrics

BASE: dict[str, Any] = {
    "kafka": {"bootstrap_servers": ["k:9092"]},
    "sources": {"orders": {"format": "json", "topics": ["t"], "id": "id", "type": "type"}},
    "endpoints": {"crm": {"url": "https://crm.test/hooks"}},
    "log": {"format": "json"},
}


class FakeInForce:
    """Takes everything over, after ``trouble``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.taken: list[SettingsChange] = []
        self.trouble: list[Exception] = []

    async def take_over(self, settings: Settings, change: SettingsChange) -> None:
        if self.trouble:
            raise self.trouble.pop()
        self.settings = settings
        self.taken.append(change)


class Stage:
    """A file, and the reloads of a process that has read it."""

    def __init__(self, folder: Path, **top: Any) -> None:
        self.file = folder / "bridge.yaml"
        self.write(**top)
        settings, source = open_source(self.file, {})
        self.in_force = FakeInForce(settings)
        self.metrics = Metrics()
        self.reloads = Reloads(source, self.in_force, self.metrics, SystemClock())  # type: ignore[arg-type]
        self.first = self.reloads.state

    def write(self, text: str = "", **top: Any) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text or yaml.safe_dump(BASE | top))
        fresh.replace(self.file)

    def count(self, outcome: str) -> float:
        return (
            self.metrics.registry.get_sample_value("hookferry_config_reloads_total", {"outcome": outcome})
            or 0.0
        )

    @property
    def total(self) -> float:
        return sum(self.count(outcome) for outcome in Outcome)

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not what():
                await asyncio.sleep(0.02)

    async def __aenter__(self) -> Stage:
        self._task = asyncio.create_task(self.reloads.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.app.reloading.LOOK_S", 0.04)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


ADDED = {"endpoints": BASE["endpoints"] | {"erp": {"url": "https://erp.test/hooks"}}}


async def test_a_changed_file_is_taken_over_and_its_state_is_shown(stage: Stage) -> None:
    async with stage:
        stage.write(**ADDED)
        await stage.until(lambda: stage.in_force.taken)
    (change,) = stage.in_force.taken
    assert change.added == {"erp"}
    assert stage.reloads.state.hash != stage.first.hash
    value = stage.metrics.registry.get_sample_value
    assert value("hookferry_config_info", {"hash": stage.reloads.state.hash}) == 1
    assert value("hookferry_config_info", {"hash": stage.first.hash}) is None
    assert value("hookferry_config_last_reload_success_timestamp_seconds") == stage.reloads.state.since


async def test_a_broken_file_changes_nothing_and_is_named_until_it_is_mended(stage: Stage) -> None:
    async with stage:
        good = stage.file.read_text()
        stage.write(good + "nonsense: [")
        await stage.until(lambda: stage.reloads.state.error)
        assert "bridge.yaml" in stage.reloads.state.error
        assert stage.reloads.state.hash == stage.first.hash
        stage.write(good)
        await stage.until(lambda: not stage.reloads.state.error)
    assert (stage.count("refused"), stage.count("unchanged"), stage.in_force.taken) == (1, 1, [])


async def test_what_needs_a_restart_is_named_and_the_rest_of_the_change_waits_with_it(stage: Stage) -> None:
    async with stage:
        stage.write(**ADDED, group="other", drain_timeout_s=33)
        await stage.until(lambda: stage.reloads.state.error)
    assert "group: a change needs a restart" in stage.reloads.state.error
    assert "drain_timeout_s: a change needs a restart" in stage.reloads.state.error
    assert stage.in_force.taken == []


async def test_a_template_that_cannot_be_rendered_is_found_before_it_is_in_force(stage: Stage) -> None:
    async with stage:
        crm = {"url": "https://crm.test/", "body": {"template": "{{ nonsense( }}"}}
        stage.write(endpoints={"crm": crm})
        await stage.until(lambda: stage.reloads.state.error)
    assert "template" in stage.reloads.state.error
    assert stage.in_force.taken == []


async def test_a_secret_in_a_file_and_a_template_file_are_watched_too(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key-of-the-first-days")
    (tmp_path / "t.json").write_text('{"a": 1}')
    crm = {
        "url": "https://crm.test/",
        "headers": {"X-Key": "${file:key}"},
        "body": {"template_file": "t.json"},
    }
    stage = Stage(tmp_path, endpoints={"crm": crm})
    async with stage:
        (tmp_path / "key").write_text("key-of-the-second-days")
        await stage.until(lambda: len(stage.in_force.taken) == 1)
        (tmp_path / "t.json").write_text('{"a": 2}')
        await stage.until(lambda: len(stage.in_force.taken) == 2)
        (tmp_path / "t.json").write_text('{"a": 1}')  # back to the first: it is not in force any more
        await stage.until(lambda: len(stage.in_force.taken) == 3)
        (tmp_path / "key").unlink()
        await stage.until(lambda: stage.reloads.state.error)
        assert "does not exist" in stage.reloads.state.error
        (tmp_path / "key").write_text("key-of-the-third-days")
        await stage.until(lambda: len(stage.in_force.taken) == 4)
    assert "key-of" not in stage.reloads.state.error


async def test_files_are_read_once_they_do_not_change_any_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer may need several steps: a copy, or one file after another."""
    file, steps, seen, at_read = stage.reloads._file, iter((1, 2, 3)), list[int](), list[list[int]]()
    stamps, read = file.stamps, file.read

    def look() -> Stamps:
        seen.append(next(steps, 4))
        return {**stamps(), Path("another file"): (seen[-1],)}

    def read_then() -> Candidate:
        at_read.append([*seen])
        return read()

    monkeypatch.setattr(file, "stamps", look)
    monkeypatch.setattr(file, "read", read_then)
    stage.write(**ADDED)
    async with stage:
        await stage.until(lambda: stage.in_force.taken)
    assert at_read == [[1, 2, 3, 4, 4]]


async def test_another_level_of_the_log_applies_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels: list[str] = []
    monkeypatch.setattr("bridge.app.reloading.logs.set_level", levels.append)
    async with stage:
        stage.write(log={"format": "json", "level": "debug"})
        await stage.until(lambda: stage.in_force.taken)
    assert levels == ["debug"]


async def test_a_link_that_is_exchanged_is_a_change(tmp_path: Path) -> None:
    """Kubernetes mounts a ConfigMap so: file -> ..data/file, and ..data -> a folder."""
    for version, top in (("1", {}), ("2", ADDED)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "bridge.yaml").write_text(yaml.safe_dump(BASE | top))
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "mounted.yaml").symlink_to("..data/bridge.yaml")
    settings, source = open_source(tmp_path / "mounted.yaml", {})
    in_force = FakeInForce(settings)
    reloads = Reloads(source, in_force, Metrics(), SystemClock())  # type: ignore[arg-type]
    running = asyncio.create_task(reloads.run())
    (tmp_path / "..new").symlink_to("2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    async with asyncio.timeout(60):
        while not in_force.taken:
            await asyncio.sleep(0.02)
    running.cancel()
    assert in_force.taken[0].added == {"erp"}


async def test_while_the_broker_is_away_the_change_is_kept_and_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.app.reloading._TRY_AGAIN_S", 0.05)
    stage.in_force.trouble.append(KafkaUnavailable("the broker is away"))
    async with stage:
        stage.write(**ADDED)
        await stage.until(lambda: stage.in_force.taken)
        await asyncio.sleep(0.3)
    assert (stage.count("failed"), stage.reloads.state.error) == (1, "")
    assert stage.total == 2, "it is not tried again once it is in force"


async def test_an_internal_error_stops_neither_the_process_nor_later_reloads(stage: Stage) -> None:
    stage.in_force.trouble.append(RuntimeError("a bug"))
    async with stage:
        stage.write(**ADDED)
        await stage.until(lambda: stage.reloads.state.error)
        assert stage.reloads.state.error == "internal error: RuntimeError"
        stage.write(**ADDED, commit_interval_s=0.2)
        await stage.until(lambda: stage.in_force.taken)


async def test_without_a_watch_only_a_signal_or_a_request_reloads(tmp_path: Path) -> None:
    stage = Stage(tmp_path, reload="signal")
    requests = ReloadRequests()
    written: dict[bytes, bytes | None] = {}

    async def write(values: Any) -> None:
        written.update(values)

    requests.hang_up()  # during the start: it is not forgotten
    requests.apply(record(ReloadRequest("before-the-start")))
    requests.open(stage.reloads, lambda: "pod-0", write)
    async with stage:
        await stage.until(lambda: stage.count("unchanged") == 1)
        stage.write(**ADDED, reload="signal")
        await asyncio.sleep(0.2)
        assert stage.total == 1
        requests.apply(record(ReloadRequest("r1", "someone")))
        await stage.until(lambda: written)
    ((key, value),) = written.items()
    state = stage.reloads.state
    assert key == b"reload/answer/pod-0"
    assert read_answer(value) == ReloadAnswer("pod-0", "r1", "taken_over", state.hash)


async def test_off_reloads_nothing_and_tells_who_asks(tmp_path: Path) -> None:
    stage = Stage(tmp_path, reload=False)
    answers: list[tuple[Outcome, ReloadState]] = []

    async def note(outcome: Outcome, state: ReloadState) -> None:
        answers.append((outcome, state))

    async with stage:
        stage.write(**ADDED, reload=False)
        stage.reloads.request(note)
        await stage.until(lambda: answers)
    ((outcome, state),) = answers
    assert (outcome, state.error) == (Outcome.REFUSED, "reload is off; restart the process")
    assert stage.in_force.taken == []


def test_a_damaged_request_is_ignored_with_a_line_in_the_log() -> None:
    ReloadRequests().apply(Record(Partition("g.control", 0), 7, 0, b"reload/request", b"nonsense"))
    ReloadRequests().apply(Record(Partition("g.control", 0), 8, 0, b"reload/request", None))


def record(request: ReloadRequest) -> Record:
    return Record(Partition("g.control", 0), 1, 0, b"reload/request", request.to_bytes())
