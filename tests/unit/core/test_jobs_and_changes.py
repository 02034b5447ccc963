import pytest

from bridge.core.changes import Change, DamagedChangeError, new_key, read_change
from bridge.core.jobs import DamagedJobError, Job, JobKind, Jobs, JobState, job_id_of, key_of, read_job

JOB = Job(
    "r-1", JobKind.RESEND, JobState.RUNNING, "crm", {"status": "5xx"}, 20.0, "2026-11-27T09:00:00Z",
    "2026-11-27T09:00:00Z", "ann at console", "receiver was down", 120, 7, {"after": "0:12:3"},
)  # fmt: skip
CHANGE = Change("2026-11-27T09:00:00.000Z", "ann", "endpoint off", "crm", "maintenance")


def test_a_job_is_read_as_it_was_written() -> None:
    assert read_job("r-1", JOB.to_bytes()) == JOB
    assert job_id_of(key_of("r-1")) == "r-1"
    assert job_id_of(b"endpoint/crm") is None


def test_a_job_of_a_newer_release_may_have_more_fields() -> None:
    assert read_job("r-1", JOB.to_bytes()[:-1] + b',"color":"blue"}') == JOB


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", JOB.to_bytes().replace(b"running", b"dancing")])
def test_a_damaged_job_is_refused(value: bytes) -> None:
    with pytest.raises(DamagedJobError):
        read_job("r-1", value)


def test_jobs_report_each_change_once() -> None:
    seen: list[JobState] = []
    jobs = Jobs(lambda job: seen.append(job.state))
    for job in (JOB, JOB, JOB._replace(state=JobState.PAUSED)):
        jobs.put("r-1", job)
    assert seen == [JobState.RUNNING, JobState.PAUSED]
    jobs.put("r-1", None)
    assert jobs.all() == []


def test_only_running_and_paused_jobs_can_change() -> None:
    assert [state for state in JobState if not state.final] == [JobState.RUNNING, JobState.PAUSED]


def test_a_change_is_read_as_it_was_written_and_has_a_key_of_its_own() -> None:
    assert read_change(CHANGE.to_bytes()) == CHANGE
    assert new_key(CHANGE) != new_key(CHANGE)


@pytest.mark.parametrize("value", [b"", b"[]", b'{"at": "now"}'])
def test_a_damaged_change_is_refused(value: bytes) -> None:
    with pytest.raises(DamagedChangeError):
        read_change(value)
