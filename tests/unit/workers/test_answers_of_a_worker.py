"""A worker answers with what the admin port of a single process would show."""

from __future__ import annotations

from typing import Any, cast

from bridge.app.status import Status
from bridge.app.worker_answers import build_answers
from bridge.app.worker_status import WorkerStatus
from bridge.telemetry.families import read_document
from bridge.telemetry.metrics import Metrics


class Idle:
    """The status of a worker that is ready without a partition, and has a limit."""

    stands_by = True

    def readiness(self) -> tuple[bool, str]:
        return True, "standing by"

    def limits(self) -> dict[str, Any]:
        return {"slowed": {"crm": "2.0 per second (429)"}}


def test_each_answer_has_what_its_worker_knows() -> None:
    metrics = Metrics()
    metrics.endpoint("crm").signature_failures.inc(3)
    answers = build_answers(metrics, cast("Status", Idle()), lambda now_s: {"keys": [{"kid": "a"}]})
    status = WorkerStatus(*cast("list[Any]", answers["status"]()))
    assert status == WorkerStatus(
        True, "standing by", True, {"slowed": {"crm": "2.0 per second (429)"}}, {"keys": [{"kid": "a"}]}
    )
    families = read_document(cast("list[Any]", answers["metrics"]()))
    assert 3 in [v.value for f in families for v in f.values if v.labels.get("endpoint") == "crm"]
