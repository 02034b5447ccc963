"""One answer of the admin port for all workers."""

from __future__ import annotations

from typing import Any

from bridge.app.worker_status import WorkerStatus
from bridge.workers.summary import (
    Condition,
    idle_workers,
    summarize_keys,
    summarize_limits,
    summarize_readiness,
)


def condition(
    number: int, words: str, *, ready: bool = True, idle: bool = False, slowed: dict[str, str] | None = None
) -> Condition:
    limits: dict[str, Any] = {"group": "g", "slowed": slowed or {}}
    return Condition(number, "never shown", WorkerStatus(ready, words, idle, limits, {"keys": []}))


def test_ready_needs_all_workers() -> None:
    both = [condition(1, "assigned: 2 partitions"), condition(2, "standing by", idle=True)]
    assert summarize_readiness(both) == (True, "worker 1: assigned: 2 partitions; worker 2: standing by")


def test_a_worker_that_is_not_ready_comes_first_and_by_its_number() -> None:
    parts = [condition(1, "assigned: 2 partitions"), condition(2, "rebalancing: now", ready=False)]
    assert summarize_readiness(parts) == (
        False,
        "worker 2 is not ready: rebalancing: now; worker 1: assigned: 2 partitions",
    )


def test_a_worker_without_a_process_is_not_ready_with_its_reason() -> None:
    parts = [condition(1, "assigned: 2 partitions"), Condition(2, "stopped: it was killed", None)]
    ready, words = summarize_readiness(parts)
    assert not ready
    assert words.startswith("worker 2 is not ready: stopped: it was killed; ")


def test_further_lines_of_a_worker_follow_below_the_first() -> None:
    parts = [
        condition(1, "assigned: 1 partitions\nconfiguration: abc"),
        condition(2, "starting", ready=False),
    ]
    assert summarize_readiness(parts) == (
        False,
        "worker 2 is not ready: starting; worker 1: assigned: 1 partitions\nworker 1: configuration: abc",
    )


def test_limits_name_the_workers_that_have_them() -> None:
    parts = [
        condition(1, "", slowed={"crm": "2.0 per second (429)"}),
        condition(2, "", slowed={"crm": "3.0 per second (429)", "erp": "1 at once (503)"}),
        Condition(3, "away", None),
    ]
    assert summarize_limits("g", parts) == {
        "group": "g",
        "slowed": {
            "crm": "worker 1: 2.0 per second (429); worker 2: 3.0 per second (429)",
            "erp": "worker 2: 1 at once (503)",
        },
    }


def test_every_public_key_is_listed_once() -> None:
    first, second = {"kid": "a"}, {"kid": "b"}
    assert summarize_keys([{"keys": [first]}, {"keys": [first, second]}, {"keys": []}]) == {
        "keys": [first, second]
    }


def test_idle_workers_are_known_once_all_are_ready() -> None:
    ready, idle = condition(1, ""), condition(2, "", idle=True)
    assert idle_workers([ready, condition(2, "", ready=False)]) is None
    assert idle_workers([ready, Condition(2, "", None)]) is None
    assert idle_workers([ready, idle]) == [2]
    assert idle_workers([ready]) == []
