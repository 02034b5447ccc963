"""What a worker answers to its supervisor, and what the supervisor reads from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from bridge.app.status import Status
from bridge.app.worker_link import Answers
from bridge.clock import SystemClock
from bridge.telemetry.families import read_registry, to_document
from bridge.telemetry.metrics import Metrics

Question = Literal["metrics", "status"]


class WorkerStatus(NamedTuple):
    """The answer to ``status``: what the admin port of a single process would answer, except the metrics.

    ``words`` are those of /readyz. ``stands_by``: the worker is ready, and has no partition. ``limits`` is
    the document of /limits, ``public_keys`` the JSON Web Key Set.
    """

    ready: bool
    words: str
    stands_by: bool
    limits: Mapping[str, Any]
    public_keys: Mapping[str, Any]


def build_answers(
    metrics: Metrics, status: Status, public_keys: Callable[[float], Mapping[str, object]]
) -> Answers:
    """Return what each question of the supervisor calls. ``public_keys``: at an instant in Unix seconds."""

    def answer_status() -> list[object]:
        ready, words = status.readiness()
        keys = public_keys(SystemClock().time())
        return list(WorkerStatus(ready, words, status.stands_by, status.limits(), keys))

    return {"metrics": lambda: to_document(read_registry(metrics.registry)), "status": answer_status}
