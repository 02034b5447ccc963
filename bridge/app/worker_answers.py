"""What a worker answers to each question of its supervisor."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bridge.app.status import Status
from bridge.app.worker_link import Answers
from bridge.app.worker_status import WorkerStatus
from bridge.clock import SystemClock
from bridge.telemetry.families import read_registry, to_document
from bridge.telemetry.metrics import Metrics


def build_answers(
    metrics: Metrics, status: Status, public_keys: Callable[[float], Mapping[str, object]]
) -> Answers:
    """Return what each question of the supervisor calls. ``public_keys``: at an instant in Unix seconds."""

    def answer_status() -> list[object]:
        ready, words = status.readiness()
        keys = public_keys(SystemClock().time())
        return list(WorkerStatus(ready, words, status.stands_by, status.limits(), keys))

    return {"metrics": lambda: to_document(read_registry(metrics.registry)), "status": answer_status}
