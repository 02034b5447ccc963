"""Shares of the memory budget: bounded by what is free, smaller without success, never a standstill."""

from __future__ import annotations

import pytest

from bridge.core.cursor import Cursor
from bridge.core.memory_budget import DELIVERY_BYTES, RECORD_BYTES, MemoryBudget, divide
from bridge.model import Partition

P0, P1 = Partition("orders", 0), Partition("orders", 1)
EVENT = 10_000 + RECORD_BYTES + DELIVERY_BYTES
MIB = 1 << 20


def cursor(budget: MemoryBudget, endpoint: str, partition: Partition = P0) -> Cursor[object]:
    return Cursor(
        partition,
        0,
        window=1_000_000,
        window_bytes=1 << 40,
        endpoint=endpoint,
        share=budget.share(endpoint),
    )


def fill(budget: MemoryBudget, of: Cursor[object]) -> int:
    """Open events of 10 kB until the cursor is full; return what it holds then."""
    before = of.share.bytes
    while not of.full:
        budget.free -= EVENT
        of.open(of.position, 10_000)
        of.advance(of.position + 1)
    return of.share.bytes - before


def test_endpoints_that_settle_nothing_leave_half_of_the_budget_free_even_if_there_are_fifty() -> None:
    budget = MemoryBudget(100 * MIB)
    first, *others = [cursor(budget, f"dead{number}") for number in range(50)]
    assert fill(budget, first) == pytest.approx(100 * MIB / 9, abs=EVENT)
    for number, other in enumerate(others):
        budget.adapt(number, ())
        fill(budget, other)
    assert budget.free > 45 * MIB


def test_an_endpoint_that_settles_gets_more_than_one_whose_breaker_is_open() -> None:
    budget = MemoryBudget(100 * MIB)
    well, dead = cursor(budget, "well"), cursor(budget, "dead")
    budget.adapt(0.0, ())
    for each in (well, dead):
        each.open(0, 10)
        each.settle(0, 10)
        each.advance(1)
    budget.adapt(1.0, ["dead"])
    assert fill(budget, dead) < 12 * MIB
    assert fill(budget, well) > 50 * MIB


def settle_some(of: Cursor[object], events: int) -> None:
    for offset in range(of.lowest_unsettled, of.lowest_unsettled + events):
        of.settle(offset, 10_000)


def test_ten_seconds_without_success_make_the_share_small() -> None:
    budget = MemoryBudget(100 * MIB)
    of = cursor(budget, "crm")
    budget.adapt(0.0, ())
    of.open(0, 10_000)
    settle_some(of, 1)
    of.advance(1)
    budget.adapt(1.0, ())
    large = of.share.factor
    for second in range(2, 12):
        budget.adapt(second, ())
    assert of.share.factor < large / 10


def test_an_endpoint_that_would_need_minutes_for_what_it_holds_gets_no_more() -> None:
    budget = MemoryBudget(100 * MIB)
    quick, slow = cursor(budget, "quick"), cursor(budget, "slow")
    budget.adapt(0.0, ())
    fill(budget, quick)
    fill(budget, slow)
    settle_some(quick, 100)
    settle_some(slow, 1)
    budget.adapt(2.0, ())
    assert quick.share.factor > 10 * slow.share.factor


def test_an_endpoint_that_holds_nothing_may_always_take_an_event() -> None:
    budget = MemoryBudget(1000)
    budget.free = -5_000_000
    of = cursor(budget, "crm")
    of.open(0, 50_000_000)
    of.advance(1)
    assert of.full
    of.settle(0, 50_000_000)
    assert of.reopen()


def test_a_cursor_waits_while_another_partition_of_its_endpoint_uses_the_memory() -> None:
    budget = MemoryBudget(MIB)
    first, second = cursor(budget, "crm", P0), cursor(budget, "crm", P1)
    fill(budget, first)
    second.open(0, 10)
    second.advance(1)
    assert second.full
    second.settle(0, 10)
    assert not second.reopen()
    assert second.share.is_pressed
    for offset in range(first.position):
        budget.free += EVENT
        first.settle(offset, 10_000)
    assert second.share.has_room
    assert second.reopen()


def test_the_end_of_an_assignment_gives_back_what_is_open() -> None:
    budget = MemoryBudget(100 * MIB)
    first, second = cursor(budget, "crm", P0), cursor(budget, "crm", P1)
    fill(budget, first)
    second.open(0, 10)
    first.end()
    first.end()
    assert budget.share("crm").bytes == 10 + RECORD_BYTES + DELIVERY_BYTES
    second.end()
    assert budget.share("crm").bytes == 0


def test_the_events_of_one_record_count_its_bytes_once() -> None:
    budget = MemoryBudget()
    of = cursor(budget, "crm")
    for _ in range(3):
        of.open(7, 10_000)
    assert of.share.bytes == 10_000 + RECORD_BYTES + 3 * DELIVERY_BYTES
    for part in (1, 2, 3):
        of.settle(7, 10_000, part)
    assert of.share.bytes == 0


@pytest.mark.parametrize("endpoints", [1, 8, 50])
@pytest.mark.parametrize("total_mib", [32, 100, 273, 4096])
def test_a_plan_with_decoded_batches_stays_within_the_budget(total_mib: int, endpoints: int) -> None:
    """A batch needs up to eight times its bytes while it is decoded, the fresh events up to six times."""
    plan = divide(total_mib * MIB, endpoints)
    waiting = plan.windows + (endpoints * plan.batch if plan.batch > 256 * 1024 else 0)
    assert waiting + plan.fetch + 8 * plan.batch + 6 * plan.fresh + plan.history <= plan.total


@pytest.mark.parametrize(("endpoints", "part"), [(1, 1 / 64), (8, 1 / 8), (50, 1 / 8), (500, 1 / 2)])
def test_the_first_batches_of_all_endpoints_are_a_small_part_of_the_budget(
    endpoints: int, part: float
) -> None:
    plan = divide(256 * MIB, endpoints)
    assert endpoints * plan.batch <= 256 * MIB * part


def test_an_endpoint_that_uses_its_share_takes_no_more_batches_and_one_without_events_takes_one() -> None:
    budget = MemoryBudget(MIB)
    of, empty = cursor(budget, "crm"), budget.share("empty")
    fill(budget, of)
    assert of.share.is_used_up
    budget.free = -MIB
    assert not empty.is_used_up
