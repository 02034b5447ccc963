"""`resend` and `jobs` on the command line: what they refuse, ask, print, and how they exit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.core.jobs import Job, JobKind, JobState
from bridge.errors import ConfigError
from bridge.resend.entries import Refusal
from bridge.resend.job_store import Author, JobError
from bridge.resend.query import ResendQuery
from bridge.resend.service import Preview

JOB = Job(
    "5f0c11aa", JobKind.RESEND, JobState.RUNNING, "shop", {"endpoint": "shop", "render": False}, 50.0,
    "2026-06-29T08:15:30.000Z", "2026-06-29T08:15:40.000Z", "ann at ops", "restored", 300, 100,
    {"refused": {"BODY_MASKED": 2}, "lost": {}},
)  # fmt: skip


class FakeResending:
    """Re-sends of a group with one job; ``selects`` is what a query finds."""

    def __init__(self, selects: Preview, ends: JobState = JobState.DONE) -> None:
        self.selects = selects
        self.ends = ends
        self.started: list[tuple[ResendQuery, float | None, Author]] = []
        self.changed: list[tuple[str, JobState, Author]] = []
        self.store = self
        self.ran: list[str] = []

    async def preview(self, query: ResendQuery) -> Preview:
        return self.selects

    async def start(self, query: ResendQuery, rate_per_s: float | None, author: Author) -> Job:
        self.started.append((query, rate_per_s, author))
        return JOB

    async def run(self, job_id: str, on_progress: Callable[[Job], object]) -> Job:
        self.ran.append(job_id)
        on_progress(JOB)
        return JOB._replace(state=self.ends, done=300)

    async def change(self, job_id: str, state: JobState, author: Author) -> Job:
        if job_id != JOB.id:
            raise JobError(f"there is no job {job_id!r}")
        self.changed.append((job_id, state, author))
        return JOB._replace(state=state)

    async def all(self) -> list[Job]:
        return [JOB, JOB._replace(id="0ld", state=JobState.DONE)]

    async def get(self, job_id: str) -> Job:
        return JOB


Run = Callable[..., Result]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeResending:
    resending = FakeResending(Preview({"shop": 300}, {Refusal.BODY_MASKED: 2}))
    monkeypatch.setattr("bridge.wiring.resend.build_resending", lambda _: resending)
    return resending


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "bridge.yaml").write_text("""\
kafka: {bootstrap_servers: ["127.0.0.1:1"]}
sources: {orders: {topics: [orders], format: json, id: id, type: type}}
endpoints: {shop: {url: "https://shop.example.com/", secrets: ["${SHOP_SECRET}"]}}
""")

    def run(*words: str, form: str = "table", typed: str = "") -> Result:
        config = str(tmp_path / "bridge.yaml")
        return CliRunner().invoke(cli, ["-c", config, "-o", form, *words], input=typed)

    return run


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "give an attempt, an event, or a filter"),
        (["3:1:2", "--since", "1h"], "give either attempts and events, or filters"),
        (["3:1:2", "--rate", "5"], "give either attempts and events, or filters"),
        (["--resume", "5f0c11aa", "--since", "1h"], "--resume goes on with a job as it was started"),
        (["--since", "1h", "--rate", "0"], "0 is not in the range"),
        (["--status", "abc"], "'abc' is no status"),
    ],
)
def test_what_does_not_go_together_is_refused(
    run: Run, fake: FakeResending, words: list[str], problem: str
) -> None:
    result = run("resend", *words)
    assert result.exit_code == 2
    assert problem in result.output
    assert fake.started == []


def test_a_dry_run_counts_and_starts_nothing(run: Run, fake: FakeResending) -> None:
    result = run("resend", "--endpoint", "shop", "--dry-run", "--new-id")
    assert result.exit_code == 0
    assert "send again: 300 to shop" in result.stdout
    assert "with a new webhook-id each" in result.stdout
    assert "2 cannot be sent: a secret in its body is masked" in result.stderr
    assert "--render" in result.stderr
    assert fake.started == []


def test_more_than_one_is_asked_for_and_a_no_starts_nothing(run: Run, fake: FakeResending) -> None:
    assert run("resend", "--since", "1h", typed="n\n").exit_code == 1
    assert fake.started == []
    result = run("resend", "--since", "1h", "--rate", "20", "--by", "ann", "--reason", "lost", typed="y\n")
    assert result.exit_code == 0
    assert "300 written to" in result.stderr
    ((query, rate, author),) = fake.started
    assert (rate, author, query.render) == (20.0, Author("ann", "lost"), False)
    assert fake.ran == [JOB.id]


def test_the_document_has_the_counts_and_the_job(run: Run, fake: FakeResending) -> None:
    done = json.loads(run("resend", "--endpoint=shop", "--yes", form="json").stdout)
    assert (done["total"], done["by_endpoint"], done["job"]["id"]) == (300, {"shop": 300}, JOB.id)
    assert done["refused"][0]["events"] == 2


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (JobState.PAUSED, "go on with `hookferry resend --resume 5f0c11aa`"),
        (JobState.CANCELLED, "is cancelled after 300 events"),
        (JobState.RUNNING, "another runner has taken over"),
    ],
)
def test_a_job_that_is_not_done_is_a_failure(
    run: Run, fake: FakeResending, state: JobState, told: str
) -> None:
    fake.ends = state
    result = run("resend", "--since", "1h", "--yes")
    assert result.exit_code == 1
    assert told in result.stderr


def test_nothing_that_can_be_sent_is_a_failure_only_if_something_was_selected(
    run: Run, fake: FakeResending
) -> None:
    fake.selects = Preview({}, {})
    assert run("resend", "--since", "1h").exit_code == 0
    assert isinstance(run("resend", "--endpoint", "shpo").exception, ConfigError), "a misspelt name"
    fake.selects = Preview({}, {Refusal.BODY_NOT_KEPT: 4})
    result = run("resend", "--since", "1h", "--yes")
    assert result.exit_code == 1
    assert "4 cannot be sent: its body was not kept" in result.stderr
    assert fake.started == []


def test_jobs_are_listed_shown_paused_resumed_and_cancelled(run: Run, fake: FakeResending) -> None:
    listed = run("jobs", "list")
    assert "5f0c11aa  resend" in listed.stdout
    assert "0ld" not in listed.stdout
    rows = json.loads(run("jobs", "list", "--all", form="json").stdout)
    assert [(row["id"], row["runs"]) for row in rows] == [("5f0c11aa", False), ("0ld", False)]
    assert rows == yaml.safe_load(run("jobs", "list", "--all", form="yaml").stdout)
    shown = run("jobs", "show", JOB.id).stdout
    assert "running (no runner)" in shown
    assert "not sent  2: a secret in its body is masked" in shown
    assert run("jobs", "pause", JOB.id, "--by", "ann").exit_code == 0
    assert run("jobs", "resume", JOB.id, "--detach").exit_code == 0
    assert fake.ran == []
    assert run("jobs", "resume", JOB.id).exit_code == 0
    assert fake.ran == [JOB.id]
    assert run("jobs", "cancel", JOB.id, typed="n\n").exit_code == 1
    assert run("jobs", "cancel", JOB.id, "--yes").exit_code == 0
    states = [state for _, state, _ in fake.changed]
    assert states == [JobState.PAUSED, JobState.RUNNING, JobState.RUNNING, JobState.CANCELLED]
    assert fake.changed[0][2] == Author("ann", "")
    assert isinstance(run("jobs", "pause", "nosuch").exception, JobError)


def test_a_job_is_resumed_by_the_command_that_started_it(run: Run, fake: FakeResending) -> None:
    done: dict[str, Any] = json.loads(run("resend", "--resume", JOB.id, form="json").stdout)
    assert (done["id"], done["state"]) == (JOB.id, "done")
    assert [state for _, state, _ in fake.changed] == [JobState.RUNNING]
    assert fake.started == []
