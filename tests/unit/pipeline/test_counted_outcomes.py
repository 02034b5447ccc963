"""What the path counts: statuses, retries with their denominators, parked events by reason, records read."""

from __future__ import annotations

import pytest

from bridge.core.limits import AdaptiveLimit, Breaker, Gate, RateWindows
from bridge.reasons import LimitReason
from tests.support.counted import counted
from tests.support.fakes import Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


def answers(*statuses: int | Exception) -> object:
    """Return a receiver's answers in turn; 200 after the last."""
    left = list(statuses)

    async def answer(_: Sent) -> int | Exception:
        return left.pop(0) if left else 200

    return answer


async def delivered(world: World, end: int) -> Process:
    """Run a process until its endpoint has settled everything; return it, stopped."""
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == end)
    await process.stop()
    return process


@simulated
async def test_attempts_are_counted_by_verdict_and_status_class() -> None:
    world = World({"crm": Plan(concurrency=1)})
    world.receiver.answer = answers(503, 302, 429, 204, 404)  # type: ignore[assignment]
    world.log.add("a", entity="e1")
    world.log.add("b", entity="e1")
    metrics = (await delivered(world, 2)).metrics
    found = {
        (verdict, status): counted(metrics, "attempts_total", verdict=verdict, status=status)
        for verdict in ("delivered", "again", "park")
        for status in ("2xx", "3xx", "4xx", "5xx", "none")
    }
    assert {key: number for key, number in found.items() if number} == {
        ("delivered", "2xx"): 1, ("again", "5xx"): 1, ("again", "3xx"): 1, ("again", "4xx"): 1,
        ("park", "4xx"): 1,
    }  # fmt: skip


@simulated
async def test_an_event_needs_a_retry_once_however_many_attempts_it_takes() -> None:
    world = World({"crm": Plan(concurrency=1, max_attempts=3)})
    world.receiver.answer = answers(503, 503, 200, 200, 503, 503, 503)  # type: ignore[assignment]
    for name in ("retried", "at once", "given up"):
        world.log.add(name, entity=name)
    metrics = (await delivered(world, 3)).metrics
    assert counted(metrics, "retries_needed_total") == 2
    assert counted(metrics, "retries_succeeded_total") == 1
    assert counted(metrics, "parked_total", endpoint="crm", reason="retries_used_up") == 1
    assert counted(metrics, "parked_total") == 1


@simulated
async def test_parked_events_are_counted_by_reason_also_those_that_nobody_can_decode() -> None:
    world = World({"crm": Plan(concurrency=1, on_park="hold")})
    world.receiver.answer = answers(400)  # type: ignore[assignment]
    world.log.add("refused", entity="e1")
    world.log.add("behind", entity="e1")
    world.log.add("x", raw=b"{", entity="e2")
    metrics = (await delivered(world, 3)).metrics
    assert counted(metrics, "parked_total", endpoint="crm", reason="refused") == 1
    assert counted(metrics, "parked_total", endpoint="crm", reason="held") == 1
    assert counted(metrics, "parked_total", endpoint="", reason="undecodable") == 1
    assert counted(metrics, "parked_total") == 3


@simulated
async def test_an_event_whose_filter_fails_is_parked_as_unrenderable() -> None:
    world = World({"crm": Plan(when="data.amount > 5")})
    world.log.add("a")
    metrics = (await delivered(world, 1)).metrics
    assert counted(metrics, "parked_total", reason="unrenderable") == counted(metrics, "parked_total")


@simulated
async def test_records_and_commits_are_counted_from_zero() -> None:
    world = World()
    process = Process(world)
    assert counted(process.metrics, "commits_total", outcome="failed") == 0
    for number in range(7):
        world.log.add(f"a{number}")
    metrics = (await delivered(world, 7)).metrics
    assert counted(metrics, "records_read_total", reader="main") == 7
    assert counted(metrics, "records_read_total", reader="catch_up") == 0
    assert counted(metrics, "commit_seconds_count") == counted(metrics, "commits_total") > 0


def gate(rate: tuple[tuple[int, float], ...] = ()) -> Gate:
    """Return a gate for eight requests at once."""
    breaker = Breaker(failures=3, window_s=30, open_s=5, max_open_s=60, concurrency=3)
    return Gate(RateWindows(rate), AdaptiveLimit(8), breaker, retry_after_cap_s=60)


def test_an_endpoint_that_nothing_limits_has_no_reason() -> None:
    assert gate().limits(0) == set()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("throttled", {LimitReason.TOO_MANY_REQUESTS}),
        ("unavailable", {LimitReason.BUSY}),
        ("failed", {LimitReason.BREAKER}),
    ],
)
def test_the_answers_of_a_receiver_become_the_reason_of_the_limit(
    kind: str, expected: set[LimitReason]
) -> None:
    limited = gate()
    limited.sent(0)
    for tenth in range(4):
        limited.answered(tenth / 10 + 0.05, kind, number=limited.sent(tenth / 10))  # type: ignore[arg-type]
    assert limited.limits(0.4) == expected


def test_a_pause_and_a_used_up_rate_are_reasons_until_they_are_over() -> None:
    paused = gate()
    paused.answered(0, "ok", 10.0, number=paused.sent(0))
    assert paused.limits(9) == {LimitReason.RETRY_AFTER}
    assert paused.limits(11) == set()
    limited = gate(((1, 10.0),))
    limited.answered(2, "ok", number=limited.sent(0))
    assert limited.limits(3) == {LimitReason.CONFIGURED_RATE}
    assert limited.limits(30) == set()
